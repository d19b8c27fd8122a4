"""How log lines look. An error is told by its kind and its place, never by its text.

The text of an error may hold what a person sent: PostgreSQL's says which name was there already.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from types import TracebackType

_Info = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def chosen_format(variables: Mapping[str, str]) -> str:
    """Return `json` or `line` (for people's eyes): what LOG_FORMAT says, or what fits the environment."""
    return variables.get("LOG_FORMAT") or ("json" if variables.get("ENVIRONMENT") == "production" else "line")


def without_text(info: _Info) -> str:
    """Return a traceback of an exception and its causes, in which only their kinds are told."""
    lines: list[str] = []
    error = info[1]
    while error is not None:
        frames = "".join(traceback.format_tb(error.__traceback__))
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        lines.append(f"{frames}{kind}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nbecause of\n".join(lines)


class LineFormatter(logging.Formatter):
    def formatException(self, ei: _Info) -> str:  # noqa: N802
        return without_text(ei)


def json_formatter(**options: object) -> logging.Formatter:
    """Return the formatter of one JSON object a line; the library is there in production only."""
    from pythonjsonlogger.core import RESERVED_ATTRS
    from pythonjsonlogger.json import JsonFormatter

    class Json(JsonFormatter):
        def formatException(self, ei: _Info) -> str:  # noqa: N802
            return without_text(ei)

    return Json(
        "{asctime}{levelname}{name}{request_id}{message}",
        style="{",
        # Django hands over the whole request, with its query
        reserved_attrs=[*RESERVED_ATTRS, "request", "server_time"],
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        defaults={"request_id": "-"},
    )
