from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from people import erasure, registration
from people.admin.base import AuditedAdmin, staff
from people.models import Collection, Person, Photo


@admin.register(Collection)
class CollectionAdmin(AuditedAdmin):
    list_display = ("name", "people", "description", "requires_consent", "threshold", "created_at")
    search_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("name", "description", "requires_consent")}),
        (
            "When a search finds somebody",
            {
                "fields": ("fpir", "fmr", "min_similarity"),
                "description": (
                    "Leave all empty for the default: one stranger's search in a hundred may find somebody, "
                    "however many people the collection holds. Set one of them to be stricter or looser."
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        rows: QuerySet[Collection] = super().get_queryset(request)
        return rows.annotate(person_count=Count("persons"))

    def get_readonly_fields(self, request: HttpRequest, obj: Collection | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()  # it stands in the API's URLs

    @admin.display(description="People", ordering="person_count")
    def people(self, row: Any) -> str:
        query = urlencode({"collection__id__exact": row.pk})
        url = f"{reverse('admin:people_person_changelist')}?{query}"
        return format_html('<a href="{}">{}</a>', url, row.person_count)

    @admin.display(description="Threshold")
    def threshold(self, row: Collection) -> str:
        if row.min_similarity is not None:
            return f"similarity ≥ {row.min_similarity:g}"
        if row.fmr is not None:
            return f"FMR {row.fmr:g}"
        return f"FPIR {row.fpir:g}" if row.fpir is not None else "FPIR 0.01 (default)"

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        registration.save_collection(obj, actor=staff(request))

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        self._erase(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Collection]) -> None:
        for collection in queryset:
            self._erase(request, collection)

    def _erase(self, request: HttpRequest, collection: Collection) -> None:
        erased = erasure.erase_collection(collection, actor=staff(request))
        messages.info(request, f"Erased {erased} people with their photos and templates.")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # it erases people, too
        return super().has_delete_permission(request, obj) and request.user.has_perm("people.delete_person")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        persons = Person.objects.filter(collection__in=list(objs))
        counts = {
            "collections": len(objs),
            "people": persons.count(),
            "photos": Photo.objects.filter(person__in=persons).count(),
        }
        return [str(one) for one in objs], counts, set(), []
