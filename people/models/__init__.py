"""The domain's tables, one noun per module."""

from people.models.api_key import ApiKey
from people.models.audit import AuditEvent
from people.models.collection import Collection
from people.models.engine_version import EngineVersion
from people.models.erasure import Erasure
from people.models.idempotency import IdempotentAnswer
from people.models.import_job import ImportItem, ImportJob
from people.models.merge import Merge
from people.models.outbox import OutboxEntry
from people.models.person import Person
from people.models.photo import Photo
from people.models.template import MeanTemplate, Template

__all__ = [
    "ApiKey",
    "AuditEvent",
    "Collection",
    "EngineVersion",
    "Erasure",
    "IdempotentAnswer",
    "ImportItem",
    "ImportJob",
    "MeanTemplate",
    "Merge",
    "OutboxEntry",
    "Person",
    "Photo",
    "Template",
]
