"""The gunicorn configuration for facerec_site.wsgi."""

import gc
import logging
import os
import shutil
import tempfile
from typing import Any

from facerec_site.bind_address import as_netloc, bind_address
from facerec_site.draining import announce_stop
from facerec_site.logs import chosen_format, configuration
from facerec_site.settings.required import problems

# Checked in the arbiter: gunicorn would start a worker that fails for this reason again and again.
if os.environ.get("ENVIRONMENT") == "production" and (_problems := problems(os.environ)):
    raise SystemExit("facerec-api can't start:\n" + "\n".join(f"  {line}" for line in _problems))

bind = as_netloc(*bind_address(os.environ))
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# A process handles one photo at a time (people.capacity). The threads are for requests that wait for their
# turn, an enrolment or a slow client, and for rejecting the rest immediately when the queue is full.
worker_class = "facerec_site.draining.DrainingWorker"
threads = 12
preload_app = True
timeout = 60
graceful_timeout = 30
# Unused; gunicorn would create the control socket in the home folder, which is read-only in a container.
control_socket_disable = True
keepalive = 75  # seconds; above the load balancer's 60 s, so that it never reuses a connection we are closing
# No gunicorn access log: facerec_site.observation logs each request, without address and path.
logconfig_dict = configuration(chosen_format(os.environ))
# The processes keep their metrics here, so that any of them can report the total. New with each start.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="facerec-metrics-")
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


def child_exit(server: object, worker: Any) -> None:
    """Drop the live gauges of a worker that has exited."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def worker_exit(server: object, worker: Any) -> None:
    """Exit without finalisers: the model library's would wait for threads from before the fork, and crash."""
    if worker.booted:  # a worker that failed to boot reports it by its exit code
        logging.shutdown()
        os._exit(0)


def on_exit(server: object) -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def when_ready(server: Any) -> None:
    """Load models and templates before the workers are forked, so that they share them.

    Afterwards, no threads may be running and no connections may be open. docs/decisions.md says why.
    """
    from facerec_site.preloading import prepare

    announce_stop(server)
    try:
        prepare()
    except BaseException:
        on_exit(server)  # gunicorn doesn't call it if start-up fails
        raise
    gc.collect()
    gc.freeze()  # a garbage collection in a worker would write to the shared memory, and so copy it
