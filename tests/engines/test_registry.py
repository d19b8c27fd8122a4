"""The catalogue of models and samples, and the system check for missing models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from people.engines import ONNX_ENGINE, registry
from people.errors import ModelMissing


def test_every_entry_of_the_catalogue_has_a_licence_and_a_file_name_of_its_own() -> None:
    entries = [*registry.entries("models").values(), *registry.entries("samples").values()]
    assert len({entry.file for entry in entries}) == len(entries)
    assert all(entry.licence and entry.sources and len(entry.sha256) == 64 for entry in entries)
    assert all(entry.person and entry.credit for entry in registry.entries("samples").values())


def test_the_error_for_a_missing_model_names_the_command_that_fetches_it(
    settings: Any, tmp_path: Path
) -> None:
    settings.FACEREC_MODELS_DIR = tmp_path
    with pytest.raises(ModelMissing, match=r"manage\.py fetch_models"):
        registry.model_path("yunet")


def test_the_check_reports_nothing_if_the_models_exist(settings: Any) -> None:
    settings.FACE_ENGINE = {"BACKEND": ONNX_ENGINE}
    assert registry.check_models() == []


def test_the_check_reports_models_that_are_missing_or_truncated(settings: Any, tmp_path: Path) -> None:
    settings.FACE_ENGINE = {"BACKEND": ONNX_ENGINE}
    settings.FACEREC_MODELS_DIR = tmp_path
    (tmp_path / registry.entries("models")["yunet"].file).write_bytes(b"short")
    errors = registry.check_models()
    assert [error.id for error in errors] == ["people.E001", "people.E001"]
    assert all("fetch_models" in str(error.hint) for error in errors)


def test_the_check_covers_the_operator_s_own_recogniser(settings: Any, tmp_path: Path) -> None:
    recogniser = {"path": str(tmp_path / "custom.onnx"), "name": "custom", "version": 1}
    settings.FACE_ENGINE = {"BACKEND": "onnx", "OPTIONS": {"recogniser": recogniser}}
    (error,) = registry.check_models()
    assert (error.id, "custom.onnx" in error.msg) == ("people.E001", True)


def test_the_check_requires_no_file_if_another_engine_is_configured(settings: Any, tmp_path: Path) -> None:
    settings.FACEREC_MODELS_DIR = tmp_path
    settings.FACE_ENGINE = {"BACKEND": "dlib"}
    assert registry.check_models() == []
