"""Images: built and pushed from a checkout."""

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
    """A `docker` that notes what it was told, and what came by standard input."""
    notes = tmp_path / "docker.log"
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf "%s " "$@" >> {notes}\necho >> {notes}\n'
        f'[ "$1" = login ] && cat > {tmp_path}/stdin\n[ -z "$FAILS" ]\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return notes


@dataclass
class Checkout:
    folder: Path
    commit: str
    """Its first twelve digits."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Have the command stand in a checkout of one commit."""
    folder = tmp_path / "checkout"
    monkeypatch.setattr(images, "ROOT", folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", folder, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    subprocess.run(["git", "init", "--quiet", folder], check=True)
    git("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "--allow-empty", "-m", "1")
    return Checkout(folder, git("rev-parse", "--short=12", "HEAD"))


def test_an_image_is_pushed_under_both_tags_and_the_password_is_no_argument(
    deployed: Operator, docker: Path, checkout: Checkout
) -> None:
    tag = f"sha-{checkout.commit}"
    push(tag)  # the `docker` here only notes it
    code, said = deployed("image", "build")
    assert code == 0, said
    code, said = deployed("image", "push")
    assert code == 0, said
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
    assert password not in docker.read_text() + said
    assert "@sha256:" in said


def test_a_build_that_fails_says_so(run: Operator, docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "1")
    code, said = run("image", "build")
    assert code == 1
    assert "`docker build` failed with 1" in said


def test_without_a_builder_the_command_says_what_is_missing(
    run: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, said = run("image", "build")
    assert code == 1
    assert "Neither docker nor podman" in said


def test_a_changed_checkout_is_told_from_its_commit(checkout: Checkout) -> None:
    assert images.version_tag() == f"sha-{checkout.commit}"
    (checkout.folder / "new.txt").touch()
    assert images.version_tag() == f"sha-{checkout.commit}-changed"
