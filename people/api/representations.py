"""The domain's objects as JSON. `schemas` describes the same shapes for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from people import photo_warnings
from people.decision import Threshold
from people.extraction import ExtractedFace, PhotoFaces, box_json
from people.faces import Box, Point
from people.identification import (
    Candidate,
    Comparison,
    Identification,
    IdentifiedFace,
    Score,
    Verification,
)
from people.imports.jobs import Counts
from people.models import Erasure, ImportItem, ImportJob, Merge, Person, Photo
from people.quality import Reason, verdict


def identification(result: Identification) -> dict[str, Any]:
    photo = result.photo
    return {
        "engine": photo.engine,
        "degraded": result.degraded,
        "collection_size": result.collection_size,
        "threshold": threshold(result.threshold),
        "faces": [_identified(face, photo) for face in result.faces],
        "skipped_faces": [_skipped(face, reasons, photo) for face, reasons in photo.skipped],
    }


def verification(result: Verification) -> dict[str, Any]:
    return {
        "engine": result.photo.engine,
        "threshold": threshold(result.threshold),
        "match": result.score.match,
        **_score(result.score),
        "photo": str(result.photo_id),
        "face": face(result.face, result.photo),
    }


def comparison(result: Comparison) -> dict[str, Any]:
    return {
        "engine": result.target.engine,
        "threshold": threshold(result.threshold),
        "source": face(result.source, result.source_photo),
        "faces": [
            {**face(one, result.target), **_score(score), "match": score.match}
            for one, score in zip(result.target.faces, result.scores, strict=True)
        ],
    }


def detection(photo: PhotoFaces) -> dict[str, Any]:
    return {
        "engine": photo.engine,
        "faces": [face(one, photo) for one in photo.faces],
        "skipped_faces": [_skipped(one, reasons, photo) for one, reasons in photo.skipped],
    }


def face(one: ExtractedFace, photo: PhotoFaces, reasons: Sequence[Reason] = ()) -> dict[str, Any]:
    """Return where a face is, and how good."""
    return {
        "box": box_json(one.face.box),
        "relative": relative(one.face.box, photo.width, photo.height),
        "landmarks": {name: _point(point) for name, point in one.face.landmarks.items()},
        "detection_confidence": round(one.face.confidence, 3),
        "quality": {
            "verdict": verdict(list(reasons)),
            "reasons": [reason.as_json() for reason in reasons],
            **one.measures.as_json(),
        },
    }


def relative(box: Box, width: int, height: int) -> dict[str, float]:
    """Return the box as shares of the photo, 0–1."""
    return {
        "left": round(box.left / width, 4),
        "top": round(box.top / height, 4),
        "width": round(box.width / width, 4),
        "height": round(box.height / height, 4),
    }


def threshold(limit: Threshold) -> dict[str, float | None]:
    # 3 significant digits of a rate; a rounded-down cosine would let in what was refused
    shown: dict[str, float | None] = {
        "fmr": float(f"{limit.fmr:.3g}"),
        "cosine": round(limit.cosine, 4),
        "similarity": round(limit.similarity, 1),
    }
    return shown if limit.fpir is None else {"fpir": float(f"{limit.fpir:.3g}"), **shown}


def photo(row: Photo) -> dict[str, Any]:
    """Return a submitted photo, its verdict, and its face where there is one."""
    return photos([row])[0]


def photos(rows: Sequence[Photo]) -> list[dict[str, Any]]:
    """Return the same of several."""
    warnings = photo_warnings.current(rows)
    return [_photo(row, warnings[row.pk]) for row in rows]


def _photo(row: Photo, warnings: list[dict[str, Any]]) -> dict[str, Any]:
    template = next(iter(row.templates.all()), None)
    found = None
    if template is not None:
        box = Box(**template.box)
        found = {
            "engine": template.engine,
            "box": template.box,
            "relative": relative(box, row.width, row.height),
            "landmarks": {name: _point(point) for name, point in template.landmarks.items()},
            "detection_confidence": round(template.confidence, 3),
            "quality": {"verdict": "good", "reasons": [], **template.quality},
        }
    return {
        "id": str(row.pk),
        "person": str(row.person_id),
        "status": row.status,
        "width": row.width,
        "height": row.height,
        "face": found,
        "rejection": row.rejection,
        "warnings": warnings,
        "created_at": _time(row.created_at),
        "decided_at": _time(row.decided_at) if row.decided_at else None,
    }


def erasure(row: Erasure) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "person": str(row.person_id),
        "status": row.status,
        "reason": row.reason,
        "photos": row.photos,
        "templates": row.templates,
        "files_purged": row.files_purged,
        "vectors_purged": row.vectors_purged,
        "requested_at": _time(row.requested_at),
        "completed_at": _time(row.completed_at) if row.completed_at else None,
        "backups_expire_at": _time(row.backups_expire_at),
    }


def import_job(row: ImportJob, found: Counts) -> dict[str, Any]:
    """Return an import and how far it is."""
    return {
        "id": str(row.pk),
        "source": row.source,
        # the path of a stored archive or a folder of the server is nobody's business
        "location": row.location if row.source == ImportJob.Source.S3 else None,
        "dry_run": row.dry_run,
        "state": row.state,
        "problem": row.problem,
        "total": found.total,
        "counts": {
            "pending": found.pending,
            "enrolled": found.enrolled,
            "known": found.known,
            "rejected": found.rejected,
            "skipped": found.skipped,
        },
        "persons_to_create": found.persons_to_create,
        "created_at": _time(row.created_at),
        "finished_at": _time(row.finished_at) if row.finished_at else None,
    }


def import_item(row: ImportItem, *, dry_run: bool) -> dict[str, Any]:
    """Return what became of one file."""
    return {
        "number": row.number,
        "path": row.path,
        "external_id": row.person_key,
        "person": str(row.person_id) if row.person_id else None,
        "photo": str(row.photo_id) if row.photo_id and not dry_run else None,
        "state": row.state,
        "problem": row.problem,
    }


def merge(row: Merge) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "kept": str(row.kept_id),
        "merged": str(row.merged_id),
        "photos": len(row.photo_ids),
        "merged_at": _time(row.merged_at),
        "undone_at": _time(row.undone_at) if row.undone_at else None,
    }


def _identified(one: IdentifiedFace, photo: PhotoFaces) -> dict[str, Any]:
    return {
        **face(one.face, photo),
        "decision": one.decision,
        "margin": None if one.margin is None else round(one.margin, 4),
        "candidates": [_candidate(candidate) for candidate in one.candidates],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "person": _person(one.person),
        **_score(one.score),
        "photo": str(one.photo_id),
        "match": one.score.match,
    }


def _person(person: Person) -> dict[str, Any]:
    return {"id": str(person.pk), "external_id": person.external_id, "name": person.name}


def _score(score: Score) -> dict[str, float]:
    return {"similarity": round(score.similarity, 1), "cosine": round(score.cosine, 4)}


def _skipped(one: ExtractedFace, reasons: Sequence[Reason], photo: PhotoFaces) -> dict[str, Any]:
    return {
        "box": box_json(one.face.box),
        "relative": relative(one.face.box, photo.width, photo.height),
        "reasons": [reason.as_json() for reason in reasons],
    }


def _point(point: Point | Sequence[float]) -> dict[str, float]:
    return {"x": round(float(point[0]), 1), "y": round(float(point[1]), 1)}


def _time(moment: Any) -> str:
    return str(moment.isoformat().replace("+00:00", "Z"))
