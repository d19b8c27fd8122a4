"""Loads what web processes need before they are forked, so that the first request isn't delayed."""

from __future__ import annotations

import logging

from django.db import Error, connections

from facerec_site.system_checks import exit_on_errors
from people.active_engine import active_engine
from people.engines import engine_id, get_engine
from people.errors import IndexUnavailable
from people.indexes import get_index

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Run the system checks, then load the models and, if the database is available, the templates.

    The checks also import every view. If the templates can't be read now, each process reads them at its
    first request. All database connections are closed again. Raises SystemExit if a check finds an error,
    such as a missing model.
    """
    exit_on_errors()
    get_engine()
    try:
        get_index().load(engine_id(active_engine()))
    except (Error, IndexUnavailable) as error:
        logger.warning("The templates can't be read yet: %s", type(error).__name__)
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close()
            if hasattr(connection, "close_pool"):  # of PostgreSQL; the pool's threads wouldn't survive a fork
                connection.close_pool()
