"""One hierarchy has every error code, and docs/errors.md lists them all."""

from __future__ import annotations

import importlib
import pkgutil
import re
from http import HTTPStatus
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

import people
from people import errors
from people.errors import FacerecError, NoFaceFound, PhotoRejected, as_stored, every_code, refusal

ROOT = Path(__file__).resolve().parents[1]
KINDS = list(errors._family(FacerecError))


def _load_everything() -> None:
    for module in pkgutil.walk_packages(people.__path__, "people."):
        importlib.import_module(module.name)


def test_no_error_is_defined_elsewhere() -> None:
    _load_everything()
    assert {kind.__module__ for kind in errors._family(FacerecError)} == {"people.errors"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_says_what_happened_and_what_to_do(kind: type[FacerecError]) -> None:
    if kind is errors.ItemProblem:
        assert "code" not in vars(kind)
        return
    assert {"code", "meaning", "remedy"} <= set(vars(kind)), "inherited from another error"
    assert every_code()[kind.code] is kind
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert kind.reported_in in ("response", "import result", "command")
    HTTPStatus(kind.status)
    for sentence in (kind.meaning, kind.remedy):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence.startswith("people.csv")
    problem = kind().as_problem("id")
    assert problem["detail"] == f"{kind.meaning} {kind.remedy}"
    assert problem["title"]


def test_a_temporary_error_says_when_to_try_again() -> None:
    assert all((kind.retry_after or 0) > 0 for kind in KINDS if kind.status == 503)


@pytest.mark.parametrize("kind", [*errors._family(PhotoRejected)], ids=lambda kind: kind.__name__)
def test_a_stored_rejection_becomes_the_error_that_it_was(kind: type[PhotoRejected]) -> None:
    error = kind("Why.", extra={"faces": []})
    again = refusal(as_stored(error))
    assert (type(again), again.message, again.extra) == (kind, "Why.", {"faces": []})


def test_a_rejection_stored_by_an_older_version_can_be_read() -> None:
    assert type(refusal({"code": "of_old", "detail": "Why."})) is PhotoRejected
    assert type(refusal({"code": "cancelled", "detail": "Why."})) is PhotoRejected
    assert refusal({"code": "no_face"}).message == NoFaceFound().message


def test_the_documented_table_is_up_to_date() -> None:
    call_command("list_errors", check=ROOT / "docs" / "errors.md")


def test_a_table_that_is_out_of_date_is_reported(tmp_path: Path) -> None:
    old = tmp_path / "errors.md"
    for content in (None, "| `no_face` |"):
        if content:
            old.write_text(content)
        with pytest.raises(CommandError, match="list_errors"):
            call_command("list_errors", check=old)


def test_no_module_spells_a_code_out() -> None:
    """Codes are written in people/errors.py alone; elsewhere they are `SomeError.code`."""
    spelled = re.compile(rf"""code["']?\W{{1,4}}["']({"|".join(every_code())})["']""")
    for path in (*(ROOT / "people").rglob("*.py"), *(ROOT / "facerec_site").rglob("*.py")):
        if path.name == "errors.py" and path.parent.name == "people":
            continue
        assert spelled.findall(path.read_text()) == [], path
