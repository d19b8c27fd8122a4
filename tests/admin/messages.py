"""The messages that an admin page shows at its top."""

from __future__ import annotations

from typing import Any


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]
