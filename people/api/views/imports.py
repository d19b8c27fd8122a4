from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people.api.idempotency import once
from people.api.openapi import raises
from people.api.parsers import PHOTO_PARSERS
from people.api.requests.imports import IMPORT_REQUEST, import_source
from people.api.requests.queries import IDEMPOTENCY_KEY, ImportQuery, ItemQuery, NoQuery, PageQuery
from people.api.responses.imports import ImportItemSerializer, ImportSerializer
from people.api.views.base import ApiView, ListView, created
from people.errors import (
    ArchiveTooLarge,
    ArchiveUnreadable,
    BucketNotAllowed,
    Conflict,
    SourceGone,
    StorageUnavailable,
    TooManyFiles,
)
from people.imports import jobs
from people.models import ImportItem, ImportJob
from people.uploads import expect_archive

_REFUSALS = (
    ArchiveUnreadable, ArchiveTooLarge, TooManyFiles, SourceGone, BucketNotAllowed, StorageUnavailable,
)  # fmt: skip


class _ImportView(ApiView):
    def job(self) -> ImportJob:
        """Return the import in the path. Raises Http404."""
        job = ImportJob.objects.filter(collection=self.collection(), pk=self.kwargs["job"]).first()
        if job is None:
            raise Http404
        return job


class ImportsView(ListView):
    tag = "imports"
    parser_classes = PHOTO_PARSERS
    scopes = {"GET": ["enrol"], "POST": ["enrol"]}
    queryset = ImportJob.objects.all()
    serializer_class = ImportSerializer
    query_class = PageQuery

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        expect_archive(request)
        return super().initialize_request(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[ImportJob]:
        return ImportJob.objects.filter(collection=self.collection())

    def paginate_queryset(self, queryset: Any) -> list[Any]:
        return list(jobs.with_counts(super().paginate_queryset(queryset) or []))

    @extend_schema(
        operation_id="listImports",
        summary="List imports",
        description=("Lists the imports of a collection, newest first."),
        parameters=[PageQuery],
        responses={200: ImportSerializer(many=True)},
    )
    def get(self, request: Request, collection: str) -> Response:
        return self.list(request)

    @raises(*_REFUSALS)
    @extend_schema(
        operation_id="startImport",
        summary="Start an import",
        description=(
            "Enrols many photos of many people from a ZIP archive or an S3 prefix. Returns "
            "immediately; follow the URL in `Location` for progress."
        ),
        request=IMPORT_REQUEST,
        parameters=[ImportQuery, IDEMPOTENCY_KEY],
        responses={202: ImportSerializer},
    )
    def post(self, request: Request, collection: str) -> Response:
        return once(request, lambda: self._start(request), lambda response: None)

    def _start(self, request: Request) -> Response:
        query = ImportQuery.read(request)
        collection = self.collection()
        options: dict[str, Any] = {"collection": collection, "actor": self.actor, **query}
        match import_source(request):
            case (bucket, prefix):
                job = jobs.submit_prefix(bucket, prefix, **options)
            case archive:
                job = jobs.submit_archive(archive, **options)
        location = reverse("import", kwargs={"collection": collection.name, "job": job.pk}, request=request)
        return created(_shown(job), location, status.HTTP_202_ACCEPTED)


class ImportView(_ImportView):
    tag = "imports"
    scopes = {"GET": ["enrol"]}

    @extend_schema(
        operation_id="getImport",
        summary="Get an import",
        description=("Returns the state of an import and its number of files by result."),
        responses={200: ImportSerializer},
    )
    def get(self, request: Request, collection: str, job: UUID) -> Response:
        NoQuery.read(request)
        return Response(_shown(self.job()).data)


class ImportItemsView(ListView, _ImportView):
    tag = "imports"
    scopes = {"GET": ["enrol"]}
    queryset = ImportItem.objects.all()
    serializer_class = ImportItemSerializer
    query_class = ItemQuery
    page_ordering = "number"

    def get_queryset(self) -> QuerySet[ImportItem]:
        items = self.job().items.select_related("job")
        return items.filter(state=self.query["state"]) if "state" in self.query else items

    @extend_schema(
        operation_id="listImportItems",
        summary="List the results of an import",
        description=("Lists the files of an import, each with its result."),
        parameters=[ItemQuery],
        responses={200: ImportItemSerializer(many=True)},
    )
    def get(self, request: Request, collection: str, job: UUID) -> Response:
        return self.list(request)


class ImportCancelView(_ImportView):
    tag = "imports"
    scopes = {"POST": ["enrol"]}

    @raises(Conflict)
    @extend_schema(
        operation_id="cancelImport",
        summary="Cancel an import",
        description=(
            "Stops an import. Photos that it has enrolled are kept. Returns 409 if the import has "
            "completed or failed."
        ),
        request=None,
        responses={200: ImportSerializer},
    )
    def post(self, request: Request, collection: str, job: UUID) -> Response:
        NoQuery.read(request)
        row = self.job()
        ended_now = jobs.cancel(row, actor=self.actor)
        row.refresh_from_db()
        if not ended_now and row.state != ImportJob.State.CANCELLED:
            raise Conflict(
                "The import has already ended. To remove what it enrolled, erase people or withdraw photos."
            )
        return Response(_shown(row).data)


def _shown(job: ImportJob) -> ImportSerializer:
    jobs.with_counts([job])
    return ImportSerializer(job)
