"""Building and pushing images from a checkout."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from facerec_deploy import images

from tests.deployment.operating import Operator, push

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a `docker` that records its arguments and standard input; return the record of arguments."""
    record = tmp_path / "docker.log"
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf "%s " "$@" >> {record}\necho >> {record}\n'
        f'[ "$1" = login ] && cat > {tmp_path}/stdin\n[ -z "$FAILS" ]\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return record


@dataclass
class Checkout:
    folder: Path
    commit: str
    """The first twelve digits of its hash."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Point the command at a checkout with one commit."""
    folder = tmp_path / "checkout"
    monkeypatch.setattr(images, "ROOT", folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", folder, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    subprocess.run(["git", "init", "--quiet", folder], check=True)
    git("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "--allow-empty", "-m", "1")
    return Checkout(folder, git("rev-parse", "--short=12", "HEAD"))


def test_an_image_is_pushed_with_both_tags_and_the_password_is_never_an_argument(
    deployed: Operator, docker: Path, checkout: Checkout
) -> None:
    tag = f"sha-{checkout.commit}"
    push(tag)  # the fixture's `docker` pushes nothing
    code, output = deployed("image", "build")
    assert code == 0, output
    code, output = deployed("image", "push")
    assert code == 0, output
    calls = [line.strip() for line in docker.read_text().splitlines()]
    assert calls[0] == (
        "build --platform linux/amd64 --tag facerec-api:latest --file docker/api/Dockerfile ."
    )
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert calls[1] == f"login --username AWS --password-stdin {host}"
    assert [call for call in calls if call.startswith("push")] == [
        f"push {host}/facerec-api:{tag}",
        f"push {host}/facerec-api:latest",
    ]
    password = (docker.parent / "stdin").read_text()
    assert password
    assert password not in docker.read_text() + output
    assert "@sha256:" in output


def test_a_failed_build_is_reported_with_its_exit_code(
    run: Operator, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "1")
    code, output = run("image", "build")
    assert code == 1
    assert "`docker build`" in output


def test_a_missing_docker_is_reported(run: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, output = run("image", "build")
    assert code == 1
    assert "docker" in output


def test_the_tag_of_a_checkout_with_changes_ends_in_changed(checkout: Checkout) -> None:
    assert images.version_tag() == f"sha-{checkout.commit}"
    (checkout.folder / "new.txt").touch()
    assert images.version_tag() == f"sha-{checkout.commit}-changed"
