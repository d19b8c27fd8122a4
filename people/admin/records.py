"""Records that staff can view: the audit, the erasures, and failed tasks, which they can also retry."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize

from people.admin.base import ReadOnlyAdmin, staff
from people.failed_tasks import failed_tasks, retry
from people.models import AuditEvent, Erasure, OutboxEntry
from people.models.counts import row_count

HASH_CHAIN = (
    "Each event’s hash covers the event before it. To check the whole chain, which may take a while, ask "
    "your operator to run “manage.py verify_audit”."
)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "object_id", "shown_details")
    list_filter = ("action", "at")
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=actor", "=object_id", "=request_id")
    search_help_text = "Search by actor (user:1, key:3f9a1c2b), object ID or request ID."
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
        return super().changelist_view(request, {**(extra_context or {}), "hash_chain": HASH_CHAIN})


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = (
        "requested_at", "person_id", "reason", "photos", "templates", "shown_status", "backups_expire_at",
        "requested_by",
    )  # fmt: skip
    list_filter = ("reason",)
    search_fields = ("=person_id", "=id")
    search_help_text = "Search by the ID of a person or erasure."
    fields = (
        "person_id", "collection_id", "reason", "photos", "templates", "files_purged", "vectors_purged",
        "shown_status", "requested_by", "requested_at", "completed_at", "backups_expire_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Erasure]:
        rows: QuerySet[Erasure] = super().get_queryset(request)
        return rows.annotate(
            pending=row_count(OutboxEntry.objects.filter(done_at=None), "erasure_id"),
            failed=row_count(failed_tasks(), "erasure_id"),
        )

    @admin.display(description="Status")
    def shown_status(self, row: Any) -> str:
        if row.completed_at:
            return "complete, verified"
        to_purge = f"{row.pending} purge{pluralize(row.pending)} pending"
        return f"{to_purge}, {row.failed} of them failed: see Failed tasks" if row.failed else to_purge


@admin.register(OutboxEntry)
class FailedTaskAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "topic", "related_to", "attempts", "last_error", "due_at")
    list_display_links = None
    list_filter = ("topic",)
    actions = ("retry",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxEntry]:
        return failed_tasks()

    @admin.display(description="Related to")
    def related_to(self, row: OutboxEntry) -> str:
        if row.erasure_id:
            return f"erasure {row.erasure_id}"
        return str(row.photo_id or row.vector_id or row.import_id or row.file_name)

    @admin.action(description="Retry the selected tasks", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[OutboxEntry]) -> None:
        selected = OutboxEntry.objects.filter(pk__in=queryset.values("pk"))
        count = retry(selected, actor=staff(request))
        messages.success(
            request,
            f"Retrying {count} task{pluralize(count)}. Tasks that fail again will reappear in this list.",
        )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("people.change_person"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "title": "Tasks that failed after ten attempts"}
        return super().changelist_view(request, context)
