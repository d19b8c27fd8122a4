"""What the admin's pages share: the actor, the audit as history, titles, and read-only rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst

from people.actors import Actor
from people.errors import Conflict


def staff(request: HttpRequest) -> Actor:
    """Return the actor that the audit records for this request."""
    return Actor(f"user:{request.user.pk}")


class AuditedAdmin(admin.ModelAdmin[Any]):
    """An admin whose history is the audit, whose lists have their own titles, and which reports conflicts.

    Django's own log keeps the text of every object: people's names would remain in it after an erasure.
    """

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any: ...

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list under the name of its rows, instead of Django's "Select person to change"."""
        title = capfirst(str(self.opts.verbose_name_plural))
        response: HttpResponse = super().changelist_view(request, {"title": title, **(extra_context or {})})
        return response

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (ObjectDoesNotExist, IntegrityError, ValidationError, Conflict):
            if request.method != "POST":
                raise
            # the form was valid, so another request changed the data between its checks and the operation
            messages.error(
                request,
                "Someone else changed, merged or deleted this record in the meantime. Nothing was saved.",
            )
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect(f"{reverse('admin:people_auditevent_changelist')}?{urlencode({'q': object_id})}")


class ReadOnlyAdmin(AuditedAdmin):
    """Rows that staff can view but not change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
