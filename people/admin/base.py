"""What the admin's pages share: who acts, and deletion that goes through the acts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from people.actors import Actor
from people.errors import Conflict


def staff(request: HttpRequest) -> Actor:
    """Return who acts, as the audit names them."""
    return Actor(f"user:{request.user.pk}")


class AuditedAdmin(admin.ModelAdmin[Any]):
    """An admin whose history is the audit.

    Django's own log keeps the text of every object, here the names of people, after they are erased.
    """

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any: ...

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
            # the form was valid, so another request came between its checks and the act
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
