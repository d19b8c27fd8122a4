"""Stored records: collections, people, photos, erasures and merges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from people import photo_warnings
from people.api.responses.base import CodedSerializer, ResponseSerializer, help_texts
from people.api.responses.faces import BoxSerializer, FaceSerializer, ReasonSerializer
from people.faces import Box
from people.models import Collection, Erasure, Merge, Person, Photo

ERASURE_STATUSES = ["pending", "complete"]
TUNING = ("description", "requires_consent", "fpir", "fmr", "min_similarity")
RETENTION = "Rules for erasing people automatically. They are applied every hour."
CONSENT = "The person's consent to be enrolled and identified."
RETENTION_HELP: dict[str, Any] = help_texts(
    erase_without_consent="Erase people one day after their consent expires, and people without a recorded "
    "consent one day after their first photo. A withdrawn consent counts as no consent.",
    erase_unseen_after_days="Erase people who were not enrolled, matched or changed for this many days. "
    "Null means never.",
)
COLLECTION_HELP: dict[str, Any] = help_texts(
    name="The collection's name, which is part of URLs and can't be changed.",
    description="Your own description, at most 1,000 characters.",
    requires_consent="Whether only people whose consent is recorded and valid are enrolled and identified.",
    fpir="Default threshold for searches, as a false positive identification rate: the share of "
    "searches for people who aren't in the collection that may return a match. Null means 0.01, unless "
    "`fmr` or `min_similarity` is set.",
    fmr="Default threshold for searches, as a false match rate: the share of pairs of different "
    "people that may match, whatever the collection's size.",
    min_similarity="Default threshold for searches, as the lowest similarity that is a match, 0–100, "
    "whatever the collection's size.",
)
CONSENT_GIVEN_AT = "When the person gave their consent. Null means that no consent is recorded."
CONSENT_EXPIRES_AT = "When the consent expires. Null means never."
PERSON_HELP: dict[str, Any] = help_texts(
    name="The person's name, which may be empty.",
    metadata="Your own data about the person: a JSON object of at most 4 KB.",
)


class RetentionSerializer(serializers.ModelSerializer[Collection]):
    """Rules for erasing people automatically. They are applied every hour."""

    class Meta:
        model = Collection
        fields = read_only_fields = ["erase_without_consent", "erase_unseen_after_days"]
        extra_kwargs = RETENTION_HELP


class CollectionSerializer(serializers.ModelSerializer[Collection]):
    """A collection of people with its own settings. People in different collections are never compared."""

    retention = RetentionSerializer(source="*", help_text=RETENTION)
    persons = serializers.IntegerField(
        source="person_count", help_text="Number of people in the collection, not counting merged ones."
    )

    class Meta:
        model = Collection
        fields = read_only_fields = [
            "id", "name", *TUNING, "retention", "persons", "created_at", "updated_at",
        ]  # fmt: skip
        extra_kwargs = {
            **COLLECTION_HELP,
            **help_texts(
                id="The collection's id. Paths use its name instead.",
                created_at="When the collection was created.",
                updated_at="When the collection was last changed.",
            ),
        }


class ConsentSerializer(serializers.Serializer[Person]):
    """The person's consent to be enrolled and identified."""

    given_at = serializers.DateTimeField(
        source="consent_given_at", allow_null=True, required=False, help_text=CONSENT_GIVEN_AT
    )
    expires_at = serializers.DateTimeField(
        source="consent_expires_at", allow_null=True, required=False, help_text=CONSENT_EXPIRES_AT
    )


class PersonSerializer(serializers.ModelSerializer[Person]):
    """A person in a collection."""

    collection = serializers.CharField(source="collection.name", help_text="Name of the collection.")
    merged_into = serializers.SerializerMethodField(
        help_text="Id of the person to use instead, if this one was merged; otherwise null."
    )
    metadata = serializers.DictField(read_only=True, help_text=PERSON_HELP["metadata"]["help_text"])
    consent = ConsentSerializer(source="*", help_text=CONSENT)
    photos = serializers.IntegerField(source="photo_count", help_text="Number of accepted photos.")

    class Meta:
        model = Person
        fields = read_only_fields = [
            "id", "collection", "external_id", "name", "metadata", "status", "merged_into", "consent",
            "photos", "created_at", "updated_at",
        ]  # fmt: skip
        extra_kwargs = {
            "name": PERSON_HELP["name"],
            **help_texts(
                id="The person's id.",
                external_id="Your own id for the person, unique in the collection. Null means none.",
                status="`active`; `suspended`: stays enrolled but doesn't appear in search results; or "
                "`merged`: replaced by the person in `merged_into`.",
                created_at="When the person was created.",
                updated_at="When the person was last changed.",
            ),
        }

    def get_merged_into(self, person: Person) -> UUID | None:
        return person.kept().pk if person.merged_into_id else None


