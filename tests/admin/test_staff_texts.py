"""Staff read errors and reasons in their own words, not in those for programs that use the API."""

from __future__ import annotations

import pytest

from people import errors
from people.admin import imports, photo_rows
from people.admin.staff_texts import error_text, problem_text, reason_rows
from people.errors import FacerecError, SeveralFacesFound, UnreadablePhoto, every_code

NOT_REPLACED = {
    # of requests to the API, before its operations
    errors.Invalid, errors.NotAuthenticated, errors.MethodNotAllowed, errors.NotAcceptable,
    errors.ExpectationFailed, errors.TooManyRequests, errors.NotImplementedByServer, errors.PhotoMissing,
    # replaced by the texts of the pages that show them
    errors.PeopleCsvInvalid,
    errors.SeveralFacesFound,
    # names a command, which staff pass on to the operator
    errors.ModelMissing,
}  # fmt: skip
"""Errors whose message has code in backticks, which staff don't see or should see unchanged."""


@pytest.mark.parametrize(
    "kind", [kind for kind in every_code().values() if "`" in kind().message and kind not in NOT_REPLACED]
)
def test_staff_read_no_members_of_the_api(kind: type[FacerecError]) -> None:
    assert "`" not in error_text(kind())


@pytest.mark.parametrize("texts", [imports.ITEM_TEXTS, photo_rows.TEXTS])
def test_pages_with_photos_of_several_faces_say_what_staff_can_do(texts: dict[str, str]) -> None:
    assert "`" in SeveralFacesFound().message
    assert "`" not in error_text(SeveralFacesFound(), texts)


def test_errors_without_a_text_for_staff_keep_their_message() -> None:
    error = UnreadablePhoto()
    assert error_text(error) == error.message
    assert problem_text({"code": "unreadable_photo", "detail": "As stored."}) == "As stored."
    assert problem_text({}) == ""


def test_a_page_can_have_its_own_texts() -> None:
    assert error_text(SeveralFacesFound(), {"several_faces": "Choose one."}) == "Choose one."


def test_reasons_have_a_title_and_a_hint_for_staff() -> None:
    reason = {"code": "EXCEEDS_MAX_FACES", "measured": 101, "required": 100, "hint": "Raise max_faces."}
    (row,) = reason_rows([reason])
    assert row["title"] == "Exceeds max faces"
    assert "max_faces" not in row["hint"]
    (row,) = reason_rows([{**reason, "code": "LOW_BRIGHTNESS", "hint": "Use more light."}])
    assert (row["title"], row["hint"]) == ("Low brightness", "Use more light.")
