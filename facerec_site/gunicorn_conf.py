"""How gunicorn serves facerec_site.wsgi."""

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

# Told here: a process that can't start because of it would be started again and again.
if os.environ.get("ENVIRONMENT") == "production" and (_missing := problems(os.environ)):
    raise SystemExit("facerec-api can't start:\n" + "\n".join(f"  {line}" for line in _missing))

bind = as_netloc(*bind_address(os.environ))
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Photos are worked on one at a time (people.capacity); threads let requests that wait for a turn, an
# enrolment or a slow client stand beside others, and those for whom there is no room be told so.
worker_class = "facerec_site.draining.DrainingWorker"
threads = 12
preload_app = True
timeout = 60
graceful_timeout = 30
# It would be written to the home folder, which is read-only in a container, and nobody uses it.
control_socket_disable = True
keepalive = 75  # above the load balancer's 60 s, so that it never reuses a connection we close
# no access log: facerec_site.observation reports each request, without address and path
logconfig_dict = configuration(chosen_format(os.environ))
# Where the processes put what they count, so that any of them can tell it all; new with each start.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="facerec-metrics-")
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


def child_exit(server: object, worker: Any) -> None:
    """Drop what a process that ended had measured of its present."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def worker_exit(server: object, worker: Any) -> None:
    """End here: the models' library would wait for threads that it started before the fork, and crash."""
    if worker.booted:  # one that wasn't tells so by its exit code
        logging.shutdown()
        os._exit(0)


def on_exit(server: object) -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def when_ready(server: Any) -> None:
    """Load models and templates before forking, so that the workers share them: see docs/decisions.md.

    Nothing that runs threads or holds a connection may be left open here.
    """
    from facerec_site.preloading import prepare

    announce_stop(server)
    try:
        prepare()
    except BaseException:
        on_exit(server)  # gunicorn calls it only after it has served
        raise
    gc.collect()
    gc.freeze()  # a collection in a worker would write to, and so copy, all that is shared
