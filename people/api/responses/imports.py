"""Imports, and the result of each of their files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers

from people.api.responses.base import CodedSerializer, ResponseSerializer, help_texts
from people.api.responses.records import RejectionSerializer
from people.models import ImportItem, ImportJob


class ImportCountsSerializer(ResponseSerializer):
    """Number of files in each state."""

    pending = serializers.IntegerField(help_text="Files that haven't been processed yet.")
    enrolled = serializers.IntegerField(
        help_text="Files whose photo was enrolled or, in a dry run, would be."
    )
    known = serializers.IntegerField(help_text="Files with a photo that the person already has.")
    rejected = serializers.IntegerField(help_text="Files whose photo was rejected; see the item's `problem`.")
    skipped = serializers.IntegerField(help_text="Files that were not processed; see the item's `problem`.")


class ImportProblemSerializer(CodedSerializer):
    """Why an import failed as a whole."""

    # Any, because a Serializer has an attribute with this name
    errors: Any = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Messages with line numbers, by file name.",
    )


# The jobs must come from `imports.jobs.with_counts`.
class ImportSerializer(serializers.ModelSerializer[ImportJob]):
    """An import of many photos of many people."""

    location = serializers.SerializerMethodField(
        help_text="The imported prefix, as `s3://bucket/prefix/`. Null for other sources."
    )
    problem = ImportProblemSerializer(
        allow_null=True, help_text="Why the import failed as a whole; otherwise null."
    )
    total = serializers.IntegerField(
        source="current_counts.total",
        help_text="Number of files in the source; 0 until the source has been listed.",
    )
    counts = ImportCountsSerializer(source="current_counts", help_text="Number of files in each state.")
    persons_to_create = serializers.IntegerField(
        source="current_counts.persons_to_create",
        allow_null=True,
        help_text="In a dry run, the number of people who aren't in the collection yet; otherwise null.",
    )

    class Meta:
        model = ImportJob
        fields = read_only_fields = [
            "id", "source", "location", "dry_run", "state", "problem", "total", "counts", "persons_to_create",
            "created_at", "finished_at",
        ]  # fmt: skip
        extra_kwargs = help_texts(
            id="The import's id.",
            source="Where the files come from. Only operators can import a `folder`.",
            dry_run="Whether the files are only checked, and nothing is enrolled.",
            state="State of the import.",
            created_at="When the import was submitted.",
            finished_at="When the import completed, failed or was cancelled.",
        )

    def get_location(self, job: ImportJob) -> str | None:
        # clients can't use the path of a stored archive or of a folder on the server
        return job.location if job.source == ImportJob.Source.S3 else None


class ImportItemSerializer(serializers.ModelSerializer[ImportItem]):
    """One file of an import, with its result."""

    external_id = serializers.CharField(
        source="person_key",
        help_text="The person's external_id. Empty if the file names none, or once the person is erased.",
    )
    person = serializers.UUIDField(
        source="person_id", allow_null=True, help_text="Id of the person, as soon as it is known."
    )
    photo = serializers.SerializerMethodField(
        help_text="Id of the person's photo. Null in a dry run and for files that weren't enrolled."
    )
    problem = RejectionSerializer(allow_null=True, help_text="Why the file was not enrolled, if it wasn't.")

    class Meta:
        model = ImportItem
        fields = read_only_fields = ["number", "path", "external_id", "person", "photo", "state", "problem"]
        extra_kwargs = help_texts(
            number="Position in the import, starting at 0.",
            path="Path in the source. Empty once the person is erased.",
            state="Result of the file.",
        )

    def get_photo(self, item: ImportItem) -> UUID | None:
        # in a dry run the id belongs to no photo
        return None if item.job.dry_run else item.photo_id
