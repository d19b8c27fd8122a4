"""What staff read about an error or a reason where the stored text addresses programs that use the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from people.errors import FacerecError
from people.extraction import MAX_FACES

_ERRORS = {
    "internal_error": "Something went wrong. Try again. If the error persists, contact your operator.",
    "poor_quality": "The face is not clear enough to enrol.",
    "face_not_there": "There is no face at the chosen position. Choose one of the numbered faces.",
    "person_merged": "This person was merged into another. Use the other person, or undo the merge.",
    "not_mergeable": "Only two different people in the same collection can be merged.",
    "undo_out_of_order": "This person was merged again later. Undo the later merge first.",
    "overloaded": "Too many photos are waiting to be processed. Try again in a few seconds.",
}
_HINTS = {
    "EXCEEDS_MAX_FACES": (
        f"Only the {MAX_FACES} largest faces are searched. Crop the photo to search for the others."
    ),
}


def error_text(error: FacerecError, texts: Mapping[str, str] | None = None) -> str:
    """Return what staff read about the error. `texts`, by code, has those that fit one page only."""
    return problem_text({"code": error.code, "detail": error.message}, texts)


def problem_text(problem: Mapping[str, Any], texts: Mapping[str, str] | None = None) -> str:
    """Like `error_text`, for an error stored in a row (code and detail). Returns "" for an empty one."""
    code = str(problem.get("code", ""))
    return (texts or {}).get(code) or _ERRORS.get(code) or str(problem.get("detail", ""))


def reason_rows(reasons: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return reasons as `people/reasons.html` shows them: with a title, and a hint for staff."""
    return [
        {**reason, "title": code_in_words(reason["code"]), "hint": _HINTS.get(reason["code"], reason["hint"])}
        for reason in reasons
    ]


def code_in_words(code: str) -> str:
    """Return the code of a reason, warning or rule in words: EXTREME_POSE becomes Extreme pose."""
    return code.replace("_", " ").capitalize()
