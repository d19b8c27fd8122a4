from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from people import enrolment, erasure, registration
from people.admin.base import AuditedAdmin, staff
from people.admin.figures import Figure, Mark
from people.admin.generics import ModelFormOf
from people.errors import FacerecError
from people.models import Person, Photo, Template

SHOWN_PHOTOS = 60


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Several files in one field; the value is a list."""

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = data if isinstance(data, list) else [data] if data else []
        return [super(ManyFilesField, self).clean(file, initial) for file in files]


class PersonForm(ModelFormOf[Person]):
    photos = ManyFilesField(
        required=False,
        label="Add photos",
        widget=ManyFilesInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic"}),
        help_text="One or several; JPEG, PNG, WebP or HEIC, 10 MB each.",
    )

    class Meta:
        model = Person
        fields = (
            "collection", "name", "external_id", "status",
            "consent_given_at", "consent_expires_at", "metadata",
        )  # fmt: skip


@admin.register(Person)
class PersonAdmin(AuditedAdmin):
    form = PersonForm
    change_form_template = "admin/people/person/change_form.html"
    list_display = ("face", "shown_name", "external_id", "collection", "status", "photo_counts", "created_at")
    list_display_links = ("face", "shown_name")
    list_filter = ("collection", "status")
    list_select_related = ("collection",)
    list_per_page = 50
    search_fields = ("name", "external_id")
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
            accepted=Count("photos", filter=Q(photos__status=Photo.Status.ACCEPTED)),
            pending=Count("photos", filter=Q(photos__status=Photo.Status.PENDING)),
        )

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
        return f"{row.accepted}, {row.pending} pending" if row.pending else str(row.accepted)

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        registration.save_person(obj, actor=staff(request))
        # enrolled after the form's transaction: each photo is a transaction of its own
        holder: Any = request
        holder.photos_to_submit = (obj, form.cleaned_data["photos"])

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {**(extra_context or {}), "photo_rows": self._photo_rows(object_id) if object_id else []}
        response = super().changeform_view(request, object_id, form_url, context)
        person, files = getattr(request, "photos_to_submit", (None, []))
        if person is None or not files:
            return response
        for file in files:
            self._submit(request, person, file)
        return redirect("admin:people_person_change", person.pk)

    def _submit(self, request: HttpRequest, person: Person, file: Any) -> None:
        try:
            submission = enrolment.submit(person, file.read(), actor=staff(request))
        except FacerecError as error:
            messages.error(request, f"“{file.name}”: {error.message}")
        except Person.DoesNotExist:
            messages.error(request, f"“{file.name}”: this person was erased meanwhile.")
        else:
            if not submission.created:
                messages.warning(request, f"“{file.name}”: this person has this photo already.")

    def _photo_rows(self, person_id: str) -> list[dict[str, Any]]:
        try:
            rows = Photo.objects.filter(person=UUID(unquote(person_id))).prefetch_related("templates")
        except ValueError:
            return []  # Django answers that there is no such person
        rows = rows[:SHOWN_PHOTOS]
        others = {
            warning["person"] for row in rows for warning in row.warnings if warning.get("person")
        }  # those who still exist
        names = {str(one.pk): one for one in Person.objects.filter(pk__in=others)}
        return [self._photo_row(row, names) for row in rows]

    def _photo_row(self, row: Photo, names: dict[str, Person]) -> dict[str, Any]:
        template: Template | None = next(iter(row.templates.all()), None)
        refused = row.rejection or {}
        marks = [Mark.at(template.box, "good", "")] if template else []
        marks += [Mark.at(box, "unsure", str(n)) for n, box in enumerate(refused.get("faces", []), 1)]
        href = reverse("admin:photo_image", args=[row.pk])
        return {
            "photo": row,
            "figure": Figure(href, row.width, row.height, f"Photo, {row.status}", marks),
            "faces": [
                f"{box['left']},{box['top']},{box['width']},{box['height']}"
                for box in refused.get("faces", [])
            ],
            "warnings": [
                {**warning, "other": names.get(warning.get("person", ""))} for warning in row.warnings
            ],
        }

    def delete_model(self, request: HttpRequest, obj: Person) -> None:
        self._erase(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        for person in queryset:
            self._erase(request, person)

    def _erase(self, request: HttpRequest, person: Person) -> None:
        receipt = erasure.erase(person, actor=staff(request))
        messages.info(request, f"Erased with {receipt.photos} photos and {receipt.templates} templates.")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        persons = list(objs)
        counts = {
            "people": len(persons),
            "photos": Photo.objects.filter(person__in=persons).count(),
            "templates": Template.objects.filter(person__in=persons).count(),
        }
        return [str(person) for person in persons], counts, set(), []
