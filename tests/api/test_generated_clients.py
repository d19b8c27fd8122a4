"""Clients generated from the served document work for every operation."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from people.photos import MAX_BYTES
from tests import fakes
from tests.api import generated_client
from tests.api.generated_client import Caller
from tests.importing import PEOPLE, zipped
from tests.load import wait_for
from tests.service import Service, running

pytestmark = pytest.mark.once
TYPESCRIPT = Path(__file__).parent / "typescript"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), FACEREC_TEST_FAKE_ENGINE="1") as service:
        yield service


@pytest.fixture
def call(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    document = service.document()
    generated_client.generate(document, tmp_path / "generated")
    monkeypatch.syspath_prepend(tmp_path / "generated")
    with Caller(document, service.url, service.key) as caller:
        yield caller


def test_a_generated_python_client_works_for_every_operation(call: Caller, service: Service) -> None:
    assert call("getEngine").name == "fake"
    _collections(call)
    people = _people(call)
    photos = _photos(call, people[0].id)
    _faces(call, people[0].id, photos[0])
    _imports(call)
    _merges(call, people)
    _removals(call, people, photos)
    _problems(call, people[0].id, service)
    assert call.succeeded == call.operations
    assert call.failed == {400, 401, 403, 404, 409, 413, 415, 422, 429}


def _collections(call: Caller) -> None:
    models = call.models
    for name in ("default", "two", "three", "four", "five"):
        created = call(
            "createCollection", body=models.NewCollectionRequest(name=name, description=f"The {name}")
        )
        assert (created.name, created.fpir, created.persons) == (name, None, 0)
    pages = call.pages("listCollections")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {row.name for page in pages for row in page} == {"default", "two", "three", "four", "five"}
    retention = models.RetentionRequest(erase_unseen_after_days=30)
    change = models.CollectionChangeRequest(min_similarity=85.5, retention=retention)
    changed = call("changeCollection", "two", body=change)
    assert (changed.min_similarity, changed.retention.erase_unseen_after_days) == (85.5, 30)
    assert call("getCollection", "two") == changed
    assert call.response("deleteCollection", "five").status_code == 204


def _people(call: Caller) -> list[Any]:
    """Create five people, one without an external_id, and return them by external_id."""
    models = call.models
    people = []
    for number in (1, 2, 3, 4, None):
        metadata = models.PersonRequestMetadata()
        metadata["floor"] = number
        body = models.PersonRequest(external_id=number and f"emp-{number}", name="Ada", metadata=metadata)
        first = call.response("createPerson", "default", body=body, idempotency_key=f"person {number}")
        repeated = call.response("createPerson", "default", body=body, idempotency_key=f"person {number}")
        assert (first.status_code, repeated.parsed) == (201, first.parsed)
        assert repeated.headers["Idempotent-Replayed"] == "true"
        people.append(first.parsed)
    assert call("getPerson", "default", people[3].id).metadata["floor"] == 4
    for ordering, order in (("external_id", [0, 1, 2, 3, 4]), ("-external_id", [3, 2, 1, 0, 4])):
        pages = call.pages("listPersons", "default", ordering=models.ListPersonsOrdering(ordering))
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [row.id for page in pages for row in page] == [people[number].id for number in order]
    suspension = models.PersonRequest(status=models.SettablePersonStatus.SUSPENDED)
    suspended = call("changePerson", "default", people[4].id, body=suspension)
    assert suspended.status == models.PersonStatus.SUSPENDED
    (listed,) = call("listPersons", "default", status=models.PersonStatus.SUSPENDED, search="ada").results
    assert listed == suspended
    return people


def _photos(call: Caller, person: uuid.UUID) -> list[uuid.UUID]:
    """Enrol five photos of the person: by upload, as JSON, and without waiting."""
    models = call.models
    body: Any
    photos = []
    for variation in range(5):
        data = fakes.photo(1, variation=variation)
        if variation == 0:
            body = models.PhotoJsonRequest(photo=_base64(call, data))
        else:
            body = models.PhotoUploadRequest(photo=call.file(data, "photo.png"))
        wait = "wait=0" if variation == 1 else "wait=30"
        response = call.response("enrolPhoto", "default", person, body=body, prefer=wait)
        assert response.status_code in ((201, 202) if variation == 1 else (201,))
        assert response.headers["Preference-Applied"] == wait
        photos.append(response.parsed.id)
    wait_for(lambda: call("getPhoto", "default", person, photos[1]).status == models.PhotoStatus.ACCEPTED)
    pages = call.pages("listPhotos", "default", person, status=models.PhotoStatus.ACCEPTED)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {row.id for page in pages for row in page} == set(photos)
    shown = call("getPhoto", "default", person, photos[0])
    assert (shown.face.box.width, shown.face.quality.verdict) == (160, models.Verdict.GOOD)
    assert set(shown.face.landmarks.additional_keys) >= {"left_eye", "nose"}
    return photos


def _faces(call: Caller, person: uuid.UUID, photo: uuid.UUID) -> None:
    models = call.models
    probe = fakes.photo(1)
    upload = models.PhotoUploadRequest(photo=call.file(probe, "probe.png"))
    result = call("identify", "default", body=upload, max_candidates=1, quality=models.QualityLevel.HIGH)
    assert result.faces[0].decision == models.Decision.MATCH
    assert result.faces[0].candidates[0].person.id == person
    as_json = models.PhotoJsonRequest(photo=_base64(call, probe))
    verified = call("verify", "default", person, body=as_json, fmr=1e-5)
    assert (verified.match, verified.photo) == (True, photo)
    pair = models.CompareUploadRequest(
        source=call.file(probe, "source.png"), target=call.file(fakes.photo(1, 7), "target.png")
    )
    assert [face.match for face in call("compare", body=pair).faces] == [True, False]
    group = models.PhotoUploadRequest(photo=call.file(fakes.photo(1, 2, 3), "group.png"))
    assert [face.box.left for face in call("detect", body=group).faces] == [0, 160, 320]


def _imports(call: Caller) -> None:
    models = call.models
    body: Any
    files = {**PEOPLE, "eve/dark.png": fakes.photo(3, dark=True), "x.png": b""}
    jobs = []
    for dry_run in (True, False, False, False, False):
        archive = call.file(zipped(files).getvalue(), "people.zip")
        body = models.ImportUploadRequest(archive=archive)
        jobs.append(call("startImport", "three", body=body, dry_run=dry_run))
    wait_for(lambda: call("getImport", "three", jobs[1].id).state == models.ImportState.COMPLETE)
    finished = call("getImport", "three", jobs[1].id)
    assert (finished.counts.enrolled, finished.counts.rejected, finished.problem) == (3, 1, None)
    pages = call.pages("listImportItems", "three", jobs[1].id)
    assert [row.path for page in pages for row in page] == sorted(
        files, key=lambda path: (path != "x.png", path)
    )
    (dark,) = call("listImportItems", "three", jobs[1].id, state=models.ImportItemState.REJECTED).results
    assert (dark.problem.code, dark.problem.reasons[0].hint != "") == ("poor_quality", True)
    pages = call.pages("listImports", "three")
    assert [row.id for page in pages for row in page] == [job.id for job in reversed(jobs)]
    wait_for(lambda: call("getImport", "three", jobs[-1].id).state == models.ImportState.COMPLETE)
    assert call.problem(409, "cancelImport", "three", jobs[1].id).code == "conflict"
    many = zipped({f"{seed}/1.png": fakes.photo(seed) for seed in range(100, 160)}).getvalue()
    job = call("startImport", "three", body=models.ImportUploadRequest(archive=call.file(many, "many.zip")))
    assert call("cancelImport", "three", job.id).state == models.ImportState.CANCELLED


def _merges(call: Caller, people: list[Any]) -> None:
    kept, merged = people[1].id, people[2].id
    merge = call("mergePersons", "default", kept, body=call.models.MergeRequest(other=merged))
    assert (merge.kept, merge.merged, merge.undone_at) == (kept, merged, None)
    problem = call.problem(409, "changePerson", "default", merged, body=call.models.PersonRequest(name="Bo"))
    assert (problem.code, problem.kept) == ("person_merged", kept)
    shown = call("getPerson", "default", merged)
    assert (shown.status, shown.merged_into) == (call.models.PersonStatus.MERGED, kept)
    assert call("undoMerge", merge.id).undone_at is not None
    assert call("getMerge", merge.id).undone_at is not None
    assert call.problem(409, "undoMerge", merge.id).code == "merge_undone"


def _removals(call: Caller, people: list[Any], photos: list[uuid.UUID]) -> None:
    assert call.response("withdrawPhoto", "default", people[0].id, photos[4]).status_code == 204
    call.problem(404, "getPhoto", "default", people[0].id, photos[4])
    receipt = call("erasePerson", "default", people[3].id)
    assert receipt.person == people[3].id
    wait_for(lambda: call("getErasure", receipt.id).status == call.models.ErasureStatus.COMPLETE)
    assert call.problem(404, "getPerson", "default", people[3].id).code == "not_found"


def _problems(call: Caller, person: uuid.UUID, service: Service) -> None:
    models = call.models

    def upload(data: bytes) -> Any:
        return models.PhotoUploadRequest(photo=call.file(data, "photo.png"))

    def code(status: int, data: bytes) -> str:
        return str(call.problem(status, "enrolPhoto", "default", person, body=upload(data)).code)

    invalid = models.PersonRequest(name="x" * 300, metadata=models.PersonRequestMetadata())
    invalid.metadata["long"] = "x" * 5_000
    problem = call.problem(400, "createPerson", "default", body=invalid)
    assert (problem.code, set(problem.errors.additional_keys)) == ("invalid", {"name", "metadata"})
    assert list(call.problem(400, "listPersons", "default", cursor="none").errors.additional_keys) == [
        "cursor"
    ]
    taken = models.PersonRequest(external_id="emp-1")
    assert call.problem(409, "createPerson", "default", body=taken).code == "conflict"
    reused = models.PersonRequest(name="Eve")
    problem = call.problem(409, "createPerson", "default", body=reused, idempotency_key="person 1")
    assert problem.code == "idempotency_conflict"
    assert code(413, bytes(MAX_BYTES + 1)) == "photo_too_large"
    assert code(415, b"text") == "not_an_image"
    assert code(422, fakes.photo(None)) == "no_face"
    problem = call.problem(422, "enrolPhoto", "default", person, body=upload(fakes.photo(1, 2)))
    assert (problem.code, [box.left for box in problem.faces]) == ("several_faces", [0, 160])
    problem = call.problem(422, "enrolPhoto", "default", person, body=upload(fakes.photo(1, dark=True)))
    assert (problem.code, problem.face.width, problem.reasons[0].required > 0) == ("poor_quality", 160, True)
    assert call.problem(422, "startImport", "three", body=models.ImportUploadRequest(
        archive=call.file(b"text", "people.zip")
    )).code == "archive_unreadable"  # fmt: skip
    service.sql("UPDATE people_apikey SET scopes = '[\"detect\"]'")
    assert call.problem(403, "getCollection", "default").code == "not_allowed"
    service.sql("UPDATE people_apikey SET rate = '1/day'")
    call("getEngine")
    response = call.response("getEngine")
    assert (response.status_code, response.parsed.code) == (429, "too_many_requests")
    assert int(response.headers["Retry-After"]) > 0
    service.sql("UPDATE people_apikey SET rate = '600/min', revoked_at = created_at")
    assert call.problem(401, "getEngine").code == "not_authenticated"


def _base64(call: Caller, data: bytes) -> Any:
    return call.models.Base64PhotoRequest(base64=base64.b64encode(data).decode())


@pytest.mark.node
def test_a_program_compiles_with_the_generated_typescript_types(
    service: Service, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    tools = _install_tools(pytestconfig)
    for name in ("client.ts", "tsconfig.json"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    (tmp_path / "openapi.json").write_text(json.dumps(service.document()))
    for command in (
        [str(tools / "openapi-typescript"), "openapi.json", "--output", "schema.d.ts"],
        [str(tools / "tsc"), "--project", "."],
    ):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def _install_tools(config: pytest.Config) -> Path:
    """Return the folder of the tools, installed once for each package-lock.json."""
    lock = hashlib.sha256((TYPESCRIPT / "package-lock.json").read_bytes()).hexdigest()[:16]
    assert config.cache is not None
    folder = config.cache.mkdir(f"typescript-{lock}")
    marker = folder / "installed"
    if not marker.exists():
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(TYPESCRIPT / name, folder)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        marker.touch()
    return folder / "node_modules" / ".bin"
