"""Search and comparison; nothing of a probe is kept."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from people import identification
from people.active_engine import active_engine
from people.api import representations, schemas
from people.api.authentication import actor
from people.api.parsing import (
    CompareQuery,
    DetectQuery,
    IdentifyQuery,
    VerifyQuery,
    photo_bytes,
    threshold_choice,
)
from people.api.views.base import ApiView
from people.engines import engine_id
from people.quality import LEVELS

SHOWN_RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class IdentifyView(ApiView):
    scopes = {"POST": ["identify"]}
    looks_at_photos = True

    @extend_schema(
        operation_id="identify",
        description="Search every face of the photo among the people of the collection (1:N).",
        request=schemas.PHOTO_REQUEST,
        parameters=[IdentifyQuery],
        responses={200: schemas.IdentificationAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request, collection: str) -> Response:
        query = IdentifyQuery.read(request)
        result = identification.identify(
            photo_bytes(request),
            collection=self.collection(collection),
            actor=actor(request),
            choice=threshold_choice(query),
            max_candidates=query["max_candidates"],
            max_faces=query["max_faces"],
            quality_level=query["quality"],
            include_below=query["include_below"],
        )
        return self.answer(representations.identification(result))


class VerifyView(ApiView):
    scopes = {"POST": ["identify"]}
    looks_at_photos = True

    @extend_schema(
        operation_id="verify",
        description="Compare the photo with one person (1:1).",
        request=schemas.PHOTO_REQUEST,
        parameters=[VerifyQuery],
        responses={200: schemas.VerificationAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request, collection: str, person: UUID) -> Response:
        query = VerifyQuery.read(request)
        result = identification.verify(
            photo_bytes(request),
            person=self.person(collection, person),
            actor=actor(request),
            choice=threshold_choice(query),
            face=query["face"],
        )
        return self.answer(representations.verification(result))


class CompareView(ApiView):
    scopes = {"POST": ["detect"]}
    looks_at_photos = True

    @extend_schema(
        operation_id="compare",
        description="Compare the largest face of one photo with every face of another; no collection.",
        request=schemas.COMPARE_REQUEST,
        parameters=[CompareQuery],
        responses={200: schemas.ComparisonAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request) -> Response:
        query = CompareQuery.read(request)
        result = identification.compare(
            photo_bytes(request, "source"),
            photo_bytes(request, "target"),
            actor=actor(request),
            choice=threshold_choice(query),
        )
        return self.answer(representations.comparison(result))


class DetectView(ApiView):
    scopes = {"POST": ["detect"]}
    looks_at_photos = True

    @extend_schema(
        operation_id="detect",
        description="Find the faces of a photo; no collection.",
        request=schemas.PHOTO_REQUEST,
        parameters=[DetectQuery],
        responses={200: schemas.DetectionAnswer, **schemas.PROBLEM},
    )
    def post(self, request: Request) -> Response:
        query = DetectQuery.read(request)
        found = identification.detect(
            photo_bytes(request), actor=actor(request), max_faces=query["max_faces"]
        )
        return self.answer(representations.detection(found))


class EngineView(ApiView):
    scopes = {"GET": ["detect"]}

    @extend_schema(operation_id="getEngine", responses={200: schemas.EngineAnswer, **schemas.PROBLEM})
    def get(self, request: Request) -> Response:
        engine = active_engine()
        limits = [(rate, engine.calibration.cosine_at_fmr(rate)) for rate in SHOWN_RATES]
        return Response(
            {
                "engine": engine_id(engine),
                "name": engine.name,
                "version": engine.version,
                "dimension": engine.dimension,
                "quality_levels": list(LEVELS),
                "thresholds": [
                    {
                        "fmr": rate,
                        "cosine": round(cosine, 4),
                        "similarity": round(engine.calibration.similarity(cosine), 1),
                    }
                    for rate, cosine in limits
                ],
            }
        )
