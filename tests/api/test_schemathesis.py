"""schemathesis finds no failures: every request gets a response that the document describes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api import schemathesis_data
from tests.service import ROOT, running

FOLDER = Path(__file__).parent
CASES = 2_000
CASES_PER_OPERATION = 20
"""In each phase that draws cases; those of the coverage phase follow from the document."""


@pytest.mark.timeout(900)
def test_every_response_is_described_in_the_document(tmp_path: Path) -> None:
    with running(tmp_path / "service", FACEREC_TEST_FAKE_ENGINE="1") as service:
        service.sql("UPDATE people_apikey SET rate = '1000000/sec'")
        existing = schemathesis_data.fill(service)
        result = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis", "--config-file", FOLDER / "schemathesis.toml",
                "run", f"{service.url}/api/schema/", "--checks", "all",
                "--max-examples", str(CASES_PER_OPERATION),
                "--header", f"Authorization: Bearer {service.key}",
                "--report-json-path", tmp_path / "report.json", "--report-ndjson-path", tmp_path / "events",
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
                "FACEREC_TEST_EXISTING": json.dumps(existing),
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        document = service.document()
    assert result.returncode == 0, result.stdout[-20_000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["failures"] == report["errors"] == []
    assert {name: phase["status"] for name, phase in report["phases"].items()} == dict.fromkeys(
        ("examples", "coverage", "fuzzing", "stateful"), "success"
    )
    assert report["test_cases"]["generated"] >= CASES
    assert _operations(document) - _succeeded(tmp_path / "events") == set()


def _operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def _succeeded(events: Path) -> set[tuple[str, str]]:
    """Return the operations that had a response with a 2xx status, from schemathesis's events."""
    operations = set()
    for line in events.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for number, case in recorder.get("cases", {}).items():
            response = recorder["interactions"].get(number, {}).get("response")
            if response and 200 <= response["status_code"] < 300:
                operations.add((case["value"]["method"], case["value"]["path"]))
    return operations
