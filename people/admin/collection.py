"""Collections in the admin: thresholds, counts, and deletion with everyone in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.admin import display
from django.db import models
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from people import erasure, registration
from people.admin.base import AuditedAdmin, actor_of
from people.models import ApiKey, Collection, Person, Photo, Template

THRESHOLD_HELP = (
    "When is a face the same as an enrolled one? Set one of these, or none for the default. "
    "FPIR, the false-positive identification rate, is the share of strangers’ searches that find "
    "somebody by mistake: 0.01 is one in a hundred, and the threshold rises with the number of people so "
    "that it stays so. FMR, the false match rate, is the share of pairs of two different people that are "
    "taken for one: the more people, the more mistakes a search makes at the same FMR. "
    "A lower rate means fewer mistakes, and more people who are not recognised."
)


class CollectionAdmin(AuditedAdmin[Collection]):
    list_display = ("name", "description", "people", "requires_consent", "created_at")
    search_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("name", "description", "requires_consent")}),
        ("Threshold", {"fields": ("fpir", "fmr", "min_similarity"), "description": THRESHOLD_HELP}),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Collection]:
        own = Person.objects.filter(collection=models.OuterRef("pk")).order_by().values("collection")
        people = Coalesce(models.Subquery(own.annotate(n=models.Count("pk")).values("n")), 0)
        return super().get_queryset(request).annotate(person_count=people)

    @display(ordering="person_count")
    def people(self, collection: Any) -> SafeString:
        url = reverse("admin:people_person_changelist")
        return format_html(
            '<a href="{}?collection__id__exact={}">{}</a>', url, collection.pk, collection.person_count
        )

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        registration.save_collection(obj, actor=actor_of(request))

    # Deletion: every door leads to erasure.erase_collection

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Everyone in the collection is erased with it.
        return super().has_delete_permission(request, obj) and request.user.has_perm("people.delete_person")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        collections = list(objs)
        ids = [collection.pk for collection in collections]
        counts = {
            "collections" if len(collections) != 1 else "collection": len(collections),
            "people": Person.objects.filter(collection__in=ids).count(),
            "photos": Photo.objects.filter(person__collection__in=ids).count(),
            "templates": Template.objects.filter(person__collection__in=ids).count(),
            "API keys": ApiKey.objects.filter(collection__in=ids).count(),
        }
        lacking = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return [str(collection) for collection in collections], counts, lacking, []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Mapping[str, Any] | None = None
    ) -> Any:
        # Not in one transaction, as Django would have it: a large collection would keep everybody
        # else from writing. Each person is erased in their own.
        return self._delete_view(request, object_id, extra_context)  # type: ignore[attr-defined]

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        people = erasure.erase_collection(obj, actor=actor_of(request))
        messages.success(request, f"Erased with {obj}: {people} {pluralize(people, 'person,people')}.")

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Collection]) -> None:
        for collection in queryset:
            self.delete_model(request, collection)
