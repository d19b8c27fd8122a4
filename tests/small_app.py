"""A WSGI application without Django, and its gunicorn configuration with the service's worker class.

`gunicorn --config python:tests.small_app tests.small_app` listens on PORT within half a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gunicorn.workers import gthread
from gunicorn.workers.gthread import ThreadWorker

from facerec_site import draining

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

bind = f"127.0.0.1:{os.environ['PORT']}"
threads = 12
worker_class = "facerec_site.draining.DrainingWorker"
when_ready = draining.announce_stop
preload_app = True
control_socket_disable = True
keepalive = 75
draining.LISTENING_SECONDS = 0.5
gthread.DEFAULT_WORKER_DATA_TIMEOUT = float(  # type: ignore[misc]  # only the type stubs declare it Final
    os.environ.get("FIRST_BYTE_SECONDS", "5")
)
"""A connection that has sent nothing for this many seconds releases its thread."""


def post_worker_init(worker: ThreadWorker) -> None:
    worker.log.info("Worker serves")  # from here on it also handles signals


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Respond with the process ids of the arbiter and of this worker."""
    environ["wsgi.input"].read()
    content = f"{os.getppid()} {os.getpid()}".encode()
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]
