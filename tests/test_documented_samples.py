"""The samples in the Markdown pages work as printed, on a running service with the sample collection."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import fakes, markdown_samples, servers
from tests.markdown_samples import PAGES, ROOT, Sample
from tests.service import Service, running

pytestmark = [
    pytest.mark.once,  # SQLite, as on the machine of a reader who begins
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed"),
]

NOT_RUN = {
    "downloads into the checkout, serves the usual port and runs until Ctrl-C; quickstart is run instead": [
        "README.md: make run # set up the service and a sample collection, …",
        "docs/getting-started.md: make run",
        "docs/deployment.md: make run # creates what is missing, then serves …",
    ],
    "installs packages or changes the checkout": [
        "docs/contributing.md: apt-get install chromium chromium-driver redis-server …",
        "docs/deployment.md: python3 -m venv .venv",
        "docs/deployment.md: git pull # or check out a tag",
    ],
    "runs other tests": [
        "docs/contributing.md: .venv/bin/python -m pytest -n0 tests/test_decision.py -k …",
        "docs/contributing.md: .venv/bin/python -m tests.postgresql .venv/bin/python -m …",
        "docs/contributing.md: .venv/bin/python -m pytest -n0 tests/api/test_enrolment.py …",
        "docs/contributing.md: .venv/bin/python manage.py list_errors > docs/errors.md",
        'docs/contributing.md: .venv/bin/python -m pytest -n0 -m "not slow" …',
        "docs/contributing.md: ENVIRONMENT=test .venv/bin/python manage.py makemigrations …",
        "docs/contributing.md: .venv/bin/python -m pytest -n0 tests/test_api_keys.py",
    ],
    "a part of a patch to this code": [
        "docs/contributing.md: def test_a_suspended_person_cannot_be_verified(api: …",
        "docs/contributing.md: class PersonSuspended(Conflict):",
        "docs/contributing.md: if person.status == Person.Status.SUSPENDED:",
        "docs/contributing.md: FACEREC_IDEMPOTENCY_HOURS = …",
        "docs/contributing.md: owner = models.CharField(max_length=100, blank=True, …",
    ],
    "takes minutes to hours, and downloads LFW or needs photos of many people": [
        "docs/accuracy.md: .venv/bin/python manage.py evaluate lfw-dev # the first …",
        "docs/accuracy.md: .venv/bin/python manage.py evaluate lfw-dev --enrol 5 # …",
        "docs/accuracy.md: .venv/bin/python manage.py evaluate FOLDER # prints the …",
        "docs/performance.md: make bench # 20 minutes on an idle machine; manage.py …",
        "docs/performance.md: .venv/bin/python manage.py benchmark --cores 0 --against …",
    ],
    "needs Docker, a reverse proxy, or PostgreSQL with Redis and S3": [
        "docs/deployment.md: CELERY_BROKER_URL=redis://redis.internal:6379/0",
        "docs/deployment.md: faces.example.org {",
        "docs/deployment.md: make stack # PORT=… for a port other than 8000",
    ],
    "needs an AWS account": [
        "docs/aws.md: pip install --require-hashes -r requirements/deploy.txt",
        "docs/aws.md: aws ssm get-parameter --with-decryption --name …",
        "docs/aws.md: aws acm request-certificate --domain-name …",
        "docs/aws.md: aws elbv2 describe-load-balancers --names facerec-api-alb …",
        "docs/aws.md: curl --head http://faces.example.org/health # 301 to …",
        "docs/aws.md: aws rds restore-db-instance-to-point-in-time --source-db- …",
        "docs/aws.md: aws rds modify-db-instance --db-instance-identifier ID …",
        "docs/aws.md: deploy/facerec-deploy logs --since 30d | grep -oE 'Erasure …",
        "docs/aws.md: aws cloudformation describe-stacks --stack-name facerec- …",
        "docs/aws.md: export AWS_REGION=eu-central-1 AWS_ACCOUNT=$(aws sts get- …",
        "docs/aws.md: aws ecr create-repository --repository-name facerec-api",
        "docs/aws.md: pip install --require-hashes -r requirements/deploy.txt # …",
        "docs/aws.md: copilot app init facerec",
        "docs/aws.md: copilot job delete --name maintenance --env prod --yes",
    ],
}
"""Samples that no test runs, by the reason. tests/test_documented_commands.py checks their commands."""
LISTED = [name for names in NOT_RUN.values() for name in names]
RUN = (
    "README.md",
    "docs/api.md",
    "docs/concepts.md",
    "docs/deployment.md",
    "docs/errors.md",
    "docs/getting-started.md",
    "docs/privacy-and-security.md",
)
"""Pages of which a test below takes all samples that aren't listed, and fails if there is another one."""
FILLED_IN = re.compile(r"^(?:export )?(\w+)=…?[\w]*…")
"""A variable that readers set, such as KEY=frk_…"""


