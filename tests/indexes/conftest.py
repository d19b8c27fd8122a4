"""A remote index with a test double as its server, and the operations that bring it up to date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from people import index_sync, tasks
from people.indexes.base import Space
from people.indexes.pinecone import namespace_of
from people.models import Collection, OutboxEntry
from tests.pinecone_double import Double, pinecone_index


@pytest.fixture
def pinecone_in_use(settings: Any, pinecone: Double) -> None:
    """Use the test double of Pinecone as the index."""
    settings.TEMPLATE_INDEX = pinecone_index(pinecone)


@pytest.fixture
def settle(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that sends, confirms and purges vectors as a worker would within a minute."""

    def settle() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(index_sync, "SETTLE", timedelta(0))
            for _ in range(3):
                OutboxEntry.objects.filter(done_at=None).update(
                    due_at=timezone.now(), settled_at=timezone.now()
                )
                tasks.sweep()

    return settle


@pytest.fixture
def space(collection: Collection) -> Space:
    """The space of the collection's vectors from the fake engine."""
    return Space(collection.pk, "fake/1")


@pytest.fixture
def namespace(space: Space) -> str:
    """The Pinecone namespace of `space`."""
    return namespace_of(space)
