"""The shapes of requests and answers, for the OpenAPI document; a test holds the answers to them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema_field,
)
from rest_framework import serializers

from people.quality import LEVELS


class Shape(serializers.Serializer[Any]):
    pass


class Base64Photo(Shape):
    base64 = serializers.CharField()


class S3Object(Shape):
    bucket = serializers.CharField(help_text="One that the operator allowed for reading.")
    key = serializers.CharField()


class S3Photo(Shape):
    s3 = S3Object()


class PhotoUpload(Shape):
    photo = serializers.FileField(help_text="JPEG, PNG, WebP or HEIC; 10 MB at most.")


@extend_schema_field(
    PolymorphicProxySerializer("PhotoSource", [Base64Photo, S3Photo], resource_type_field_name=None)
)
class PhotoSource(serializers.JSONField):
    pass


class PhotoJson(Shape):
    photo = PhotoSource()


class CompareUpload(Shape):
    source = serializers.FileField(help_text="The largest face of this photo …")
    target = serializers.FileField(help_text="… is compared with every face of this one.")


class CompareJson(Shape):
    source = PhotoSource()
    target = PhotoSource()


class BoxShape(Shape):
    left = serializers.IntegerField()
    top = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class RelativeBox(Shape):
    left = serializers.FloatField()
    top = serializers.FloatField()
    width = serializers.FloatField()
    height = serializers.FloatField()


class PointShape(Shape):
    x = serializers.FloatField()
    y = serializers.FloatField()


class ReasonShape(Shape):
    code = serializers.CharField()
    measured = serializers.FloatField()
    required = serializers.FloatField()
    hint = serializers.CharField()


class QualityShape(Shape):
    verdict = serializers.ChoiceField(["good", "poor"])
    reasons = ReasonShape(many=True)
    size = serializers.FloatField(help_text="Pixels of the box's shorter side.")
    sharpness = serializers.FloatField()
    brightness = serializers.FloatField()
    contrast = serializers.FloatField()
    visible = serializers.FloatField()
    confidence = serializers.FloatField()
    yaw = serializers.FloatField(help_text="Degrees.")
    roll = serializers.FloatField(help_text="Degrees.")
    pitch = serializers.FloatField(allow_null=True, help_text="Degrees.")


class FaceShape(Shape):
    box = BoxShape(help_text="Pixels of the upright photo.")
    relative = RelativeBox(help_text="Shares of the photo, 0–1.")
    landmarks = serializers.DictField(child=PointShape())
    detection_confidence = serializers.FloatField()
    quality = QualityShape()


class SkippedFace(Shape):
    box = BoxShape()
    relative = RelativeBox()
    reasons = ReasonShape(many=True)


class ThresholdShape(Shape):
    fpir = serializers.FloatField(required=False)
    fmr = serializers.FloatField()
    cosine = serializers.FloatField()
    similarity = serializers.FloatField()


class PersonReference(Shape):
    id = serializers.UUIDField()
    external_id = serializers.CharField(allow_null=True)
    name = serializers.CharField()


class CandidateShape(Shape):
    person = PersonReference()
    similarity = serializers.FloatField()
    cosine = serializers.FloatField()
    photo = serializers.UUIDField()
    match = serializers.BooleanField()


class IdentifiedFaceShape(FaceShape):
    decision = serializers.ChoiceField(["match", "ambiguous", "no_match"])
    margin = serializers.FloatField(allow_null=True, help_text="Cosine between the best two people.")
    candidates = CandidateShape(many=True)


class Answer(Shape):
    request_id = serializers.CharField()
    engine = serializers.CharField()


class IdentificationAnswer(Answer):
    degraded = serializers.BooleanField()
    collection_size = serializers.IntegerField()
    threshold = ThresholdShape()
    faces = IdentifiedFaceShape(many=True)
    skipped_faces = SkippedFace(many=True)


class VerificationAnswer(Answer):
    threshold = ThresholdShape()
    match = serializers.BooleanField()
    similarity = serializers.FloatField()
    cosine = serializers.FloatField()
    photo = serializers.UUIDField()
    face = FaceShape()


class ComparedFace(FaceShape):
    similarity = serializers.FloatField()
    cosine = serializers.FloatField()
    match = serializers.BooleanField()


class ComparisonAnswer(Answer):
    threshold = ThresholdShape()
    source = FaceShape()
    faces = ComparedFace(many=True)


class DetectionAnswer(Answer):
    faces = FaceShape(many=True)
    skipped_faces = SkippedFace(many=True)


class TemplateFace(FaceShape):
    engine = serializers.CharField()


class RejectionShape(Shape):
    code = serializers.CharField()
    detail = serializers.CharField()
    reasons = ReasonShape(many=True, required=False)
    face = BoxShape(required=False, help_text="The face that is too poor.")
    faces = BoxShape(many=True, required=False, help_text="The faces to choose from.")


class WarningShape(Shape):
    code = serializers.CharField()
    person = serializers.UUIDField(required=False)
    similarity = serializers.FloatField()
    hint = serializers.CharField()


class PhotoAnswer(Shape):
    id = serializers.UUIDField()
    person = serializers.UUIDField()
    status = serializers.ChoiceField(["pending", "accepted", "rejected"])
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    face = TemplateFace(allow_null=True)
    rejection = RejectionShape(allow_null=True)
    warnings = WarningShape(many=True)
    created_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class ErasureAnswer(Shape):
    id = serializers.UUIDField()
    person = serializers.UUIDField()
    status = serializers.ChoiceField(
        ["pending", "complete"], help_text="Complete when files and vectors were verified gone."
    )
    reason = serializers.CharField(help_text="`request`, or the retention rule.")
    photos = serializers.IntegerField()
    templates = serializers.IntegerField()
    files_purged = serializers.IntegerField()
    vectors_purged = serializers.IntegerField(help_text="In a remote index.")
    requested_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    backups_expire_at = serializers.DateTimeField(
        help_text="When the last backup that may hold them is deleted."
    )


class ImportUpload(Shape):
    archive = serializers.FileField(
        help_text="A ZIP of person/photo.jpg; people.csv at its root may say who the folders are."
    )


class S3Prefix(Shape):
    bucket = serializers.CharField(help_text="One that the operator allowed for reading.")
    prefix = serializers.CharField(allow_blank=True, help_text="Under it lies person/photo.jpg.")


class ImportJson(Shape):
    s3 = S3Prefix()


class ImportCounts(Shape):
    pending = serializers.IntegerField()
    enrolled = serializers.IntegerField(help_text="Of a dry run: would be enrolled.")
    known = serializers.IntegerField(help_text="The person has this very photo already.")
    rejected = serializers.IntegerField(help_text="The photo can't be used; see the item's problem.")
    skipped = serializers.IntegerField(help_text="Not looked at; see the item's problem.")


class ImportProblem(Shape):
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), required=False, help_text="With lines."
    )


class ImportAnswer(Shape):
    id = serializers.UUIDField()
    source = serializers.ChoiceField(["zip", "folder", "s3"])
    location = serializers.CharField(allow_null=True, help_text="s3://bucket/prefix/")
    dry_run = serializers.BooleanField()
    state = serializers.ChoiceField(["pending", "running", "complete", "failed", "cancelled"])
    problem = ImportProblem(allow_null=True, help_text="Why the import as a whole failed.")
    total = serializers.IntegerField(help_text="Files; 0 until the source was listed.")
    counts = ImportCounts()
    persons_to_create = serializers.IntegerField(
        allow_null=True, help_text="Of a dry run: people who aren't in the collection."
    )
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ImportItemAnswer(Shape):
    number = serializers.IntegerField()
    path = serializers.CharField(help_text="Empty once the person is erased.")
    external_id = serializers.CharField(help_text="Empty where there is none, or the person is erased.")
    person = serializers.UUIDField(allow_null=True)
    photo = serializers.UUIDField(allow_null=True)
    state = serializers.ChoiceField(["pending", "enrolled", "known", "rejected", "skipped"])
    problem = RejectionShape(allow_null=True)


class PersonMerge(Shape):
    other = serializers.UUIDField(help_text="Whose photos come over; merged into the person of the path.")


class MergeAnswer(Shape):
    id = serializers.UUIDField()
    kept = serializers.UUIDField()
    merged = serializers.UUIDField()
    photos = serializers.IntegerField(help_text="How many came over.")
    merged_at = serializers.DateTimeField()
    undone_at = serializers.DateTimeField(allow_null=True)


class EngineThreshold(Shape):
    fmr = serializers.FloatField()
    cosine = serializers.FloatField()
    similarity = serializers.FloatField()


class EngineAnswer(Shape):
    engine = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    dimension = serializers.IntegerField()
    quality_levels = serializers.ListField(child=serializers.ChoiceField(LEVELS))
    thresholds = EngineThreshold(many=True)


class ProblemShape(Shape):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What to do.")
    code = serializers.CharField(help_text="Stable; what a program branches on.")
    request_id = serializers.CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False)
    reasons = ReasonShape(many=True, required=False)
    face = BoxShape(required=False, help_text="The face that is too poor.")
    faces = BoxShape(many=True, required=False, help_text="The faces to choose from.")
    kept = serializers.UUIDField(required=False, help_text="Who stands for the merged person now.")
    merge = serializers.UUIDField(required=False, help_text="The merge to undo first.")


PROBLEM = {
    ("4XX", "application/problem+json"): OpenApiResponse(
        ProblemShape,
        description="A problem, with a stable `code` and a `detail` that tells what to do.",
        examples=[
            OpenApiExample(
                "No face",
                {
                    "type": "about:blank",
                    "title": "The photo can't be used",
                    "status": 422,
                    "detail": "No face was found in the photo. Send one that shows a face.",
                    "code": "no_face",
                    "request_id": "4be3…",
                },
            )
        ],
    ),
    ("503", "application/problem+json"): OpenApiResponse(ProblemShape, description="Try again later."),
}
PHOTO_REQUEST = {"multipart/form-data": PhotoUpload, "application/json": PhotoJson}
COMPARE_REQUEST = {"multipart/form-data": CompareUpload, "application/json": CompareJson}
IMPORT_REQUEST = {"multipart/form-data": ImportUpload, "application/json": ImportJson}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key and body give the same answer for 24 h.",
)
PREFER = OpenApiParameter(
    "Prefer", str, OpenApiParameter.HEADER, description="`wait=10`: seconds to wait for the verdict, 0–30."
)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "people.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "frk_<prefix>_<secret>"}


class StaffSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "people.api.authentication.StaffSessionAuthentication"
    name = "StaffSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
