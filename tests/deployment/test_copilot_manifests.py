"""The manifests contain no mistakes that Copilot silently accepts."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tests.deployment import copilot
from tests.deployment.copilot import COPILOT, ROOT, buildspec, commands, manifest
from tests.deployment.copilot_schema import SCHEMAS, VARIABLES


def schema_errors(name: str, manifest: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMAS[name]).iter_errors(manifest)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_manifest_has_no_unknown_key_and_no_invalid_value(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert schema_errors(name, manifest(name)) == []


def test_there_is_a_schema_for_every_manifest() -> None:
    assert {str(path.relative_to(COPILOT)) for path in COPILOT.rglob("manifest.yml")} == SCHEMAS.keys()


def _misspell(manifest: dict[str, Any]) -> None:
    manifest["http"]["healthchek"] = manifest["http"].pop("healthcheck")


@pytest.mark.parametrize(
    "break_it",
    [
        _misspell,
        lambda manifest: manifest.update(cpu=1000),
        lambda manifest: manifest.update(memory=16384),  # too much for one vCPU
        lambda manifest: manifest.update(memory="4096"),
        lambda manifest: manifest.update(unknown_key=True),
        lambda manifest: manifest["image"].update(port=80),
        lambda manifest: manifest["http"]["healthcheck"].update(interval=30),  # no unit
        lambda manifest: manifest["network"]["vpc"].update(placement="public"),
        lambda manifest: manifest["variables"].update(ALOWED_HOSTS="faces.example.org"),
        lambda manifest: manifest["variables"].update(PORT=8000),  # must be a string
        lambda manifest: manifest["variables"].update(SECRET_KEY="in plain text"),
        lambda manifest: manifest["secrets"].update(SECRET_KEY="/other/SECRET_KEY"),
    ],
)
def test_the_schema_rejects_mistakes_that_copilot_accepts(break_it: Callable[[dict[str, Any]], None]) -> None:
    broken = copy.deepcopy(manifest("api/manifest.yml"))
    break_it(broken)
    assert schema_errors("api/manifest.yml", broken)


def test_every_variable_is_one_that_the_service_reads() -> None:
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text()))
    assert documented >= VARIABLES


def test_staging_differs_from_prod_only_in_its_name() -> None:
    prod, staging = (manifest(f"environments/{name}/manifest.yml") for name in ("prod", "staging"))
    assert prod | {"name": "staging"} == staging


def test_the_pipeline_packages_what_it_deploys() -> None:
    (stage,) = manifest("pipelines/facerec/manifest.yml")["stages"]
    assert stage["requires_approval"] is True
    packaged = re.findall(r"copilot (?:svc|job) package --name (\w+) --env (\w+)", commands())
    assert packaged == [(name, stage["name"]) for name in stage["deployments"]]
    assert f"copilot env package --name {stage['name']} " in commands()
    variables = buildspec()["env"]["variables"]
    for name in copilot.OPERATOR.keys() - {"AWS_REGION"}:  # CodeBuild sets the region itself
        assert name in variables or f"export {name}=" in commands()
