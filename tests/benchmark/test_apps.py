"""The benchmark is only for development: production settings and the image don't include it."""

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


def _manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_development_settings_include_the_command(tmp_path: Path) -> None:
    result = _manage("help", "benchmark", FACEREC_VAR_DIR=str(tmp_path))
    assert result.returncode == 0
    assert "--against" in result.stdout


@pytest.mark.slow
def test_production_settings_do_not_include_the_command(tmp_path: Path) -> None:
    result = _manage("benchmark", FACEREC_VAR_DIR=str(tmp_path), **PRODUCTION)
    assert result.returncode == 1
    assert "Unknown command: 'benchmark'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_image_does_not_include_the_benchmark() -> None:
    ignore_rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore_rules  # so that only the exceptions below it are sent to the builder
    assert not [rule for rule in ignore_rules if rule.startswith("!benchmark")]
    assert "benchmark" not in (ROOT / "docker" / "api" / "Dockerfile").read_text()
