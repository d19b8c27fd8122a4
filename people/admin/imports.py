"""Imports: start one, watch its progress, and see the result of each file."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from people.admin.base import ReadOnlyAdmin, staff
from people.admin.staff_texts import error_text, problem_text, reason_rows
from people.errors import ArchiveTooLarge, FacerecError
from people.import_records import UNFINISHED
from people.imports import jobs
from people.models import Collection, ImportItem, ImportJob, Person
from people.s3 import input_buckets
from people.uploads import expect_archive

PER_PAGE = 50
_CSV_TEXTS = {"people_csv_invalid": "people.csv contains errors. Correct the lines below and import again."}
# rejected photos aren't kept, so staff can't choose a face here
ITEM_TEXTS = {
    "several_faces": (
        "The photo shows several faces. Crop it to one face and import it again, or add it on the person’s "
        "page and choose the face there."
    ),
    "person_merged": (
        "This person was merged into another. Import the photo for the other person, or undo the merge and "
        "import again."
    ),
}


class StartForm(forms.Form):
    archive = forms.FileField(
        required=False,
        allow_empty_file=True,  # the operation reports what is wrong with it
        label="ZIP archive",
        widget=forms.FileInput(attrs={"accept": ".zip,application/zip"}),
    )
    bucket = forms.ChoiceField(required=False, label="Or a bucket")
    folder = forms.CharField(
        required=False, max_length=1000, help_text="The folder in the bucket that contains person/photo.jpg."
    )
    collection = forms.ModelChoiceField(Collection.objects.all(), empty_label=None)
    dry_run = forms.BooleanField(required=False, label="Dry run: check every file without enrolling anyone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["archive"].help_text = (
            f"At most {settings.FACEREC_IMPORT_MAX_MB} MB, with one folder of photos per person: "
            "person/photo.jpg. The folder’s name becomes the external ID. An optional people.csv next "
            "to the folders has the columns folder, external_id, name, metadata, consent_given_at, "
            "consent_expires_at."
        )
        if names := input_buckets.allowed():
            self.fields["bucket"] = forms.ChoiceField(
                required=False, label="Or a bucket", choices=[("", "–"), *((name, name) for name in names)]
            )
        else:
            del self.fields["bucket"], self.fields["folder"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("archive")) == bool(cleaned.get("bucket")) and not self.errors:
            self.add_error("archive", "Choose either a ZIP archive or a bucket." if "bucket" in self.fields
                           else "Choose a ZIP archive.")  # fmt: skip
        return cleaned


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "collection", "source", "dry_run", "state", "files")
    list_display_links = ("created_at",)
    list_filter = ("collection", "state")
    list_select_related = ("collection",)
    list_per_page = 25

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("people.add_photo") and request.user.has_perm("people.add_person")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    @admin.display(description="Files")
    def files(self, row: ImportJob) -> str:
        counts = jobs.counts(row)
        return f"{counts.done} of {counts.total}"

    def get_urls(self) -> list[Any]:
        cancel: URLPattern = path(
            "<uuid:job_id>/cancel/", self.admin_site.admin_view(self.cancel_view), name="import_cancel"
        )
        return [cancel, *super().get_urls()]

    # Where an archive is stored must be chosen before the check of the form's CSRF token reads the body.
    @method_decorator(csrf_exempt)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        expect_archive(request)
        try:
            return self._start(request)
        except ArchiveTooLarge as error:
            messages.error(request, error_text(error))
            return redirect("admin:people_importjob_add")

    @method_decorator(csrf_protect)
    def _start(self, request: HttpRequest) -> HttpResponse:
        form = StartForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                job = _submitted(request, form.cleaned_data)
            except FacerecError as error:
                form.add_error("bucket" if form.cleaned_data.get("bucket") else "archive", error_text(error))
            else:
                return redirect("admin:people_importjob_change", job.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Import people",
            "form": form,
        }
        return TemplateResponse(request, "people/import_start.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = self.get_object(request, unquote(object_id))
        if job is None:
            raise Http404("Import not found.")
        selected_state = request.GET.get("state", "")
        items = job.items.all()
        if selected_state in ImportItem.State.values:
            items = items.filter(state=selected_state)
        page = Paginator(items, PER_PAGE).get_page(request.GET.get("page"))
        counts = jobs.counts(job)
        problem = job.problem or {}
        mistakes = [line for lines in problem.get("errors", {}).values() for line in lines]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Import of {job.created_at:%Y-%m-%d %H:%M} into {job.collection}",
            "job": job,
            "running": job.state in UNFINISHED,
            "counts": counts,
            "states": [
                (state.value, _state_text(job, state), getattr(counts, state.value))
                for state in ImportItem.State
            ],
            "selected_state": selected_state,
            "page": page,
            "rows": _rows(job, list(page)),
            "problem": problem_text(problem, _CSV_TEXTS if mistakes else None),
            "mistakes": mistakes,
        }
        return TemplateResponse(request, "people/import.html", context)

    def cancel_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied
        job = self.get_object(request, str(job_id))
        if job is None:
            raise Http404("Import not found.")
        if jobs.cancel(job, actor=staff(request)):
            messages.success(request, "The import was cancelled. Photos that were already enrolled are kept.")
        else:
            messages.warning(request, "The import had already finished.")
        return redirect("admin:people_importjob_change", job_id)


def _submitted(request: HttpRequest, cleaned: dict[str, Any]) -> ImportJob:
    options: dict[str, Any] = {
        "collection": cleaned["collection"],
        "dry_run": cleaned["dry_run"],
        "actor": staff(request),
    }
    if cleaned.get("bucket"):
        return jobs.submit_prefix(cleaned["bucket"], cleaned["folder"], **options)
    return jobs.submit_archive(cleaned["archive"], **options)


def _rows(job: ImportJob, items: list[ImportItem]) -> list[dict[str, Any]]:
    person_ids = {item.person_id for item in items if item.person_id}
    existing_ids = set(Person.objects.filter(pk__in=person_ids).values_list("pk", flat=True))
    return [
        {
            "item": item,
            "state": _state_text(job, item.state),
            "person_exists": item.person_id in existing_ids,
            "detail": problem_text(item.problem or {}, ITEM_TEXTS),
            "reasons": reason_rows((item.problem or {}).get("reasons", [])),
        }
        for item in items
    ]


def _state_text(job: ImportJob, state: str) -> str:
    """Return the state of a file in words. A dry run only says what an import would do."""
    if job.dry_run and state == ImportItem.State.ENROLLED:
        return "would be enrolled"
    return ImportItem.State(state).label.lower()