def samples(page: str) -> list[Sample]:
    """Return the samples of a page that are to be run."""
    return [
        sample
        for sample in markdown_samples.samples(page)
        if sample.language != "toml" and sample.name not in LISTED
    ]


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
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{command[-1]}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), DATABASE_URL="") as service:
        command = [sys.executable, "manage.py", "quickstart"]
        subprocess.run(command, cwd=ROOT, env=service.variables, check=True, capture_output=True)
        yield service


@pytest.fixture
def reader(service: Service, tmp_path: Path) -> Reader:
    return Reader(tmp_path, service)


def test_every_sample_is_run_or_listed_with_a_reason() -> None:
    assert [sample.name for page in PAGES if page not in RUN for sample in samples(page)] == []


def test_every_listed_sample_is_in_a_page_once() -> None:
    names = Counter(sample.name for page in PAGES for sample in markdown_samples.samples(page))
    assert {name: names[name] for name in LISTED if names[name] != 1} == {}


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
    response = requests.post(f"{url}{person}/photos/", files=photo, headers=service.headers, timeout=30)
    problem = json.loads(shown.text)
    _assert_shown(problem, response.json())
    assert response.json().keys() == problem.keys()


def test_an_erasure_is_repeated_from_the_log(reader: Reader, service: Service) -> None:
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
    assert "The administrator `admin` can log in" in reader.run(prepare, paths | secrets)
    reader.environment["PORT"] = str(servers.free_port())
    as_the_proxy = {"Host": "faces.example.org", "X-Forwarded-Proto": "https"}
    with _started(reader, start.text.splitlines()) as log:
        url = f"http://127.0.0.1:{reader.environment['PORT']}/ready"
        assert _first_response(url, as_the_proxy).json()["status"] == "ok"
        _wait_until(lambda: " ready." in log.read_text())  # the worker
    (folder / "photos").mkdir()  # as the first enrolment would
    reader.run(back_up, paths)
    assert (backup / "facerec.sqlite3").stat().st_size > 0
    assert (backup / "photos").is_dir()


@contextmanager
def _started(reader: Reader, commands: list[str]) -> Iterator[Path]:
    """Run commands as a supervisor does, and require that SIGTERM ends each of them in order.

    Returns their log.
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

    _wait_until(responds)
    return responses[0]


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _replaced(sample: Sample, replacements: Mapping[str, str]) -> str:
    text = sample.text
    for shown, replacement in replacements.items():
        text = text.replace(shown, replacement)
    return text


def _assert_shown(shown: Any, returned: Any) -> None:
    """Require that each shown field is returned. Numbers may differ, and so may a text with an ellipsis."""
    assert type(shown) is type(returned)
    if isinstance(shown, dict):
        assert shown.keys() <= returned.keys()
        for name, value in shown.items():
            _assert_shown(value, returned[name])
    elif isinstance(shown, list):
        for value, returned_value in zip(shown, returned, strict=True):
            _assert_shown(value, returned_value)
    elif isinstance(shown, bool) or (isinstance(shown, str) and "…" not in shown):
        assert shown == returned
