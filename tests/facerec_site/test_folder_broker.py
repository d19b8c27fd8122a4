from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty

from kombu import Connection

from facerec_site.folder_broker import Channel


def _connection(folder: Path) -> Connection:
    options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder / "control"}
    return Connection(
        "filesystem://",
        transport="facerec_site.folder_broker:Transport",
        transport_options={name: str(path) for name, path in options.items()},
    )


def _channel(connection: Connection) -> Channel:
    channel = connection.default_channel
    assert isinstance(channel, Channel)
    return channel


def test_a_worker_never_reads_a_message_that_is_still_being_written(tmp_path: Path) -> None:
    message_count = 2000
    received: list[int] = []

    def send() -> None:
        with _connection(tmp_path) as connection:
            channel = _channel(connection)
            for number in range(message_count):
                channel._put("work", {"body": "x" * 2000, "number": number})

    sender = threading.Thread(target=send)
    sender.start()
    with _connection(tmp_path) as connection:
        channel = _channel(connection)
        while sender.is_alive() or len(received) < message_count:
            try:
                received.append(channel._get("work")["number"])
            except Empty:
                continue
    sender.join()
    assert sorted(received) == list(range(message_count))
