from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from people import api_keys
from people.admin.base import AuditedAdmin, staff
from people.models import ApiKey, Collection
from people.models.api_key import SCOPES

_MEANINGS = {
    "detect": "detect – find and compare faces in photos, without a collection",
    "identify": "identify – search for people and verify them",
    "enrol": "enrol – add and change people and photos",
    "manage": "manage – add and change collections",
    "erase": "erase – erase people permanently",
}


class ApiKeyForm(forms.ModelForm[ApiKey]):
    collection = forms.ModelChoiceField(
        Collection.objects.all(), required=False, empty_label="all collections"
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, _MEANINGS[scope]) for scope in SCOPES], widget=forms.CheckboxSelectMultiple
    )
    expires_at = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="In UTC. Leave empty for a key that never expires.",
    )

    class Meta:
        model = ApiKey
        fields = ("label", "scopes", "collection", "rate", "expires_at")


class ChangeForm(forms.ModelForm[ApiKey]):
    """The scopes and the collection never change: a program that needs more gets a new key."""

    expires_at = ApiKeyForm.base_fields["expires_at"]

    class Meta:
        model = ApiKey
        fields = ("label", "rate", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedAdmin):
    form = ChangeForm
    fields = (
        "label", "shown_prefix", "shown_scopes", "shown_collection", "rate", "expires_at", "state",
        "created_at",
    )  # fmt: skip
    readonly_fields = ("shown_prefix", "shown_scopes", "shown_collection", "state", "created_at")
    list_display = (
        "label",
        "shown_prefix",
        "shown_scopes",
        "shown_collection",
        "rate",
        "expires_at",
        "state",
    )
    list_select_related = ("collection",)
    search_fields = ("label", "prefix")
    actions = ("revoke",)

    @admin.display(description="Key")
    def shown_prefix(self, row: ApiKey) -> str:
        return f"frk_{row.prefix}_…"

    @admin.display(description="Scopes")
    def shown_scopes(self, row: ApiKey) -> str:
        return ", ".join(row.scopes)

    @admin.display(description="Collection", ordering="collection__name")
    def shown_collection(self, row: ApiKey) -> str:
        return str(row.collection or "all collections")

    @admin.display(description="State")
    def state(self, row: ApiKey) -> str:
        if row.revoked_at:
            return "revoked"
        return "valid" if row.is_valid() else "expired"

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            if api_keys.revoke(key, actor=staff(request)):
                messages.success(request, f"{key} is revoked and no longer works.")

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # the audit identifies a key by its prefix
        key: ApiKey | None = self.get_object(request, unquote(object_id))
        return super().history_view(request, key.prefix if key else object_id, extra_context)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked keys are kept, so that prefixes in the audit can be looked up

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Issue a key and show it in this response only: it is not stored, not even in the session."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ApiKeyForm(request.POST or None)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form}
        if request.method != "POST" or not form.is_valid():
            return TemplateResponse(request, "people/key_form.html", {**context, "title": "Issue an API key"})
        key, text = api_keys.issue(**form.cleaned_data, actor=staff(request))
        response = TemplateResponse(
            request, "people/key_shown.html", {**context, "title": "API key issued", "key": key, "text": text}
        )
        response["Cache-Control"] = "no-store"
        return response

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        api_keys.change(obj, actor=staff(request))
