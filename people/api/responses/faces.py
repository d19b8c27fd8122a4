"""Faces in a photo, and the results of searching for them or comparing them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from people.api.responses.base import Pixels, Rate, RequestId, ResponseSerializer, Rounded
from people.quality import LEVELS


class BoxSerializer(ResponseSerializer):
    left = Pixels()
    top = Pixels()
    width = Pixels()
    height = Pixels()


class RelativeBoxSerializer(ResponseSerializer):
    left = Rounded(4)
    top = Rounded(4)
    width = Rounded(4)
    height = Rounded(4)


class PointSerializer(ResponseSerializer):
    x = Rounded(1)
    y = Rounded(1)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        x, y = instance
        return super().to_representation({"x": x, "y": y})


class ReasonSerializer(ResponseSerializer):
    code = serializers.CharField()
    measured = serializers.FloatField()
    required = serializers.FloatField()  # type: ignore[assignment]  # as Field's own attribute is named
    hint = serializers.CharField()


class QualitySerializer(ResponseSerializer):
    verdict = serializers.ChoiceField(["good", "poor"])
    reasons = ReasonSerializer(many=True)
    size = Rounded(3, source="measures.size", help_text="Pixels of the box's shorter side.")
    sharpness = Rounded(3, source="measures.sharpness", help_text="0–1.")
    brightness = Rounded(3, source="measures.brightness", help_text="0–1.")
    contrast = Rounded(3, source="measures.contrast", help_text="0–1.")
    visible = Rounded(3, source="measures.visible", help_text="Share of the box inside the photo, 0–1.")
    confidence = Rounded(3, source="measures.confidence", help_text="The detector's, 0–1.")
    yaw = Rounded(3, source="measures.yaw", help_text="Degrees.")
    roll = Rounded(3, source="measures.roll", help_text="Degrees.")
    pitch = Rounded(3, source="measures.pitch", allow_null=True, help_text="Degrees.")


class FaceSerializer(ResponseSerializer):
    """Where a face is, and how good."""

    box = BoxSerializer(source="detected.box", help_text="Pixels of the upright photo.")
    relative = RelativeBoxSerializer(help_text="Shares of the photo, 0–1.")
    landmarks = serializers.DictField(child=PointSerializer(), source="detected.landmarks")
    detection_confidence = Rounded(3, source="detected.confidence")
    quality = QualitySerializer(source="*")


class SkippedFaceSerializer(ResponseSerializer):
    box = BoxSerializer(source="detected.box")
    relative = RelativeBoxSerializer()
    reasons = ReasonSerializer(many=True)


class ThresholdSerializer(ResponseSerializer):
    fpir = Rate(required=False, help_text="If the threshold follows from it.")
    fmr = Rate()
    cosine = Rounded(4)
    similarity = Rounded(1)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        content = super().to_representation(instance)
        return {name: value for name, value in content.items() if value is not None}


class PersonReferenceSerializer(ResponseSerializer):
    id = serializers.UUIDField()
    external_id = serializers.CharField(allow_null=True)
    name = serializers.CharField()


class CandidateSerializer(ResponseSerializer):
    person = PersonReferenceSerializer()
    similarity = Rounded(1, source="score.similarity")
    cosine = Rounded(4, source="score.cosine")
    photo = serializers.UUIDField(source="photo_id", help_text="The person's most similar photo.")
    match = serializers.BooleanField(source="score.match")


class IdentifiedFaceSerializer(FaceSerializer):
    decision = serializers.ChoiceField(["match", "ambiguous", "no_match"])
    margin = Rounded(4, allow_null=True, help_text="Cosine between the best two people.")
    candidates = CandidateSerializer(many=True)


class IdentificationSerializer(ResponseSerializer):
    request_id = RequestId()
    engine = serializers.CharField(source="photo.engine")
    degraded = serializers.BooleanField(
        help_text="Whether the index was unavailable and the database was searched instead; still exact."
    )
    collection_size = serializers.IntegerField()
    threshold = ThresholdSerializer()
    faces = IdentifiedFaceSerializer(many=True)
    skipped_faces = SkippedFaceSerializer(many=True, source="photo.skipped")


class VerificationSerializer(ResponseSerializer):
    request_id = RequestId()
    engine = serializers.CharField(source="photo.engine")
    threshold = ThresholdSerializer()
    match = serializers.BooleanField(source="score.match")
    similarity = Rounded(1, source="score.similarity")
    cosine = Rounded(4, source="score.cosine")
    photo = serializers.UUIDField(source="photo_id", help_text="The person's most similar photo.")
    face = FaceSerializer()


class ComparedFaceSerializer(FaceSerializer):
    similarity = Rounded(1, source="score.similarity")
    cosine = Rounded(4, source="score.cosine")
    match = serializers.BooleanField(source="score.match")


class ComparisonSerializer(ResponseSerializer):
    request_id = RequestId()
    engine = serializers.CharField()
    threshold = ThresholdSerializer()
    source = FaceSerializer()  # type: ignore[assignment]  # a field named as Serializer's own attribute
    faces = ComparedFaceSerializer(many=True)


class DetectionSerializer(ResponseSerializer):
    request_id = RequestId()
    engine = serializers.CharField()
    faces = FaceSerializer(many=True)
    skipped_faces = SkippedFaceSerializer(many=True, source="skipped")


class EngineThresholdSerializer(ResponseSerializer):
    fmr = serializers.FloatField()
    cosine = Rounded(4)
    similarity = Rounded(1)


class EngineSerializer(ResponseSerializer):
    engine = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    dimension = serializers.IntegerField()
    quality_levels = serializers.ListField(child=serializers.ChoiceField(LEVELS))
    thresholds = EngineThresholdSerializer(many=True)
