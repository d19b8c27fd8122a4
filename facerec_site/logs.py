"""The log format, shared by Django, gunicorn, Celery and our own modules.

Nothing that a client sent is logged. An error is logged with its type and traceback, never with its message,
because PostgreSQL's messages quote values, such as a name that already exists. A request is logged with its
route, never with its path.
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

_ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
_VERBOSE = ("faiss", "pinecone", "httpx", "boto3", "botocore", "s3transfer")
"""Libraries that log every call."""
_CLIENT_DATA = re.compile(r" from ip=\S+(?=: )|(?<=^Error handling request) .*")
"""What gunicorn's messages say about a client: its address, or the path that it requested."""
_EXTRA = ("method", "route", "status", "duration_ms", "actor")
"""The only extra attributes of a record that are logged. facerec_site.observation sets them."""


def chosen_format(variables: Mapping[str, str]) -> str:
    """Return `json` or `line` (easier to read): LOG_FORMAT, or the environment's default if it isn't set."""
    return variables.get("LOG_FORMAT") or ("json" if variables.get("ENVIRONMENT") == "production" else "line")


def traceback_without_messages(exc_info: _ExcInfo) -> str:
    """Return the traceback of an exception and its causes, with their types but not their messages."""
    tracebacks: list[str] = []
    error = exc_info[1]
    while error is not None:
        frames = "".join(traceback.format_tb(error.__traceback__))
        type_name = f"{type(error).__module__}.{type(error).__qualname__}"
        tracebacks.append(f"{frames}{type_name}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by\n".join(tracebacks)


def configuration(log_format: str) -> dict[str, Any]:
    """Return the configuration for `logging`, with the format `json` or `line`."""
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
                    _remove_client_data,
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
            **{name: {"level": "WARNING"} for name in _VERBOSE},
            # refused requests are in the access log
            "django.request": {"level": "ERROR"},
            "facerec.emf": {"handlers": ["embedded-metrics"], "propagate": False},
            # gunicorn's and billiard's loggers don't propagate to the root logger
            "gunicorn.error": {"handlers": ["console"], "level": "INFO", "propagate": False},
            "multiprocessing": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        },
    }


def _remove_client_data(logger: object, method: str, event: EventDict) -> EventDict:
    """Remove addresses, paths and error messages from what Django, gunicorn and Celery log."""
    record: logging.LogRecord = event["_record"]
    event["level"] = record.levelname
    if record.name == "gunicorn.error":
        event["event"] = _CLIENT_DATA.sub("", event["event"])
    request: Any = getattr(record, "request", None)
    if hasattr(request, "resolver_match"):
        if event["event"].endswith(request.path):
            event["event"] = event["event"].removesuffix(request.path) + route(request)
        if request_id := request.META.get("facerec.request_id"):
            event["request_id"] = request_id
    exc_info: _ExcInfo = event.pop("exc_info", (None, None, None))
    # gunicorn quotes the error that it is handling, but doesn't attach it to the record
    error = exc_info[1] or sys.exc_info()[1]
    if isinstance(error, Exception):
        for text in filter(None, (repr(error), str(error))):
            event["event"] = event["event"].replace(text, type(error).__qualname__)
    if exc_info[1]:
        event["exception"] = traceback_without_messages(exc_info)
    return event


def route(request: HttpRequest) -> str:
    """Return the pattern of the request's route, or `other` if no route matches its path."""
    return request.resolver_match.route if request.resolver_match else "other"