class RejectionSerializer(CodedSerializer):
    """Why a photo or file was not accepted."""

    reasons = ReasonSerializer(many=True, required=False, help_text="The failed quality checks.")
    face = BoxSerializer(required=False, help_text="The face that failed the quality check.")
    faces = BoxSerializer(many=True, required=False, help_text="The faces that you can choose from.")


class PhotoWarningSerializer(ResponseSerializer):
    """A sign that a photo may show another person. The photo is enrolled anyway."""

    code = serializers.CharField(
        help_text="`possible_duplicate_person`: the face looks like another person in the collection. "
        "`LOW_MATCH_CONFIDENCE`: it doesn't look like the person's other photos, or looks more like another "
        "person than like them; `hint` says which. New codes may be added."
    )
    person = serializers.UUIDField(
        required=False, help_text="Id of the other person, with `possible_duplicate_person`."
    )
    similarity = serializers.FloatField(
        help_text="Similarity to the other person or, with `LOW_MATCH_CONFIDENCE`, to the person's other "
        "photos, 0–100."
    )
    hint = serializers.CharField(help_text="What to check, as a human-readable sentence.")


class TemplateFaceSerializer(FaceSerializer):
    """The enrolled face of a photo."""

    engine = serializers.CharField(help_text="Engine that made the template, as `name/version`.")


# The photos must come from `with_warnings`.
class PhotoSerializer(serializers.ModelSerializer[Photo]):
    """A photo of a person."""

    person = serializers.UUIDField(source="person_id", help_text="Id of the person.")
    face = serializers.SerializerMethodField(
        help_text="The enrolled face. Null unless the photo is accepted."
    )
    rejection = RejectionSerializer(allow_null=True, help_text="Why the photo was rejected, if it was.")
    warnings = PhotoWarningSerializer(
        many=True,
        source="current_warnings",
        help_text="Signs that the photo may show another person. Merges of people are taken into account.",
    )

    class Meta:
        model = Photo
        fields = read_only_fields = [
            "id", "person", "status", "width", "height", "face", "rejection", "warnings", "created_at",
            "decided_at",
        ]  # fmt: skip
        extra_kwargs = help_texts(
            id="The photo's id.",
            status="`pending` until the photo is processed, then `accepted` or `rejected`.",
            width="Width of the upright photo as stored, in pixels.",
            height="Height of the upright photo as stored, in pixels.",
            created_at="When the photo was sent.",
            decided_at="When the photo was accepted or rejected; null until then.",
        )

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
    """Attach to each photo the warnings that apply now, for PhotoSerializer, and return the photos."""
    warnings = photo_warnings.current(photos)
    for photo in photos:
        photo.current_warnings = warnings[photo.pk]
    return photos


class ErasureSerializer(serializers.ModelSerializer[Erasure]):
    """Erasure receipt: how much was deleted, and when the deletion was verified."""

    person = serializers.UUIDField(source="person_id", help_text="Id of the erased person.")
    status = serializers.ChoiceField(
        ERASURE_STATUSES, help_text="`complete` once the deletion of all files and vectors is verified."
    )

    class Meta:
        model = Erasure
        fields = read_only_fields = [
            "id", "person", "status", "reason", "photos", "templates", "files_purged", "vectors_purged",
            "requested_at", "completed_at", "backups_expire_at",
        ]  # fmt: skip
        extra_kwargs = help_texts(
            id="The erasure's id.",
            reason="`request`; `reapplied`, after a restore from a backup; or the retention rule that "
            "applied: `consent_expired`, `consent_missing` or `unseen`.",
            photos="Number of deleted photos.",
            templates="Number of deleted templates.",
            files_purged="Number of stored files whose deletion is verified.",
            vectors_purged="Number of vectors in a remote index whose deletion is verified.",
            requested_at="When the person was erased from the database.",
            completed_at="When the last file or vector was verified as deleted; null until then.",
            backups_expire_at="When the last backup that may contain the person's data is deleted.",
        )


class MergeSerializer(serializers.ModelSerializer[Merge]):
    """A merge of two records of the same person."""

    kept = serializers.UUIDField(source="kept_id", help_text="Id of the person who was kept.")
    merged = serializers.UUIDField(
        source="merged_id", help_text="Id of the person who was merged into the kept one."
    )
    photos = serializers.SerializerMethodField(help_text="Number of photos that were moved.")

    class Meta:
        model = Merge
        fields = read_only_fields = ["id", "kept", "merged", "photos", "merged_at", "undone_at"]
        extra_kwargs = help_texts(
            id="The merge's id.",
            merged_at="When the people were merged.",
            undone_at="When the merge was undone; null if it wasn't.",
        )

    def get_photos(self, merge: Merge) -> int:
        return len(merge.photo_ids)
