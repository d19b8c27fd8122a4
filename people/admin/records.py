"""What was done, read-only: the audit and the erasures."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from people.admin.base import ReadOnlyAdmin
from people.models import AuditEvent, Erasure

HASH_CHAIN = (
    "Each event’s hash covers the event before it. Whether the chain is whole is not computed here, since "
    "it takes a reading of every event: run “manage.py verify_audit”."
)


class AuditEventAdmin(ReadOnlyAdmin[AuditEvent]):
    list_display = ("at", "actor", "action", "object_id", "shown_details")
    list_filter = ("action", "at")
    search_fields = ("=actor", "=object_id", "=request_id")
    search_help_text = "Search by actor (user:1, key:3f9a1c2b), object id or request id."
    fields = (
        "at", "actor", "action", "collection_id", "object_id", "shown_details", "request_id",
        "previous_hash", "hash",
    )  # fmt: skip

    @admin.display(description="Details")
    def shown_details(self, event: AuditEvent) -> str:
        return ", ".join(
            f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
            for name, value in event.details.items()
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer: HttpResponse = super().changelist_view(
            request, {"subtitle": HASH_CHAIN, "title": "Audit", **(extra_context or {})}
        )
        return answer


class ErasureAdmin(ReadOnlyAdmin[Erasure]):
    list_display = ("requested_at", "person_id", "photos", "templates", "requested_by")
    search_fields = ("=person_id", "=id")
    search_help_text = "Search by the id of the person or of the erasure."
