"""Faces in a photo, and the results of searching or comparing them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from people.api.responses.base import Pixels, Rate, RequestId, ResponseSerializer, Rounded
from people.quality import LEVELS

_BOX = "Bounding box in pixels."
_RELATIVE = "The same box relative to the photo's size, 0–1."
_SIMILARITY = (
    "Calibrated similarity, 0–100. With every engine, 70 corresponds to a false match rate of 1e-3, "
    "80 to 1e-4 and 90 to 1e-5."
)
_COSINE = "Raw cosine similarity of the two templates, -1 to 1. What a value means depends on the engine."
_MATCH = "Whether the score reaches `threshold`."
_NEAREST_PHOTO = "Id of the person's enrolled photo that is most similar to the face."
_ENGINE = "Engine that processed the photo, as `name/version`."
_THRESHOLD = "Threshold that decided what is a match."
_FACES = "The faces, largest first."


class BoxSerializer(ResponseSerializer):
    """A rectangle in pixels of the upright photo as decoded.

    The service decodes very large photos at a reduced size. To draw on the original, use the relative box.
    """

    left = Pixels(help_text="Distance from the photo's left edge, in pixels.")
    top = Pixels(help_text="Distance from the photo's top edge, in pixels.")
    width = Pixels(help_text="Width in pixels.")
    height = Pixels(help_text="Height in pixels.")


class RelativeBoxSerializer(ResponseSerializer):
    """A rectangle relative to the size of the upright photo."""

    left = Rounded(4, help_text="Distance from the photo's left edge, divided by the photo's width.")
    top = Rounded(4, help_text="Distance from the photo's top edge, divided by the photo's height.")
    width = Rounded(4, help_text="Width, divided by the photo's width.")
    height = Rounded(4, help_text="Height, divided by the photo's height.")


class PointSerializer(ResponseSerializer):
    """A point in pixels of the upright photo as decoded."""

    x = Rounded(1, help_text="Distance from the photo's left edge, in pixels.")
    y = Rounded(1, help_text="Distance from the photo's top edge, in pixels.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        x, y = instance
        return super().to_representation({"x": x, "y": y})


class ReasonSerializer(ResponseSerializer):
    """Why a face failed a quality check."""

    code = serializers.CharField(
        help_text="Name of the check that failed, such as `EXTREME_POSE` or `LOW_SHARPNESS`. Most names are "
        "the same as in Amazon Rekognition. New ones may be added."
    )
    measured = serializers.FloatField(help_text="The measured value.")
    # Any, because a Field has an attribute with this name
    required: Any = serializers.FloatField(
        help_text="The limit that the measured value violates, in the same unit."
    )
    hint = serializers.CharField(help_text="What to do about it, as a human-readable sentence.")


class QualitySerializer(ResponseSerializer):
    """The result of the quality check, and what was measured."""

    verdict = serializers.ChoiceField(
        ["good", "poor"], help_text="`good` if the face passes the quality level of the request."
    )
    reasons = ReasonSerializer(many=True, help_text="The failed checks; empty if the verdict is `good`.")
    size = Rounded(3, source="measures.size", help_text="Shorter side of the bounding box, in pixels.")
    sharpness = Rounded(3, source="measures.sharpness", help_text="Sharpness, 0–1.")
    brightness = Rounded(3, source="measures.brightness", help_text="Mean brightness, 0–1.")
    contrast = Rounded(3, source="measures.contrast", help_text="Contrast, 0–1.")
    visible = Rounded(
        3, source="measures.visible", help_text="Share of the bounding box that is inside the photo, 0–1."
    )
    confidence = Rounded(3, source="measures.confidence", help_text="The detector's confidence, 0–1.")
    yaw = Rounded(
        3,
        source="measures.yaw",
        help_text="Head rotation to the side, in degrees; positive towards the viewer's right.",
    )
    roll = Rounded(
        3,
        source="measures.roll",
        help_text="In-plane rotation, in degrees. Faces are aligned, so it is never a reason.",
    )
    pitch = Rounded(
        3,
        source="measures.pitch",
        allow_null=True,
        help_text="Head rotation up or down, in degrees; positive when looking down. Null if the engine "
        "doesn't locate the mouth.",
    )


class FaceSerializer(ResponseSerializer):
    """A detected face: its position and its quality."""

    box = BoxSerializer(source="detected.box", help_text=_BOX)
    relative = RelativeBoxSerializer(help_text=_RELATIVE)
    landmarks = serializers.DictField(
        child=PointSerializer(),
        source="detected.landmarks",
        help_text="Points of the face by name: `left_eye`, `right_eye` and `nose`, and, if the engine "
        "locates them, `mouth_left` and `mouth_right`. Left and right are the viewer's.",
    )
    detection_confidence = Rounded(
        3, source="detected.confidence", help_text="The detector's confidence that this is a face, 0–1."
    )
    quality = QualitySerializer(source="*", help_text="Result of the quality check.")


class SkippedFaceSerializer(ResponseSerializer):
    """A detected face that was not used."""

    box = BoxSerializer(source="detected.box", help_text=_BOX)
    relative = RelativeBoxSerializer(help_text=_RELATIVE)
    reasons = ReasonSerializer(
        many=True,
        help_text="The failed quality checks, or `EXCEEDS_MAX_FACES` if larger faces used up `max_faces`.",
    )


class ThresholdSerializer(ResponseSerializer):
    """The score from which two faces count as a match, expressed in each unit."""

    fpir = Rate(
        required=False,
        help_text="False positive identification rate at this threshold: the share of searches for people "
        "who aren't in the collection that return a match. Only for searches of a collection.",
    )
    fmr = Rate(
        help_text="False match rate at this threshold: the share of pairs of different people that match."
    )
    cosine = Rounded(4, help_text="Lowest raw cosine that is a match.")
    similarity = Rounded(1, help_text="Lowest similarity that is a match, 0–100.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        content = super().to_representation(instance)
        return {name: value for name, value in content.items() if value is not None}


class PersonReferenceSerializer(ResponseSerializer):
    """A person, named briefly."""

    id = serializers.UUIDField(help_text="The person's id.")
    external_id = serializers.CharField(allow_null=True, help_text="Your own id for this person, if any.")
    name = serializers.CharField(help_text="The person's name, which may be empty.")


class CandidateSerializer(ResponseSerializer):
    """A person that the face may show."""

    person = PersonReferenceSerializer(help_text="The person.")
    similarity = Rounded(1, source="score.similarity", help_text=_SIMILARITY)
    cosine = Rounded(4, source="score.cosine", help_text=_COSINE)
    photo = serializers.UUIDField(source="photo_id", help_text=_NEAREST_PHOTO)
    match = serializers.BooleanField(source="score.match", help_text=_MATCH)


class IdentifiedFaceSerializer(FaceSerializer):
    """A face that was searched in the collection."""

    decision = serializers.ChoiceField(
        ["match", "ambiguous", "no_match"],
        help_text="`match`: the best candidate is the person. `ambiguous`: at least two people reach the "
        "threshold, and the best two are too similar to choose one. `no_match`: no person reaches the "
        "threshold.",
    )
    margin = Rounded(
        4,
        allow_null=True,
        help_text="Cosine of the best person minus that of the second best, whether or not they reach the "
        "threshold. Null if there are fewer than two people.",
    )
    candidates = CandidateSerializer(
        many=True,
        help_text="Best first. Candidates below the threshold are listed only with `include_below=true`.",
    )


class IdentificationSerializer(ResponseSerializer):
    """The result of searching a collection for each face of a photo."""

    request_id = RequestId()
    engine = serializers.CharField(source="photo.engine", help_text=_ENGINE)
    degraded = serializers.BooleanField(
        help_text="Whether the remote index was unavailable and the database was searched instead. The "
        "result is exact either way; it only took longer."
    )
    collection_size = serializers.IntegerField(
        help_text="Number of enrolled people in the collection, on which the default threshold depends."
    )
    threshold = ThresholdSerializer(help_text=_THRESHOLD)
    faces = IdentifiedFaceSerializer(many=True, help_text="The faces that were searched, largest first.")
    skipped_faces = SkippedFaceSerializer(
        many=True, source="photo.skipped", help_text="The faces that were not searched, and why."
    )


class VerificationSerializer(ResponseSerializer):
    """The result of comparing a photo with a person."""

    request_id = RequestId()
    engine = serializers.CharField(source="photo.engine", help_text=_ENGINE)
    threshold = ThresholdSerializer(help_text=_THRESHOLD)
    match = serializers.BooleanField(source="score.match", help_text=_MATCH)
    similarity = Rounded(1, source="score.similarity", help_text=_SIMILARITY)
    cosine = Rounded(4, source="score.cosine", help_text=_COSINE)
    photo = serializers.UUIDField(source="photo_id", help_text=_NEAREST_PHOTO)
    face = FaceSerializer(help_text="The face of the photo that was compared.")


class ComparedFaceSerializer(FaceSerializer):
    """A face of the target photo, compared with the source face."""

    similarity = Rounded(1, source="score.similarity", help_text=_SIMILARITY)
    cosine = Rounded(4, source="score.cosine", help_text=_COSINE)
    match = serializers.BooleanField(source="score.match", help_text=_MATCH)


class ComparisonSerializer(ResponseSerializer):
    """The result of comparing two photos."""

    request_id = RequestId()
    engine = serializers.CharField(help_text=_ENGINE)
    threshold = ThresholdSerializer(help_text=_THRESHOLD)
    # Any, because a Serializer has an attribute with this name
    source: Any = FaceSerializer(help_text="The largest face of the source photo.")
    faces = ComparedFaceSerializer(many=True, help_text="The faces of the target photo, largest first.")


class DetectionSerializer(ResponseSerializer):
    """The faces in a photo."""

    request_id = RequestId()
    engine = serializers.CharField(help_text=_ENGINE)
    faces = FaceSerializer(many=True, help_text=_FACES)
    skipped_faces = SkippedFaceSerializer(
        many=True, source="skipped", help_text="The faces beyond the `max_faces` largest."
    )


class EngineThresholdSerializer(ResponseSerializer):
    """The threshold for one false match rate."""

    fmr = serializers.FloatField(
        help_text="False match rate: the share of pairs of different people that match."
    )
    cosine = Rounded(4, help_text="Raw cosine that has this rate.")
    similarity = Rounded(1, help_text="Similarity that has this rate, 0–100.")


class EngineSerializer(ResponseSerializer):
    """The face recognition engine that processes photos now."""

    engine = serializers.CharField(help_text="The engine's id, `name/version`.")
    name = serializers.CharField(help_text="The engine's name.")
    version = serializers.IntegerField(
        help_text="The engine's version. Templates of different versions are never compared."
    )
    dimension = serializers.IntegerField(help_text="Number of values in a template.")
    quality_levels = serializers.ListField(
        child=serializers.ChoiceField(LEVELS), help_text="The values that the parameter `quality` accepts."
    )
    thresholds = EngineThresholdSerializer(many=True, help_text="Thresholds by false match rate.")
