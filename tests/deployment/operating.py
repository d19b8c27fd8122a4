"""Runs the command as an operator would, in moto's account or with responses that a test defines."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from facerec_deploy import cli
from facerec_deploy.account import Account


class Operator:
    """Runs the command with the given arguments; returns its exit code and its output."""

    def __init__(
        self, parameters: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.parameters = parameters
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        code = cli.main(["--parameters", str(self.parameters), *arguments])
        captured = self._capsys.readouterr()
        return code, captured.out + captured.err


class Stubbed(Account):
    """An account whose clients expect the calls that a test defines, and return its responses."""

    def __init__(self) -> None:
        super().__init__(None, "eu-central-1", lambda line: self.output.append(line))
        self.output: list[str] = []
        self.stubs: dict[str, Stubber] = {}

    def client(self, service: str) -> Any:
        return self.stub(service).client

    def stub(self, service: str) -> Stubber:
        if service not in self.stubs:
            client = boto3.client(  # type: ignore[call-overload]  # the name is not a literal
                service,
                region_name="eu-central-1",
                aws_access_key_id="nobody",
                aws_secret_access_key="nothing",
            )
            self.stubs[service] = Stubber(client)
            self.stubs[service].activate()
        return self.stubs[service]


def push(tag: str) -> str:
    """Push an image with this tag and the tag `latest`, and return its digest."""
    layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1}
    digest = "sha256:" + hashlib.sha256(tag.encode()).hexdigest()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                **layer,
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": digest,
            },
            "layers": [{**layer, "digest": digest}],
        }
    )
    client = boto3.client("ecr")
    for name in (tag, "latest"):
        response = client.put_image(repositoryName="facerec-api", imageManifest=manifest, imageTag=name)
    return str(response["image"]["imageId"]["imageDigest"])
