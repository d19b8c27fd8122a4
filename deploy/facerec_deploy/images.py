"""Images: built from this checkout, pushed with the tags `sha-…` and `latest`, deployed by digest."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import Any

from botocore.exceptions import ClientError

from .account import Account, Refused
from .configuration import ROOT

REPOSITORY = "facerec-api"
PLATFORMS = {"X86_64": "linux/amd64", "ARM64": "linux/arm64"}


def builder() -> str:
    """Return the program that builds images on this machine. Raises Refused if there is none."""
    for name in ("docker", "podman"):
        if shutil.which(name):
            return name
    raise Refused("Neither docker nor podman is installed. Install one of them to build and push the image.")


def build(account: Account, architecture: str) -> None:
    _run(
        builder(), "build", "--platform", PLATFORMS[architecture], "--tag", f"{REPOSITORY}:latest",
        "--file", "docker/api/Dockerfile", ".",
    )  # fmt: skip
    account.say(f"Built {REPOSITORY}:latest. Next: deploy/facerec-deploy image push")


def push(account: Account) -> str:
    """Push the built image with both tags; return its address by digest."""
    program, tag = builder(), version_tag()
    client = account.client("ecr")
    repository = _repository(client)
    token = client.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(token["authorizationToken"]).decode().partition(":")
    host = repository.partition("/")[0]
    _run(program, "login", "--username", user, "--password-stdin", host, secret=password)
    for name in (tag, "latest"):
        _run(program, "tag", f"{REPOSITORY}:latest", f"{repository}:{name}")
        _run(program, "push", f"{repository}:{name}")
    _run(program, "logout", host)
    address = by_digest(account, tag)
    account.say(f"Pushed {tag} and latest: {address}. Next: deploy/facerec-deploy apply")
    return address


def by_digest(account: Account, tag_or_digest: str) -> str:
    """Return an image's address by digest. Raises Refused if the image was never pushed."""
    client = account.client("ecr")
    is_digest = tag_or_digest.startswith("sha256:")
    identity = {"imageDigest": tag_or_digest} if is_digest else {"imageTag": tag_or_digest}
    try:
        images = client.describe_images(repositoryName=REPOSITORY, imageIds=[identity])["imageDetails"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise
        images = []
    if not images:
        raise Refused(
            f"The repository {REPOSITORY} has no image {tag_or_digest}."
            " Build and push one, then apply again:\n"
            "  deploy/facerec-deploy image build && deploy/facerec-deploy image push"
        )
    return f"{_repository(client)}@{images[0]['imageDigest']}"


def version_tag() -> str:
    """Return `sha-` and the commit, followed by `-changed` if the checkout differs from it.

    Raises Refused outside a git checkout.
    """
    try:
        commit = _output("git", "rev-parse", "--short=12", "HEAD")
        changed = _output("git", "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(
            "This folder is not a git checkout, so there is no commit to name the image's version after."
        ) from error
    return f"sha-{commit}-changed" if changed else f"sha-{commit}"


def _repository(client: Any) -> str:
    repositories = client.describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
    return str(repositories[0]["repositoryUri"])


def _run(*command: str, secret: str | None = None) -> None:
    process = subprocess.run(command, cwd=ROOT, input=secret, text=True, check=False)
    if process.returncode:
        raise Refused(
            f"`{' '.join(command[:2])}` failed with exit code {process.returncode}; see its output above."
        )


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
