"""Images: built from this checkout, pushed as `sha-…` and `latest`, deployed by digest."""

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
    """Return the program that builds images here. Raises Refused when there is none."""
    for name in ("docker", "podman"):
        if shutil.which(name):
            return name
    raise Refused("Neither docker nor podman is installed here: one of them builds and pushes the image.")


def build(account: Account, architecture: str) -> None:
    _run(
        builder(), "build", "--platform", PLATFORMS[architecture], "--tag", f"{REPOSITORY}:latest",
        "--file", "docker/api/Dockerfile", ".",
    )  # fmt: skip
    account.say(f"Built {REPOSITORY}:latest. Next: deploy/facerec-deploy image push")


def push(account: Account) -> str:
    """Push the built image under both tags; return its address by digest."""
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


def by_digest(account: Account, wanted: str) -> str:
    """Return the address by digest of a tag or digest. Raises Refused when it was never pushed."""
    client = account.client("ecr")
    identity = {"imageDigest": wanted} if wanted.startswith("sha256:") else {"imageTag": wanted}
    try:
        found = client.describe_images(repositoryName=REPOSITORY, imageIds=[identity])["imageDetails"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise
        found = []
    if not found:
        raise Refused(
            f"There is no image {wanted} in {REPOSITORY}. Build and push one, then apply again:\n"
            "  deploy/facerec-deploy image build && deploy/facerec-deploy image push"
        )
    return f"{_repository(client)}@{found[0]['imageDigest']}"


def version_tag() -> str:
    """Return `sha-` and the commit; with `-changed` when the checkout differs from it."""
    try:
        commit = _output("git", "rev-parse", "--short=12", "HEAD")
        changed = _output("git", "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused("This is no git checkout, so the image would have no version.") from error
    return f"sha-{commit}-changed" if changed else f"sha-{commit}"


def _repository(client: Any) -> str:
    found = client.describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
    return str(found[0]["repositoryUri"])


def _run(*command: str, secret: str | None = None) -> None:
    done = subprocess.run(command, cwd=ROOT, input=secret, text=True, check=False)
    if done.returncode:
        raise Refused(f"`{' '.join(command[:2])}` failed with {done.returncode}; it says why above.")


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
