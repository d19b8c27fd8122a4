"""Two records of one human: the page that merges them, and the list where a merge is undone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from people import merging
from people.admin.base import ReadOnlyAdmin, staff
from people.admin.staff_texts import error_text
from people.errors import FacerecError, NotMergeable, PersonMerged
from people.models import Merge, Person, Photo

SHOWN_FACES = 6
_TEXTS = {"person_merged": "One of these people has already been merged into another person."}


def merge(request: HttpRequest, first: UUID, second: UUID) -> HttpResponse:
    """Show two people side by side, and merge them when staff have chosen which is kept."""
    if not request.user.has_perm("people.change_person"):
        raise PermissionDenied
    pair = [get_object_or_404(Person.objects.select_related("collection"), pk=pk) for pk in (first, second)]
    if request.method == "POST":
        chosen = [person for person in pair if str(person.pk) == request.POST.get("kept")]
        if chosen:
            return _merge(request, chosen[0], pair[1] if chosen[0] == pair[0] else pair[0])
        messages.error(request, "Choose which person to keep.")
    cards = [_card(person) for person in pair]
    refusal = _refusal(*pair)
    context = {
        **admin.site.each_context(request),
        "title": "Merge two people",
        "cards": cards,
        "suggested": max(cards, key=lambda card: card["accepted"])["person"],
        "refusal": refusal,
    }
    return TemplateResponse(request, "people/merge.html", context)


def _merge(request: HttpRequest, kept: Person, merged: Person) -> HttpResponse:
    try:
        merge_record = merging.merge(kept, merged, actor=staff(request))
    except FacerecError as error:
        messages.error(request, error_text(error, _TEXTS))
        return redirect("admin:people_person_change", kept.pk)
    except Person.DoesNotExist:
        messages.error(request, "One of these people was erased in the meantime. Nothing was merged.")
        return redirect("admin:people_person_changelist")
    photos = len(merge_record.photo_ids)
    messages.success(
        request,
        format_html(
            "“{}” was merged into this person, with {} photo{}. "
            '<a href="{}?q={}">Undo the merge</a> if it was a mistake.',
            merged, photos, pluralize(photos), reverse("admin:people_merge_changelist"), kept.pk,
        ),
    )  # fmt: skip
    return redirect("admin:people_person_change", kept.pk)


def _card(person: Person) -> dict[str, Any]:
    photos = Photo.objects.filter(person=person)
    accepted = photos.filter(status=Photo.Status.ACCEPTED)
    return {
        "person": person,
        "faces": list(accepted.values_list("pk", flat=True)[:SHOWN_FACES]),
        "accepted": accepted.count(),
        "photos": photos.count(),
    }


def _refusal(first: Person, second: Person) -> str:
    """Return why these two can't be merged, or nothing."""
    if first == second or first.collection_id != second.collection_id:
        return error_text(NotMergeable())
    if Person.Status.MERGED in (first.status, second.status):
        return error_text(PersonMerged(), _TEXTS)
    return ""


@require_POST
def undo(request: HttpRequest, merge_id: UUID) -> HttpResponse:
    """Separate two people who were merged."""
    if not request.user.has_perm("people.change_person"):
        raise PermissionDenied
    merge_record = get_object_or_404(Merge, pk=merge_id)
    try:
        merging.undo(merge_record, actor=staff(request))
    except FacerecError as error:
        messages.error(request, error_text(error, _TEXTS))
    else:
        messages.success(request, "The merge was undone. These are two separate people again.")
    return redirect("admin:people_merge_changelist")


def _shown(field: str) -> Subquery:
    """Return the name to show for the person whose id is in `field`; NULL once they are erased."""
    name = Case(When(name="", then=Coalesce("external_id", Value("without a name"))), default="name")
    return Subquery(Person.objects.filter(pk=OuterRef(field)).annotate(shown=name).values("shown")[:1])


@admin.register(Merge)
class MergeAdmin(ReadOnlyAdmin):
    list_display = ("merged", "kept", "state", "photos", "merged_at", "merged_by")
    list_display_links = None
    search_fields = ("=kept_id", "=merged_id", "=id")
    search_help_text = "Search by the ID of a person or merge."

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("people.change_person")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("people.change_person")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Merge]:
        rows: QuerySet[Merge] = super().get_queryset(request)
        return rows.annotate(kept_shown=_shown("kept_id"), merged_shown=_shown("merged_id"))

    @admin.display(description="Merged person", ordering="merged_shown")
    def merged(self, row: Any) -> str:
        return _link(row.merged_id, row.merged_shown)

    @admin.display(description="Into", ordering="kept_shown")
    def kept(self, row: Any) -> str:
        return _link(row.kept_id, row.kept_shown)

    @admin.display(description="Photos")
    def photos(self, row: Merge) -> int:
        return len(row.photo_ids)

    @admin.display(description="Undo")
    def state(self, row: Any) -> str:
        if row.undone_at:
            return f"undone {row.undone_at:%Y-%m-%d %H:%M}"
        if row.kept_shown is None or row.merged_shown is None:
            return "erased"
        # the list is already a form with a CSRF token, and HTML doesn't allow a form in a form
        return format_html(
            '<button type="submit" class="button" formmethod="post" formaction="{}">Undo</button>',
            reverse("admin:merge_undo", args=[row.pk]),
        )


def _link(person_id: UUID, shown: str | None) -> str:
    if shown is None:
        return f"{person_id} (erased)"
    return format_html('<a href="{}">{}</a>', reverse("admin:people_person_change", args=[person_id]), shown)
