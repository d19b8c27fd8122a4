"""The container's health check: `python -m facerec_site.container_health`.

It exits with 0 if /health returns 200, and with 1 otherwise.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from facerec_site.bind_address import as_netloc, local_address

TIMEOUT_SECONDS = 4


def main() -> int:
    host, port = local_address(os.environ)
    try:
        # Unlike urllib, HTTPConnection ignores proxies set in the environment.
        with closing(HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)) as connection:
            connection.request("GET", "/health")
            status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        problem = str(error)
    else:
        if status == 200:
            return 0
        problem = f"status {status}"
    sys.stderr.write(f"http://{as_netloc(host, port)}/health: {problem}\n")  # ECS records it
    return 1


if __name__ == "__main__":
    sys.exit(main())
