from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils.html import format_html

from people import enrolment, erasure, photo_warnings, registration
from people.admin.base import AuditedAdmin, staff
from people.admin.figures import Figure, Mark, words
from people.errors import FacerecError
from people.models import Collection, Person, Photo, Template
from people.strict_json import StrictDecoder

SHOWN_PHOTOS = 60
# What the acts' sentences say to programs, said to people who see the page.
_SAID = {
    "several_faces": "The photo shows several faces. Choose the one to enrol.",
    "poor_quality": "The face is not clear enough to enrol.",
}


class ManyFilesInput(forms.FileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Several files in one field; the value is a list.

    The files are not looked at: each gets its own verdict when it is submitted, and a bad one
    doesn't keep the good ones out.
    """

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        return data if isinstance(data, list) else [data] if data else []


class PersonForm(forms.ModelForm[Person]):
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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "metadata" in self.fields:  # not on a page that only shows
            metadata: Any = self.fields["metadata"]
            metadata.decoder = StrictDecoder
        if "status" in self.fields:
            field: Any = self.fields["status"]
            field.choices = [one for one in Person.Status.choices if one[0] != Person.Status.MERGED]

    def _get_validation_exclusions(self) -> set[str]:
        # An existing person's collection is not in the form, but external_id is unique in it.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"collection"} if self.instance.collection_id else excluded

    def clean_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] | None = self.cleaned_data["metadata"]
        return {} if metadata is None else metadata


class StatusFilter(admin.SimpleListFilter):
    """Without a choice, each human is listed once: merged records are left out."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Person.Status.choices)

    def choices(self, changelist: Any) -> Iterator[Any]:
        everyone, *others = super().choices(changelist)
        yield {**everyone, "display": "All but merged"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = self.value()
        return queryset.filter(status=wanted) if wanted else queryset.not_merged()


class PhotosFilter(admin.SimpleListFilter):
    title = parameter_name = "photos"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("none", "none accepted"),
            ("warned", "accepted with a warning"),
            (Photo.Status.REJECTED, "rejected"),
            (Photo.Status.PENDING, "pending"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Person]) -> QuerySet[Person]:
        own = Photo.objects.filter(person=OuterRef("pk"))
        wanted = self.value()
        if wanted == "none":
            return queryset.exclude(Exists(own.filter(status=Photo.Status.ACCEPTED)))
        if wanted == "warned":
            return queryset.filter(Exists(own.exclude(warnings=[])))
        return queryset.filter(Exists(own.filter(status=wanted))) if wanted else queryset


def _may_upload(request: HttpRequest) -> bool:
    return request.user.has_perm("people.add_photo") or request.user.has_perm("people.change_person")


def _count(status: str) -> Coalesce:
    # a subquery, so that only the rows of the page shown are counted
    own = Photo.objects.filter(person=OuterRef("pk"), status=status).order_by().values("person")
    return Coalesce(Subquery(own.annotate(count=Count("pk")).values("count")), 0)


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
    search_help_text = "By name, external id or id."
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
            accepted=_count(Photo.Status.ACCEPTED),
            pending=_count(Photo.Status.PENDING),
            rejected=_count(Photo.Status.REJECTED),
        )

    @admin.action(description="Merge the two selected people …", permissions=["change"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Person]) -> HttpResponse | None:
        two = list(queryset.values_list("pk", flat=True)[:3])
        if len(two) != 2:
            messages.error(request, "Select exactly two people to merge.")
            return None
        return redirect("admin:person_merge", *two)

    def has_change_permission(self, request: HttpRequest, obj: Person | None = None) -> bool:
        if obj is not None and obj.status == Person.Status.MERGED:
            return False
        return bool(super().has_change_permission(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: Person | None = None) -> Any:
        first, *rest = super().get_fieldsets(request, obj)
        if _may_upload(request) and (obj is None or obj.status != Person.Status.MERGED):
            return [first, *rest]
        shown = tuple(field for field in self.fieldsets[0][1]["fields"] if field != "photos")
        return [(first[0], {"fields": shown}), *rest]

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
        only = Collection.objects.values_list("pk", flat=True)[:2]
        return {"collection": only[0], **initial} if len(only) == 1 else initial

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        registration.save_person(obj, actor=staff(request))
        # enrolled after the form's transaction: each photo is a transaction of its own
        holder: Any = request
        holder.photos_to_submit = (obj, form.cleaned_data["photos"] if _may_upload(request) else [])

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {**(extra_context or {}), "photo_rows": self._photo_rows(object_id) if object_id else []}
        shown = self.get_object(request, unquote(object_id)) if object_id else None
        context |= {"kept": shown.kept()} if shown and shown.merged_into_id else {}
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
        warnings = photo_warnings.current(rows)
        others = {one["person"] for many in warnings.values() for one in many if one.get("person")}
        # those who still exist
        names = {str(one.pk): one for one in Person.objects.filter(pk__in=others)}
        return [self._photo_row(row, warnings[row.pk], names) for row in rows]

    def _photo_row(
        self, row: Photo, warnings: list[dict[str, Any]], names: dict[str, Person]
    ) -> dict[str, Any]:
        template: Template | None = next(iter(row.templates.all()), None)
        refused = row.rejection or {}
        marks = [Mark.at(template.box, "good", "")] if template else []
        if poor := refused.get("face"):
            marks.append(Mark.at(poor, "poor", ""))
        marks += [Mark.at(box, "unsure", str(n)) for n, box in enumerate(refused.get("faces", []), 1)]
        href = reverse("admin:photo_image", args=[row.pk])
        return {
            "photo": row,
            "detail": _SAID.get(refused.get("code", "")) or refused.get("detail", ""),
            "figure": Figure(href, row.width, row.height, f"Photo, {row.status}", marks),
            "faces": [
                f"{box['left']},{box['top']},{box['width']},{box['height']}"
                for box in refused.get("faces", [])
            ],
            "reasons": [{**reason, "title": words(reason["code"])} for reason in refused.get("reasons", [])],
            "warnings": [
                {
                    **warning,
                    "title": words(warning["code"]),
                    "other": names.get(warning.get("person", "")),
                }
                for warning in warnings
            ],
        }

    def delete_model(self, request: HttpRequest, obj: Person) -> None:
        self._erase(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        self._erase(request, *queryset)

    def _erase(self, request: HttpRequest, *people: Person) -> None:
        photos = templates = 0
        for person in people:
            try:
                receipt = erasure.erase(person, actor=staff(request))
            except Person.DoesNotExist:
                continue  # somebody else erased them first
            photos, templates = photos + receipt.photos, templates + receipt.templates
        messages.info(
            request,
            f"Erased with {photos} photo{pluralize(photos)} and {templates} template{pluralize(templates)}.",
        )

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        # with the records that were merged with them, since it is the human who is erased
        ids = {one for person in objs for one in Person.everyone(person.pk)}
        persons = list(Person.objects.filter(pk__in=ids))
        counts = {
            "people": len(persons),
            "photos": Photo.objects.filter(person__in=ids).count(),
            "templates": Template.objects.filter(person__in=ids).count(),
        }
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [str(person) for person in persons], counts, lacking, []
