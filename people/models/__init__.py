"""The domain's tables, one noun a module."""

from people.models.api_key import ApiKey
from people.models.audit import AuditEvent
from people.models.collection import Collection
from people.models.erasure import Erasure
from people.models.idempotency import IdempotentAnswer
from people.models.outbox import OutboxEntry
from people.models.person import Person
from people.models.photo import Photo
from people.models.template import MeanTemplate, Template

__all__ = [
    "ApiKey",
    "AuditEvent",
    "Collection",
    "Erasure",
    "IdempotentAnswer",
    "MeanTemplate",
    "OutboxEntry",
    "Person",
    "Photo",
    "Template",
]
