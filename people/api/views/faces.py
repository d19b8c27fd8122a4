"""Search, comparison and detection. Probes are never stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from people import identification
from people.active_engine import active_engine
from people.api.openapi import raises
from people.api.openapi.problems import CHOSEN_FACE, PROBE
from people.api.parsers import PHOTO_PARSERS
from people.api.requests.photos import COMPARE_REQUEST, PHOTO_REQUEST, photo_bytes
from people.api.requests.queries import (
    CompareQuery,
    DetectQuery,
    IdentifyQuery,
    NoQuery,
    VerifyQuery,
    threshold_choice,
)
from people.api.responses.faces import (
    ComparisonSerializer,
    DetectionSerializer,
    EngineSerializer,
    IdentificationSerializer,
    VerificationSerializer,
)
from people.api.views.base import ApiView
from people.engines import engine_id
from people.errors import IndexUnavailable, ModelMissing, NoFaceFound, NotEnrolled, PersonMerged
from people.quality import LEVELS

SHOWN_RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class IdentifyView(ApiView):
    tag = "faces"
    parser_classes = PHOTO_PARSERS
    scopes = {"POST": ["identify"]}
    processes_photos = True

    @raises(*PROBE, IndexUnavailable)
    @extend_schema(
        operation_id="identify",
        summary="Identify the faces in a photo (1:N)",
        description=(
            "Searches the collection for each face in the photo. Faces that fail the quality check, "
            "and those beyond `max_faces`, are returned in `skipped_faces`. A photo without faces is "
            "not an error: `faces` is empty. The photo is not stored."
        ),
        request=PHOTO_REQUEST,
        parameters=[IdentifyQuery],
        responses={200: IdentificationSerializer},
    )
    def post(self, request: Request, collection: str) -> Response:
        query = IdentifyQuery.read(request)
        (photo,) = photo_bytes(request, "photo")
        result = identification.identify(
            photo,
            collection=self.collection(),
            actor=self.actor,
            choice=threshold_choice(query),
            max_candidates=query["max_candidates"],
            max_faces=query["max_faces"],
            quality_level=query["quality"],
            include_below=query["include_below"],
        )
        return Response(IdentificationSerializer(result).data)


class VerifyView(ApiView):
    tag = "faces"
    parser_classes = PHOTO_PARSERS
    scopes = {"POST": ["identify"]}
    processes_photos = True

    @raises(*PROBE, *CHOSEN_FACE, NotEnrolled, PersonMerged)
    @extend_schema(
        operation_id="verify",
        summary="Verify a photo against a person (1:1)",
        description=(
            "Compares one face in the photo with one person. Returns 409 if the person has no "
            "accepted photo, is suspended, or lacks a consent that the collection requires. The photo"
            " is not stored."
        ),
        request=PHOTO_REQUEST,
        parameters=[VerifyQuery],
        responses={200: VerificationSerializer},
    )
    def post(self, request: Request, collection: str, person: UUID) -> Response:
        query = VerifyQuery.read(request)
        (photo,) = photo_bytes(request, "photo")
        result = identification.verify(
            photo,
            person=self.person(),
            actor=self.actor,
            choice=threshold_choice(query),
            face=query["face"],
        )
        return Response(VerificationSerializer(result).data)


class CompareView(ApiView):
    tag = "faces"
    parser_classes = PHOTO_PARSERS
    scopes = {"POST": ["detect"]}
    processes_photos = True

    @raises(*PROBE, NoFaceFound)
    @extend_schema(
        operation_id="compare",
        summary="Compare the faces in two photos",
        description=(
            "Compares the largest face in the source photo with every face in the target photo. Uses "
            "no collection and stores neither photo."
        ),
        request=COMPARE_REQUEST,
        parameters=[CompareQuery],
        responses={200: ComparisonSerializer},
    )
    def post(self, request: Request) -> Response:
        query = CompareQuery.read(request)
        source, target = photo_bytes(request, "source", "target")
        result = identification.compare(source, target, actor=self.actor, choice=threshold_choice(query))
        return Response(ComparisonSerializer(result).data)


class DetectView(ApiView):
    tag = "faces"
    parser_classes = PHOTO_PARSERS
    scopes = {"POST": ["detect"]}
    processes_photos = True

    @raises(*PROBE)
    @extend_schema(
        operation_id="detect",
        summary="Detect the faces in a photo",
        description=(
            "Returns every face in the photo with its position and quality. Uses no collection and "
            "doesn't store the photo."
        ),
        request=PHOTO_REQUEST,
        parameters=[DetectQuery],
        responses={200: DetectionSerializer},
    )
    def post(self, request: Request) -> Response:
        query = DetectQuery.read(request)
        (photo,) = photo_bytes(request, "photo")
        result = identification.detect(photo, actor=self.actor, max_faces=query["max_faces"])
        return Response(DetectionSerializer(result).data)


class EngineView(ApiView):
    tag = "engine"
    scopes = {"GET": ["detect"]}

    @raises(ModelMissing)
    @extend_schema(
        operation_id="getEngine",
        summary="Get the engine and its thresholds",
        description=("Returns the engine that processes requests, and its thresholds by false match rate."),
        responses={200: EngineSerializer},
    )
    def get(self, request: Request) -> Response:
        NoQuery.read(request)
        engine = active_engine()
        calibration = engine.calibration
        thresholds: list[dict[str, Any]] = []
        for rate in SHOWN_RATES:
            cosine = calibration.cosine_at_fmr(rate)
            thresholds.append({"fmr": rate, "cosine": cosine, "similarity": calibration.similarity(cosine)})
        content = {
            "engine": engine_id(engine),
            "name": engine.name,
            "version": engine.version,
            "dimension": engine.dimension,
            "quality_levels": list(LEVELS),
            "thresholds": thresholds,
        }
        return Response(EngineSerializer(content).data)
