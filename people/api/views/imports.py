from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from people.api import representations, schemas
from people.api.authentication import actor
from people.api.idempotency import once
from people.api.pagination import NewestFirst
from people.api.parsing import QuerySerializer, StrictBooleanField
from people.api.views.base import ApiView
from people.api.views.collections import PageQuery
from people.errors import Conflict
from people.imports import jobs
from people.models import ImportItem, ImportJob
from people.uploads import expect_archive


class ImportQuery(QuerySerializer):
    dry_run = StrictBooleanField(
        required=False, default=False, help_text="Judge every file, and enrol nothing."
    )


class ItemQuery(PageQuery):
    state = serializers.ChoiceField(ImportItem.State.choices, required=False)


def _in_place() -> NewestFirst:
    """Return pages of files in the order of their import."""
    pages = NewestFirst()
    pages.ordering = ("number",)
    return pages


class ImportBase(ApiView):
    def job(self, collection: str, job: UUID) -> ImportJob:
        """Return the import of this id in this collection. Raises Http404."""
        found = ImportJob.objects.filter(collection=self.collection(collection), pk=job).first()
        if found is None:
            raise Http404
        return found

    def shown(self, job: ImportJob) -> dict[str, Any]:
        return representations.import_job(job, jobs.counts(job))


class ImportsView(ImportBase):
    scopes = {"GET": ["enrol"], "POST": ["enrol"]}

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        expect_archive(request)
        return super().initialize_request(request, *args, **kwargs)

    @extend_schema(
        operation_id="listImports",
        parameters=[PageQuery],
        responses={200: schemas.ImportAnswer(many=True), **schemas.PROBLEM},
    )
    def get(self, request: Request, collection: str) -> Response:
        PageQuery.read(request)
        rows = ImportJob.objects.filter(collection=self.collection(collection))
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, self) or []
        return pages.get_paginated_response([self.shown(row) for row in page])

    @extend_schema(
        operation_id="startImport",
        description="Enrols many photos of many people; the answer comes at once, the work follows.",
        request=schemas.IMPORT_REQUEST,
        parameters=[ImportQuery, schemas.IDEMPOTENCY_KEY],
        responses={202: schemas.ImportAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request, collection: str) -> Response:
        return once(request, lambda: self._start(request, collection), lambda response: None)

    def _start(self, request: Request, collection: str) -> Response:
        query = ImportQuery.read(request)
        home = self.collection(collection)
        options: dict[str, Any] = {"collection": home, "actor": actor(request), **query}
        archives = request.FILES.getlist("archive")
        if len(archives) == 1 and archives[0].size:
            job = jobs.submit_archive(archives[0], **options)
        else:
            bucket, prefix = _named_prefix(request.data)
            job = jobs.submit_prefix(bucket, prefix, **options)
        location = reverse("import", kwargs={"collection": home.name, "job": job.pk}, request=request)
        return Response(self.shown(job), status=status.HTTP_202_ACCEPTED, headers={"Location": location})


class ImportView(ImportBase):
    scopes = {"GET": ["enrol"]}

    @extend_schema(operation_id="getImport", responses={200: schemas.ImportAnswer, **schemas.PROBLEM})
    def get(self, request: Request, collection: str, job: UUID) -> Response:
        return Response(self.shown(self.job(collection, job)))


class ImportItemsView(ImportBase):
    scopes = {"GET": ["enrol"]}

    @extend_schema(
        operation_id="listImportItems",
        parameters=[ItemQuery],
        responses={200: schemas.ImportItemAnswer(many=True), **schemas.PROBLEM},
    )
    def get(self, request: Request, collection: str, job: UUID) -> Response:
        query = ItemQuery.read(request)
        found = self.job(collection, job)
        rows = found.items.all()
        if wanted := query.get("state"):
            rows = rows.filter(state=wanted)
        pages = _in_place()
        page = pages.paginate_queryset(rows, request, self) or []
        return pages.get_paginated_response(
            [representations.import_item(row, dry_run=found.dry_run) for row in page]
        )


class ImportCancelView(ImportBase):
    scopes = {"POST": ["enrol"]}

    @extend_schema(
        operation_id="cancelImport",
        description="What was enrolled stays.",
        request=None,
        responses={200: schemas.ImportAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request, collection: str, job: UUID) -> Response:
        found = self.job(collection, job)
        ended_now = jobs.cancel(found, actor=actor(request))
        found.refresh_from_db()
        if not ended_now and found.state != ImportJob.State.CANCELLED:
            raise Conflict("The import has ended already. Erase people or withdraw photos one by one.")
        return Response(self.shown(found))


def _named_prefix(data: Any) -> tuple[str, str]:
    match data:
        case {"s3": {"bucket": str(bucket), "prefix": str(prefix), **more}, **rest} if not (more or rest):
            return bucket, prefix
    raise serializers.ValidationError(
        {
            "archive": "Send one ZIP archive as multipart file `archive`, or JSON "
            '{"s3": {"bucket": "…", "prefix": "…"}} of an allowed bucket.'
        }
    )
