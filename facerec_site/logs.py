"""How log lines look, the same for Django, gunicorn, Celery and our own modules.

What a client sent never reaches the log. An error is reported by its kind and place, never by its text:
PostgreSQL's quotes the name that already exists. A request is reported by its route, never by its path.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import EventRenamer, JSONRenderer, TimeStamper
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, Processor

if TYPE_CHECKING:
    # gunicorn loads this module before Django
    from django.http import HttpRequest

_Info = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
_TALKATIVE = ("faiss", "pinecone", "httpx", "boto3", "botocore", "s3transfer")
"""Libraries that log every call."""
_CLIENT = re.compile(r" from ip=\S+(?=: )|(?<=^Error handling request) .*")
_EXTRA = ("method", "route", "status", "duration_ms", "actor")
"""The extra attributes of a record that are logged: those of facerec_site.observation."""


def chosen_format(variables: Mapping[str, str]) -> str:
    """Return `json` or `line` (for people's eyes): what LOG_FORMAT says, or what fits the environment."""
    return variables.get("LOG_FORMAT") or ("json" if variables.get("ENVIRONMENT") == "production" else "line")


def without_text(info: _Info) -> str:
    """Return a traceback of an exception and its causes, with only their types, never their messages."""
    lines: list[str] = []
    error = info[1]
    while error is not None:
        frames = "".join(traceback.format_tb(error.__traceback__))
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        lines.append(f"{frames}{kind}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nbecause of\n".join(lines)


def configuration(log_format: str) -> dict[str, Any]:
    """Return the configuration of `logging`, for lines in the format `json` or `line`."""
    renderers: dict[str, Processor] = {
        "json": JSONRenderer(),
        "line": ConsoleRenderer(
            colors=False, pad_event_to=0, event_key="message", timestamp_key="time",
            exception_formatter=plain_traceback,
        ),
    }  # fmt: skip
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "console": {
                "()": ProcessorFormatter,
                "foreign_pre_chain": [
                    TimeStamper(fmt="iso", key="time"),
                    add_logger_name,
                    merge_contextvars,
                    ExtraAdder(_EXTRA),
                    _without_what_was_sent,
                    EventRenamer("message"),
                ],
                "processors": [ProcessorFormatter.remove_processors_meta, renderers[log_format]],
            },
            "bare": {"format": "{message}", "style": "{"},
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "console"},
            "embedded-metrics": {
                "class": "logging.StreamHandler",
                "formatter": "bare",
                "stream": "ext://sys.stdout",
            },
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            **{name: {"level": "WARNING"} for name in _TALKATIVE},
            # the access line reports refused requests
            "django.request": {"level": "ERROR"},
            "facerec.emf": {"handlers": ["embedded-metrics"], "propagate": False},
            # gunicorn and billiard don't let theirs propagate
            "gunicorn.error": {"handlers": ["console"], "level": "INFO", "propagate": False},
            "multiprocessing": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        },
    }


def _without_what_was_sent(logger: object, method: str, event: EventDict) -> EventDict:
    """Remove addresses, paths and the texts of errors from the messages of Django, gunicorn and Celery."""
    record: logging.LogRecord = event["_record"]
    event["level"] = record.levelname
    if record.name == "gunicorn.error":
        event["event"] = _CLIENT.sub("", event["event"])
    request: Any = getattr(record, "request", None)
    if hasattr(request, "resolver_match"):
        if event["event"].endswith(request.path):
            event["event"] = event["event"].removesuffix(request.path) + route(request)
        if request_id := request.META.get("facerec.request_id"):
            event["request_id"] = request_id
    info: _Info = event.pop("exc_info", (None, None, None))
    # gunicorn quotes the error that it handles without passing it on
    error = info[1] or sys.exc_info()[1]
    if isinstance(error, Exception):
        for text in filter(None, (repr(error), str(error))):
            event["event"] = event["event"].replace(text, type(error).__qualname__)
    if info[1]:
        event["exception"] = without_text(info)
    return event


def route(request: HttpRequest) -> str:
    """Return the pattern of the request's route; `other` for a path that has none."""
    return request.resolver_match.route if request.resolver_match else "other"
