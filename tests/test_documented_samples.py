"""The samples in the Markdown pages work as printed, on a running service with the sample collection."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import fakes, servers
from tests.documented_samples import samples
from tests.load import wait_for
from tests.markdown_samples import ROOT, Sample
from tests.service import Service, running

pytestmark = [
    pytest.mark.once,  # SQLite, as on the machine of a new reader
    pytest.mark.curl,
]

FILLED_IN = re.compile(r"^(?:export )?(\w+)=…?[\w]*…")
"""A variable that readers set, such as KEY=frk_…"""


class Reader:
    """Runs samples in a folder that looks like the checkout, one after the other in the same environment."""

    def __init__(self, folder: Path, service: Service) -> None:
        self.folder = folder
        self.url = service.url
        binaries = Path(sys.executable).parent
        self.environment = {
            **service.variables,
            "KEY": service.key,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "HOME": str(folder),  # of the .curlrc
            "PIP_NO_INDEX": "1",  # what the samples install is installed already
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        (folder / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n")
        (folder / ".venv").symlink_to(binaries.parent)
        (folder / "manage.py").symlink_to(ROOT / "manage.py")
        (folder / "var").mkdir()
        (folder / "var" / "samples").symlink_to(service.variables["FACEREC_SAMPLES_DIR"])

    def run(self, sample: Sample, replacements: Mapping[str, str] | None = None) -> str:
        """Run a sample and return its output. Variables that readers fill in must be set before."""
        text = _replaced(sample, {"http://localhost:8000": self.url, **(replacements or {})})
        if sample.language == "python":
            return self._output([sys.executable, "-c", text])
        for line in text.splitlines():
            if match := FILLED_IN.match(line):
                assert match[1] in self.environment, line
                text = text.replace(line, "")
        assert "…" not in text
        output = self._output(["bash", "-euo", "pipefail", "-c", f"{text}\nenv -0 > .environment"])
        entries = (self.folder / ".environment").read_text().rstrip("\0").split("\0")
        self.environment = dict(entry.split("=", 1) for entry in entries)
        return output

    def responses(self, sample: Sample) -> list[Any]:
        """Run a sample of curl commands and return the JSON content of each response."""
        output = self.run(sample).strip()
        responses = []
        while output:
            response, end = json.JSONDecoder().raw_decode(output)
            responses.append(response)
            output = output[end:].strip()
        return responses

    def _output(self, command: list[str]) -> str:
        process = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, f"{command[-1]}\n{process.stdout}\n{process.stderr}"
        return process.stdout


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), DATABASE_URL="") as service:
        command = [sys.executable, "manage.py", "quickstart"]
        subprocess.run(command, cwd=ROOT, env=service.variables, check=True, capture_output=True)
        yield service


@pytest.fixture
def reader(service: Service, tmp_path: Path) -> Reader:
    return Reader(tmp_path, service)


def test_the_request_of_the_readme_returns_the_fields_that_it_shows(reader: Reader) -> None:
    request, shown = samples("README.md")
    (response,) = reader.responses(request)
    _assert_shown(json.loads(shown.text), response)


def test_the_steps_of_getting_started_enrol_and_identify(reader: Reader, service: Service) -> None:
    create, enrol_and_identify, import_people = samples("docs/getting-started.md")
    (person,) = reader.responses(create)
    reader.environment["PERSON"] = person["id"]
    photo, identification = reader.responses(enrol_and_identify)
    assert photo["status"] == "accepted"
    assert identification["faces"][0]["decision"] == "match"
    people = reader.folder / "people"
    for name in ("biden", "obama"):
        (people / name).mkdir(parents=True)
        shutil.copy(reader.folder / "var" / "samples" / f"{name}.jpg", people / name / "1.jpg")
    reader.run(import_people, {"FOLDER": "people"})
    url = f"{service.url}/api/v1/collections/default/persons/"
    persons = requests.get(url, headers=service.headers, timeout=30).json()["results"]
    assert {person["external_id"] for person in persons} == {"emp-17", "biden", "obama"}


def test_the_samples_of_concepts_change_a_threshold(reader: Reader) -> None:
    (change,) = samples("docs/concepts.md")
    (collection,) = reader.responses(change)
    assert collection["fpir"] == 0.0001


def test_the_samples_of_the_api_guide_work(reader: Reader) -> None:
    engine, identify, generate, with_generated_client, with_requests = samples("docs/api.md")
    assert reader.responses(engine)[0]["name"] == "yunet-sface"
    assert reader.responses(identify)[0]["faces"][0]["decision"] == "match"
    reader.run(generate)
    assert reader.run(with_generated_client) == "match ['Barack Obama']\n"
    assert reader.run(with_requests) == "match ['Barack Obama']\n"


def test_the_problem_shown_with_the_error_codes_is_returned(service: Service) -> None:
    (shown,) = samples("docs/errors.md")
    url = f"{service.url}/api/v1/collections/sample/persons/"
    person = requests.post(url, json={}, headers=service.headers, timeout=30).json()["id"]
    photo = {"photo": fakes.photo(None)}
    headers = {**service.headers, "X-Request-ID": "4be3c0de"}  # begins as in the page
    response = requests.post(f"{url}{person}/photos/", files=photo, headers=headers, timeout=30)
    problem = json.loads(shown.text)
    _assert_shown(problem, response.json())
    assert response.json().keys() == problem.keys()


def test_erased_people_are_read_from_the_log(reader: Reader, service: Service) -> None:
    (reapply,) = samples("docs/privacy-and-security.md")
    url = f"{service.url}/api/v1/collections/sample/persons/"
    person = requests.post(url, json={}, headers=service.headers, timeout=30).json()["id"]
    requests.delete(f"{url}{person}/", headers=service.headers, timeout=30).raise_for_status()
    shutil.copy(service.folder / "web.log", reader.folder / "service.log")
    assert "Erased people listed: 1. In the database again: 0." in reader.run(reapply)


def test_an_installation_on_one_machine_is_prepared_started_and_backed_up(reader: Reader) -> None:
    variables, prepare, start, back_up = samples("docs/deployment.md")
    folder, backup = reader.folder / "facerec", reader.folder / "backup"
    backup.mkdir()
    paths = {"/srv/facerec": str(folder), "/backup": str(backup), "/etc/facerec.env": "./facerec.env"}
    secrets = {
        "SECRET_KEY=…": f"SECRET_KEY={'0123456789abcdef' * 4}",
        "ADMIN_PASSWORD=…": "ADMIN_PASSWORD=blue-door-7",
    }
    (reader.folder / "facerec.env").write_text(_replaced(variables, paths | secrets))
    for name in ("DJANGO_SETTINGS_MODULE", "FACEREC_VAR_DIR", "DATABASE_URL"):
        del reader.environment[name]
    reader.run(prepare, paths | secrets)
    with closing(sqlite3.connect(folder / "facerec.sqlite3")) as database:
        administrators = database.execute("SELECT username FROM auth_user WHERE is_superuser").fetchall()
    assert administrators == [("admin",)]
    reader.environment["PORT"] = str(servers.free_port())
    as_the_proxy = {"Host": "faces.example.org", "X-Forwarded-Proto": "https"}
    with _started(reader, start.text.splitlines()) as log:
        url = f"http://127.0.0.1:{reader.environment['PORT']}/ready"
        assert _first_response(url, as_the_proxy).json()["status"] == "ok"
        wait_for(lambda: " ready." in log.read_text())  # the worker
    (folder / "photos").mkdir()  # as the first enrolment would
    reader.run(back_up, paths)
    assert (backup / "facerec.sqlite3").stat().st_size > 0
    assert (backup / "photos").is_dir()


@contextmanager
def _started(reader: Reader, commands: list[str]) -> Iterator[Path]:
    """Run commands as a supervisor does, and require that SIGTERM ends each of them in order.

    Yields the path of their log.
    """
    path = reader.folder / "processes.log"
    with ExitStack() as stack:
        log = stack.enter_context(path.open("wb"))
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command.split(), cwd=reader.folder, env=reader.environment, stdout=log, stderr=log
                )
            )
            for command in commands
        ]
        for process in processes:
            stack.callback(process.kill)
        yield path
        for process in processes:
            process.terminate()
        assert [process.wait(60) for process in processes] == [0] * len(commands)


def _first_response(url: str, headers: Mapping[str, str]) -> requests.Response:
    responses: list[requests.Response] = []

    def responds() -> bool:
        with suppress(requests.ConnectionError):
            responses.append(requests.get(url, headers=headers, timeout=10))
        return bool(responses)

    wait_for(responds)
    return responses[0]


def _replaced(sample: Sample, replacements: Mapping[str, str]) -> str:
    text = sample.text
    for shown, replacement in replacements.items():
        text = text.replace(shown, replacement)
    return text


def _assert_shown(shown: Any, returned: Any) -> None:
    """Require that each shown field is returned. Numbers may differ; an ellipsis stands for any text."""
    assert type(shown) is type(returned)
    if isinstance(shown, dict):
        assert shown.keys() <= returned.keys()
        for name, value in shown.items():
            _assert_shown(value, returned[name])
    elif isinstance(shown, list):
        for value, returned_value in zip(shown, returned, strict=True):
            _assert_shown(value, returned_value)
    elif isinstance(shown, str):
        assert re.fullmatch(".+".join(map(re.escape, shown.split("…"))), returned)
    elif isinstance(shown, bool):
        assert shown == returned
