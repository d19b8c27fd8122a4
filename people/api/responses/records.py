"""What the service stores: collections, people, photos, erasures, merges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from people import photo_warnings
from people.api.responses.base import ResponseSerializer
from people.api.responses.faces import BoxSerializer, FaceSerializer, ReasonSerializer
from people.faces import Box
from people.models import Collection, Erasure, Merge, Person, Photo

ERASURE_STATUSES = ["pending", "complete"]
TUNING = ("description", "requires_consent", "fpir", "fmr", "min_similarity")


class RetentionSerializer(serializers.ModelSerializer[Collection]):
    """The rules by which people are erased every hour."""

    class Meta:
        model = Collection
        fields = read_only_fields = ["erase_without_consent", "erase_unseen_after_days"]


class CollectionSerializer(serializers.ModelSerializer[Collection]):
    retention = RetentionSerializer(source="*")
    persons = serializers.IntegerField(source="person_count", help_text="How many people it holds.")

    class Meta:
        model = Collection
        fields = read_only_fields = [
            "id", "name", *TUNING, "retention", "persons", "created_at", "updated_at",
        ]  # fmt: skip


class ConsentSerializer(serializers.Serializer[Person]):
    given_at = serializers.DateTimeField(source="consent_given_at", allow_null=True, required=False)
    expires_at = serializers.DateTimeField(source="consent_expires_at", allow_null=True, required=False)


class PersonSerializer(serializers.ModelSerializer[Person]):
    collection = serializers.CharField(source="collection.name")
    merged_into = serializers.SerializerMethodField(
        help_text="Of a merged person: the person to use instead."
    )
    metadata = serializers.DictField(read_only=True)
    consent = ConsentSerializer(source="*")
    photos = serializers.IntegerField(source="photo_count", help_text="How many accepted photos there are.")

    class Meta:
        model = Person
        fields = read_only_fields = [
            "id", "collection", "external_id", "name", "metadata", "status", "merged_into", "consent",
            "photos", "created_at", "updated_at",
        ]  # fmt: skip

    def get_merged_into(self, row: Person) -> UUID | None:
        return row.kept().pk if row.merged_into_id else None


class RejectionSerializer(ResponseSerializer):
    code = serializers.CharField()
    detail = serializers.CharField()
    reasons = ReasonSerializer(many=True, required=False)
    face = BoxSerializer(required=False, help_text="The face whose quality is too poor.")
    faces = BoxSerializer(many=True, required=False, help_text="The faces to choose from.")


class PhotoWarningSerializer(ResponseSerializer):
    code = serializers.CharField()
    person = serializers.UUIDField(required=False)
    similarity = serializers.FloatField()
    hint = serializers.CharField()


class TemplateFaceSerializer(FaceSerializer):
    """The enrolled face of a photo."""

    engine = serializers.CharField()


# Filled from photos that `with_warnings` returned.
class PhotoSerializer(serializers.ModelSerializer[Photo]):
    person = serializers.UUIDField(source="person_id")
    face = serializers.SerializerMethodField()
    rejection = RejectionSerializer(allow_null=True)
    warnings = PhotoWarningSerializer(many=True, source="current_warnings")

    class Meta:
        model = Photo
        fields = read_only_fields = [
            "id", "person", "status", "width", "height", "face", "rejection", "warnings", "created_at",
            "decided_at",
        ]  # fmt: skip

    @extend_schema_field(TemplateFaceSerializer(allow_null=True))
    def get_face(self, photo: Photo) -> dict[str, Any] | None:
        template = next(iter(photo.templates.all()), None)
        if template is None:
            return None
        content = {
            "engine": template.engine,
            "detected": {
                "box": template.box,
                "landmarks": template.landmarks,
                "confidence": template.confidence,
            },
            "relative": Box(**template.box).relative_to(photo.width, photo.height),
            "measures": template.quality,
            "verdict": "good",
            "reasons": [],
        }
        face: dict[str, Any] = TemplateFaceSerializer().to_representation(content)
        return face


def with_warnings(photos: Sequence[Photo]) -> Sequence[Photo]:
    """Attach to each photo its warnings as they apply now, for PhotoSerializer."""
    warnings = photo_warnings.current(photos)
    for photo in photos:
        photo.current_warnings = warnings[photo.pk]
    return photos


class ErasureSerializer(serializers.ModelSerializer[Erasure]):
    person = serializers.UUIDField(source="person_id")
    status = serializers.ChoiceField(
        ERASURE_STATUSES, help_text="Complete once files and vectors are verified gone."
    )

    class Meta:
        model = Erasure
        fields = read_only_fields = [
            "id", "person", "status", "reason", "photos", "templates", "files_purged", "vectors_purged",
            "requested_at", "completed_at", "backups_expire_at",
        ]  # fmt: skip


class MergeSerializer(serializers.ModelSerializer[Merge]):
    kept = serializers.UUIDField(source="kept_id")
    merged = serializers.UUIDField(source="merged_id")
    photos = serializers.SerializerMethodField(help_text="How many photos were moved.")

    class Meta:
        model = Merge
        fields = read_only_fields = ["id", "kept", "merged", "photos", "merged_at", "undone_at"]

    def get_photos(self, row: Merge) -> int:
        return len(row.photo_ids)
