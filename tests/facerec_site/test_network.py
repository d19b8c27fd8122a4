"""Neither the tests nor the service sends anything to third parties."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_tests_can_only_connect_to_this_machine() -> None:
    # pytest-socket warns before it raises, and warnings are errors here
    with socket.socket() as connection, pytest.raises(UserWarning, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 80))


@pytest.mark.slow
def test_the_model_runtime_sends_no_telemetry(tmp_path: Path) -> None:
    # Software with telemetry, such as onnxruntime and OpenVINO's tools, keeps an id in the home folder.
    script = "from people.engines import get_engine; get_engine()"
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "--command", script],
        cwd=ROOT,
        env={
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "FACEREC_MODELS_DIR": os.environ["FACEREC_MODELS_DIR"],
            "FACEREC_VAR_DIR": str(tmp_path / "var"),
        },
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert {path.name for path in tmp_path.iterdir()} <= {"var"}
