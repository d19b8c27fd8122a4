"""What web processes need to answer their first request at once, loaded before they are forked."""

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
    """Check the installation, then load the models and, if the database can be read, the templates.

    The checks also load every view. Each process reads at its first request whatever can't be read now.
    No connection is left open. Raises SystemExit when a check finds an error, such as a missing model.
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
            if hasattr(connection, "close_pool"):  # PostgreSQL's, whose threads would not outlive a fork
                connection.close_pool()
