"""How gunicorn serves facerec_site.wsgi."""

import os

bind = f"{os.environ.get('BIND_ADDRESS', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Threads let a request that waits for an enrolment stand beside others that compute.
worker_class = "gthread"
threads = 4
timeout = 60
graceful_timeout = 30
keepalive = 75  # above the load balancer's 60 s, so that it never reuses a connection we close
accesslog = "-"
# The path without its query: a search for a name must not stand in a log.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms %({x-request-id}o)s'
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


def post_worker_init(worker: object) -> None:
    """Load the models before the first request comes."""
    from people.engines import get_engine

    get_engine()
