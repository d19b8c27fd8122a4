"""What a process needs to answer at once, read before it is forked."""

from __future__ import annotations

import logging

from django.db import Error, connections

from people.active_engine import active_engine
from people.engines import engine_id, get_engine
from people.errors import IndexUnavailable
from people.indexes import get_index

logger = logging.getLogger(__name__)


def prepare() -> None:
    """Load the models and, if the database can be read, the templates. No connection is left open.

    Raises ModelMissing. What can't be read now, each process reads when it is first asked.
    """
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
