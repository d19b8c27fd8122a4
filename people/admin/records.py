"""What was done, read-only: the audit and the erasures."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from people.admin.base import ReadOnlyAdmin
from people.models import AuditEvent, Erasure

HASH_CHAIN = (
    "Each event’s hash covers the event before it. Whether the chain is whole takes a reading of every "
    "event, so it is not computed here: run “manage.py verify_audit”."
)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "object_id", "shown_details")
    list_filter = ("action", "at")
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=actor", "=object_id", "=request_id")
    search_help_text = "By actor (user:1, key:3f9a1c2b), id of the object, or id of the request."
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
        context = {**(extra_context or {}), "title": "Audit", "hash_chain": HASH_CHAIN}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = ("requested_at", "person_id", "photos", "templates", "requested_by")
    search_fields = ("=person_id", "=id")
    search_help_text = "By id of the person or of the erasure."
