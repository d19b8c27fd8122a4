"""Imports, and what became of each of their files."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers

from people.api.responses.base import ResponseSerializer
from people.api.responses.records import RejectionSerializer
from people.models import ImportItem, ImportJob


class ImportCountsSerializer(ResponseSerializer):
    pending = serializers.IntegerField()
    enrolled = serializers.IntegerField(help_text="In a dry run: would be enrolled.")
    known = serializers.IntegerField(help_text="The person has this very photo already.")
    rejected = serializers.IntegerField(help_text="The photo can't be used; see the item's problem.")
    skipped = serializers.IntegerField(help_text="Not processed; see the item's problem.")


class ImportProblemSerializer(ResponseSerializer):
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]  # a field named as Serializer's own attribute
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Messages with line numbers, by file.",
    )


# Filled from jobs that `imports.jobs.with_counts` returned.
class ImportSerializer(serializers.ModelSerializer[ImportJob]):
    location = serializers.SerializerMethodField(help_text="s3://bucket/prefix/, for an import from S3.")
    problem = ImportProblemSerializer(allow_null=True, help_text="Why the import as a whole failed.")
    total = serializers.IntegerField(
        source="current_counts.total", help_text="Files; 0 until the source is listed."
    )
    counts = ImportCountsSerializer(source="current_counts")
    persons_to_create = serializers.IntegerField(
        source="current_counts.persons_to_create",
        allow_null=True,
        help_text="In a dry run: people who aren't in the collection yet.",
    )

    class Meta:
        model = ImportJob
        fields = read_only_fields = [
            "id", "source", "location", "dry_run", "state", "problem", "total", "counts", "persons_to_create",
            "created_at", "finished_at",
        ]  # fmt: skip

    def get_location(self, job: ImportJob) -> str | None:
        # a client has no use for the path of a stored archive or a folder of the server
        return job.location if job.source == ImportJob.Source.S3 else None


class ImportItemSerializer(serializers.ModelSerializer[ImportItem]):
    external_id = serializers.CharField(
        source="person_key", help_text="Empty if there is none, or once the person is erased."
    )
    person = serializers.UUIDField(source="person_id", allow_null=True)
    photo = serializers.SerializerMethodField()
    problem = RejectionSerializer(allow_null=True)

    class Meta:
        model = ImportItem
        fields = read_only_fields = ["number", "path", "external_id", "person", "photo", "state", "problem"]

    def get_photo(self, item: ImportItem) -> UUID | None:
        # in a dry run the id belongs to no photo
        return None if item.job.dry_run else item.photo_id
