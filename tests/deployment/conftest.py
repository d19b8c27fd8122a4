from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from facerec_deploy import running, stacks

from tests.deployment import copilot, moto_templates
from tests.deployment.operating import Operator, Stubbed, push


@pytest.fixture(scope="session", autouse=True)
def _cached_service_descriptions() -> Iterator[None]:
    """Read botocore's service descriptions once per session, not once per run of the command."""
    loader = JSONFileLoader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", staticmethod(cache(loader.load_file)))
        yield


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> copilot.Rendered:
    """The templates that Copilot renders from the unchanged manifests."""
    return copilot.render(tmp_path_factory.mktemp("copilot"))


@pytest.fixture
def run(
    aws: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Operator:
    """An operator who runs the command in moto's account."""
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(running, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(stacks, "template", moto_templates.template)
    moto_templates.complete_change_sets(monkeypatch)
    parameters = tmp_path / "parameters.toml"
    parameters.touch()
    return Operator(parameters, monkeypatch, capsys)


@pytest.fixture
def deployed(run: Operator) -> Operator:
    """An operator who has already deployed everything in moto's account."""
    run("secrets", "put", "PINECONE_API_KEY", stdin="pcsk_of-no-account")
    assert run("apply")[0] == 1  # there is no image yet
    push("sha-1")
    code, output = run("apply")
    assert code == 0, output
    return run


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubbed]:
    """An account without responses. The test adds them, and all of them must be used."""
    monkeypatch.setattr(running, "POLL_SECONDS", 0)
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)
    account = Stubbed()
    yield account
    for stub in account.stubs.values():
        stub.assert_no_pending_responses()
