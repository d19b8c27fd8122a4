from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode

from people import erasure, registration, retention
from people.admin.base import AuditedAdmin, staff
from people.models import ApiKey, Collection, Person, Photo, Template
from people.models.counts import person_count


@admin.register(Collection)
class CollectionAdmin(AuditedAdmin):
    list_display = ("name", "people", "description", "requires_consent", "threshold", "created_at")
    search_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("name", "description", "requires_consent")}),
        (
            "When a search returns a match",
            {
                "fields": ("fpir", "fmr", "min_similarity"),
                "description": (
                    "Leave all three empty for the default: no more than about one in a hundred searches "
                    "for a stranger returns a match, whatever the size of the collection. Set one of them to "
                    "make matching stricter or more lenient. The false positive identification rate (FPIR) "
                    "is the share of searches for strangers that return a match; the threshold rises with "
                    "the number of people to keep it constant. The false match rate (FMR) is the share of "
                    "pairs of different people that match; at the same FMR, a larger collection returns "
                    "more false matches."
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        rows: QuerySet[Collection] = super().get_queryset(request)
        return rows.annotate(person_count=person_count())

    def get_fieldsets(self, request: HttpRequest, obj: Collection | None = None) -> Any:
        fields = ("erase_without_consent", "erase_unseen_after_days")
        description = (
            "Every hour, people to whom these rules apply are erased permanently, with their photos and "
            "templates."
        )
        shown = {"fields": (*fields, "due_now") if obj else fields, "description": description}
        return [*super().get_fieldsets(request, obj), ("Retention", shown)]

    def get_readonly_fields(self, request: HttpRequest, obj: Collection | None = None) -> tuple[str, ...]:
        return ("name", "due_now") if obj else ()  # the name is part of the API's URLs

    @admin.display(description="Due now")
    def due_now(self, row: Collection) -> str:
        """Show how many people each rule applies to, even if it is off, before staff turn it on."""
        now = timezone.now()
        expired, missing = (retention.count(row, rule) for rule in retention.consent_rules(now))
        periods = {30, 90, 365} | ({row.erase_unseen_after_days} if row.erase_unseen_after_days else set())
        unseen = {days: retention.count(row, retention.unseen_rule(days, now)) for days in sorted(periods)}
        return format_html(
            '<ul class="reasons">'
            "<li>Under the saved rules: <strong>{}</strong>. "
            '<a href="{}">List them (dry run)</a></li>'
            "<li>Without consent{}: {} with expired consent, {} with photos but no consent recorded</li>"
            "<li>Unseen{}: {}</li></ul>",
            retention.count(row, *retention.rules(row, now)),
            reverse("admin:collection_retention", args=[row.pk]),
            "" if row.erase_without_consent else " (rule off)",
            expired,
            missing,
            "" if row.erase_unseen_after_days else " (rule off)",
            ", ".join(f"{count} for {days} days" for days, count in unseen.items()),
        )

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
        if due := retention.count(obj, *retention.rules(obj)):
            people = f"{due} {pluralize(due, 'person is,people are')}"
            messages.warning(
                request, f"Under the retention rules, {people} due now and will be erased within the hour."
            )

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Django's delete_view runs in one transaction: a large collection would block all other writes.
        # Any, because django-stubs lack _delete_view
        response: HttpResponse = cast("Any", self)._delete_view(request, object_id, extra_context)
        return response

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        self._erase(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Collection]) -> None:
        for collection in queryset:
            self._erase(request, collection)

    def _erase(self, request: HttpRequest, collection: Collection) -> None:
        erased = erasure.erase_collection(collection, actor=staff(request))
        people = f"{erased} {pluralize(erased, 'person,people')}"
        messages.info(request, f"Erased {people} from {collection}, including their photos and templates.")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # deleting a collection also erases its people
        return super().has_delete_permission(request, obj) and request.user.has_perm("people.delete_person")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        ids = [collection.pk for collection in objs]
        counts = {
            "collections": len(objs),
            "people": Person.objects.filter(collection__in=ids).count(),
            "photos": Photo.objects.filter(person__collection__in=ids).count(),
            "templates": Template.objects.filter(person__collection__in=ids).count(),
            "API keys": ApiKey.objects.filter(collection__in=ids).count(),
        }
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [str(collection) for collection in objs], counts, lacking, []
