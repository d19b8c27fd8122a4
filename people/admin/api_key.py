"""API keys in the admin: issued and shown once, changed, revoked; never deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.utils import timezone

from people import api_keys
from people.admin.base import AuditedAdmin, actor_of
from people.admin.generics import ModelFormOf
from people.models import ApiKey
from people.models.api_key import SCOPES

_SCOPE_HELP = {
    "detect": "detect: find faces, compare two photos",
    "identify": "identify: search a collection, verify a person",
    "enrol": "enrol: add and read people and their photos",
    "manage": "manage: create, change and delete collections",
    "erase": "erase: erase people",
}


class IssueForm(ModelFormOf[ApiKey]):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, _SCOPE_HELP[scope]) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["detect", "identify"],
        help_text="What the program may do.",
    )


class ApiKeyAdmin(AuditedAdmin[ApiKey]):
    list_display = ("label", "start", "scope_list", "shown_collection", "rate", "expires_at", "state")
    list_filter = ("collection",)
    list_select_related = ("collection",)
    search_fields = ("label", "prefix")
    actions = ("revoke",)

    @admin.display(description="Key")
    def start(self, key: ApiKey) -> str:
        return f"frk_{key.prefix}_…"

    @admin.display(description="Scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="Collection", ordering="collection__name")
    def shown_collection(self, key: ApiKey) -> str:
        return str(key.collection) if key.collection else "all"

    @admin.display
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return f"revoked on {timezone.localtime(key.revoked_at):%Y-%m-%d}"
        return "valid" if key.is_valid() else "expired"

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ["label", "scopes", "collection", "rate", "expires_at"]
        return ["label", "start", "scope_list", "shown_collection", "rate", "expires_at", "state"]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Sequence[str]:
        return ["start", "scope_list", "shown_collection", "state"] if obj else []

    def audited_id(self, object_id: str) -> str:
        return ApiKey.objects.filter(pk=object_id).values_list("prefix", flat=True).first() or object_id

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a revoked key stays in the list, for the audit names it

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        api_keys.change(obj, actor=actor_of(request))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """Issue a key, and show it in the answer to this very request: it is kept nowhere."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = self.get_form(request, form=IssueForm)(request.POST or None)
        context = {**self.admin_site.each_context(request), "opts": self.opts, **(extra_context or {})}
        if request.method == "POST" and form.is_valid():
            key, text = api_keys.issue(**form.cleaned_data, actor=actor_of(request))
            return TemplateResponse(
                request,
                "people/admin/issued_key.html",
                {**context, "title": "The new API key", "key": key, "text": text},
                headers={"Cache-Control": "no-store"},
            )
        adminform = helpers.AdminForm(form, list(self.get_fieldsets(request)), {}, model_admin=self)
        context |= {
            "title": "Issue an API key",
            "subtitle": None,
            "adminform": adminform,
            "errors": helpers.AdminErrorList(form, []),
            "media": self.media + adminform.media,
            "inline_admin_formsets": [],
            "is_popup": False,
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
        }
        answer: HttpResponse = self.render_change_form(request, context, add=True, form_url=form_url)
        return answer

    @admin.action(description="Revoke selected API keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: models.QuerySet[ApiKey]) -> HttpResponse | None:
        """Ask, then revoke: it can't be undone."""
        if not request.POST.get("post"):
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Revoke these API keys?",
                "keys": queryset,
                "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "people/admin/revoke_keys.html", context)
        actor = actor_of(request)
        revoked = sum(api_keys.revoke(key, actor=actor) for key in queryset)
        messages.success(request, f"Revoked {revoked} API key{pluralize(revoked)}.")
        return None
