from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.deployment import copilot

# where deploy/facerec-deploy finds its modules
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy"))


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> copilot.Rendered:
    """What Copilot would create from the manifests as they are."""
    return copilot.render(tmp_path_factory.mktemp("copilot"))
