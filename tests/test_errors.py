"""Every error code belongs to one hierarchy, and docs/errors.md lists them all."""

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


def _import_every_module() -> None:
    for module in pkgutil.walk_packages(people.__path__, "people."):
        importlib.import_module(module.name)


def test_no_error_is_defined_elsewhere() -> None:
    _import_every_module()
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
def test_a_stored_rejection_is_converted_back_to_the_same_error(kind: type[PhotoRejected]) -> None:
    error = kind("Why.", extra={"faces": []})
    restored = refusal(as_stored(error))
    assert (type(restored), restored.message, restored.extra) == (kind, "Why.", {"faces": []})


def test_a_rejection_stored_by_an_older_version_can_be_read() -> None:
    assert type(refusal({"code": "removed_code", "detail": "Why."})) is PhotoRejected
    assert type(refusal({"code": "cancelled", "detail": "Why."})) is PhotoRejected
    assert refusal({"code": "no_face"}).message == NoFaceFound().message


def test_the_documented_table_is_up_to_date() -> None:
    call_command("list_errors", check=ROOT / "docs" / "errors.md")


def test_a_table_that_is_out_of_date_is_reported(tmp_path: Path) -> None:
    outdated = tmp_path / "errors.md"
    for content in (None, "| `no_face` |"):
        if content:
            outdated.write_text(content)
        with pytest.raises(CommandError, match="list_errors"):
            call_command("list_errors", check=outdated)


def test_codes_are_literals_only_in_the_module_that_defines_them() -> None:
    """Only people/errors.py contains codes as text; other modules use `SomeError.code`."""
    literal_code = re.compile(rf"""code["']?\W{{1,4}}["']({"|".join(every_code())})["']""")
    for path in (*(ROOT / "people").rglob("*.py"), *(ROOT / "facerec_site").rglob("*.py")):
        if path.name == "errors.py" and path.parent.name == "people":
            continue
        assert literal_code.findall(path.read_text()) == [], path
