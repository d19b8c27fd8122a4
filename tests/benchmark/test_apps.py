"""The benchmark belongs to development: production settings and the image leave it out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "not-a-secret",
    "ALLOWED_HOSTS": "faces.example.org",
}


def _manage(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_development_has_the_command(tmp_path: Path) -> None:
    result = _manage("help", "benchmark", FACEREC_VAR_DIR=str(tmp_path))
    assert result.returncode == 0
    assert "--against" in result.stdout


@pytest.mark.slow
def test_production_does_not_know_the_command(tmp_path: Path) -> None:
    result = _manage("benchmark", FACEREC_VAR_DIR=str(tmp_path), **PRODUCTION)
    assert result.returncode == 1
    assert "Unknown command: 'benchmark'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_image_is_built_without_it() -> None:
    sent_to_the_builder = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in sent_to_the_builder  # nothing but the exceptions that follow
    assert not [line for line in sent_to_the_builder if line.startswith("!benchmark")]
    assert "benchmark" not in (ROOT / "docker" / "api" / "Dockerfile").read_text()
