from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.html import format_html

from people import enrolment, erasure, registration
from people.admin.base import AuditedAdmin, staff
from people.admin.person_filters import PhotosFilter, StatusFilter
from people.admin.person_form import PersonForm
from people.admin.photo_rows import photo_rows
from people.admin.staff_texts import error_text
from people.errors import FacerecError
from people.models import Collection, Person, Photo, Template
from people.models.counts import photo_count


def _may_upload(request: HttpRequest) -> bool:
    return request.user.has_perm("people.add_photo") or request.user.has_perm("people.change_person")


@admin.register(Person)
class PersonAdmin(AuditedAdmin):
    form = PersonForm
    change_form_template = "admin/people/person/change_form.html"
    list_display = ("face", "shown_name", "external_id", "collection", "status", "photo_counts", "created_at")
    list_display_links = ("face", "shown_name")
    list_filter = ("collection", StatusFilter, PhotosFilter)
    list_select_related = ("collection",)
    list_per_page = 50
    search_fields = ("name", "external_id", "=id")
    search_help_text = "Search by name, external ID or ID."
    actions = ("merge",)
    fieldsets = (
        (None, {"fields": ("collection", "name", "external_id", "status", "photos")}),
        ("Consent", {"fields": ("consent_given_at", "consent_expires_at"), "classes": ("collapse",)}),
        ("More", {"fields": ("metadata",), "classes": ("collapse",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        accepted = Photo.objects.filter(person=OuterRef("pk"), status=Photo.Status.ACCEPTED)
        rows: QuerySet[Person] = super().get_queryset(request)
        return rows.annotate(
            newest_photo=Subquery(accepted.order_by("-created_at").values("pk")[:1]),
            accepted=photo_count(Photo.Status.ACCEPTED),
            pending=photo_count(Photo.Status.PENDING),
            rejected=photo_count(Photo.Status.REJECTED),
        )

    @admin.action(description="Merge the two selected people …", permissions=["change"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Person]) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[:3])
        if len(ids) != 2:
            messages.error(request, "Select exactly two people to merge.")
            return None
        return redirect("admin:person_merge", *ids)

    def has_change_permission(self, request: HttpRequest, obj: Person | None = None) -> bool:
        if obj is not None and obj.status == Person.Status.MERGED:
            return False
        return bool(super().has_change_permission(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: Person | None = None) -> Any:
        first, *rest = super().get_fieldsets(request, obj)
        if _may_upload(request) and (obj is None or obj.status != Person.Status.MERGED):
            return [first, *rest]
        without_photos = tuple(field for field in self.fieldsets[0][1]["fields"] if field != "photos")
        return [(first[0], {"fields": without_photos}), *rest]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer no links next to the collection that would change or delete it."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(widget := getattr(field, "widget", None), RelatedFieldWidgetWrapper):
            widget.can_change_related = widget.can_delete_related = False
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Person | None = None) -> tuple[str, ...]:
        return ("collection",) if obj else ()  # templates are compared within one collection only

    @admin.display(description="Face")
    def face(self, row: Any) -> str:
        if row.newest_photo is None:
            return "–"
        url = reverse("admin:photo_thumbnail", args=[row.newest_photo])
        return format_html(
            '<img class="face" src="{}" alt="Face of {}" width="48" height="48" loading="lazy">', url, row
        )

    @admin.display(description="Name", ordering="name")
    def shown_name(self, row: Person) -> str:
        return str(row)

    @admin.display(description="Photos", ordering="accepted")
    def photo_counts(self, row: Any) -> str:
        counts = [str(row.accepted)]
        counts += [f"{row.pending} pending"] if row.pending else []
        counts += [f"{row.rejected} rejected"] if row.rejected else []
        return ", ".join(counts)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        ids = Collection.objects.values_list("pk", flat=True)[:2]
        return {"collection": ids[0], **initial} if len(ids) == 1 else initial

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        registration.save_person(obj, actor=staff(request))
        # changeform_view submits the photos after the form's transaction, each in its own
        holder: Any = request
        holder.photos_to_submit = (obj, form.cleaned_data["photos"] if _may_upload(request) else [])

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # only when the page is rendered, which a saved form redirects instead
        rows = SimpleLazyObject(lambda: photo_rows(object_id) if object_id else [])
        context = {**(extra_context or {}), "photo_rows": rows}
        response = super().changeform_view(request, object_id, form_url, context)
        person, files = getattr(request, "photos_to_submit", (None, []))
        if person is None or not files:
            return response
        for file in files:
            self._submit(request, person, file)
        if not self.has_view_or_change_permission(request, person):
            return response
        return redirect("admin:people_person_change", person.pk)

    def _submit(self, request: HttpRequest, person: Person, file: Any) -> None:
        try:
            submission = enrolment.submit(person, file.read(), actor=staff(request))
        except FacerecError as error:
            messages.error(request, f"“{file.name}”: {error_text(error)}")
        except Person.DoesNotExist:
            messages.error(request, f"“{file.name}”: this person was erased in the meantime.")
        else:
            if not submission.created:
                messages.warning(request, f"“{file.name}”: this person already has this photo.")

    def delete_model(self, request: HttpRequest, obj: Person) -> None:
        self._erase(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        self._erase(request, *queryset)

    def _erase(self, request: HttpRequest, *people: Person) -> None:
        erased = photos = templates = 0
        for person in people:
            try:
                receipt = erasure.erase(person, actor=staff(request))
            except Person.DoesNotExist:
                continue  # another request erased them first
            erased, photos, templates = erased + 1, photos + receipt.photos, templates + receipt.templates
        messages.info(
            request,
            f"Erased {erased} {pluralize(erased, 'person,people')} with {photos} photo{pluralize(photos)} "
            f"and {templates} template{pluralize(templates)}.",
        )

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        # with all records that were merged with them: an erasure covers every record of the human
        ids = {person_id for person in objs for person_id in Person.all_record_ids(person.pk)}
        persons = list(Person.objects.filter(pk__in=ids))
        counts = {
            "people": len(persons),
            "photos": Photo.objects.filter(person__in=ids).count(),
            "templates": Template.objects.filter(person__in=ids).count(),
        }
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [str(person) for person in persons], counts, lacking, []
