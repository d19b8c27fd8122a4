"""kombu's filesystem broker, with messages that are written atomically.

kombu creates a message's file and fills it afterwards. A worker that reads it in between gets an empty
message and stops permanently (seen with kombu 5.7).
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, *contents: Any, **options: Any) -> None:
        [message] = contents  # the two base classes use different parameter names
        folder = Path(self.data_folder_out)
        # Like kombu's file names, these sort in the order of sending.
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        unfinished = folder / f".{name}.part"
        unfinished.write_text(dumps(message))
        os.replace(unfinished, folder / name)


class Transport(filesystem.Transport):
    Channel = Channel
