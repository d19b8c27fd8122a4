"""Audit and erasures: to read."""

from __future__ import annotations

from django.contrib import admin

from people.admin.base import ReadOnlyAdmin
from people.models import AuditEvent, Erasure


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "object_id", "details")
    list_filter = ("action", "at")
    search_fields = ("actor", "object_id", "request_id")
    date_hierarchy = "at"
    list_per_page = 50
    show_full_result_count = False


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = ("requested_at", "person_id", "photos", "templates", "requested_by")
    search_fields = ("person_id",)
