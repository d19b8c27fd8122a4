"""Converted models: equal to their originals, or not there."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from pathlib import Path

import face_recognition_models
import numpy as np
import pytest
from django.core.management import call_command

from people.engines import build_engine, conversion
from people.engines.dlib_resnet import NotThisNetwork, onnx_model

NETWORK = Path(face_recognition_models.face_recognition_model_location())
LAYER = re.compile(rb"\x01(?:\x05con_4|\x07affine_|\x04fc_2)")
HEADER = 24
"""Bytes of a layer: its name, its version and its four sizes, and where its numbers begin."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "original.dat"
    path.write_bytes(b"original")
    return path


def converted(source: Path, difference: float = 0.0, version: int = 1) -> tuple[Path, list[str]]:
    """Convert `source` to its bytes in reverse; return where to, and what was told."""
    target, told = source.parent / "models" / "model.onnx", []
    conversion.convert(
        source, target, version, lambda data: data[::-1], lambda path: difference, 1e-5, told.append
    )
    return target, told


class TestConversion:
    def test_the_manifest_tells_what_a_file_was_made_of_and_how_exact_it_is(self, source: Path) -> None:
        target, _ = converted(source, difference=2e-6, version=3)
        assert target.read_bytes() == b"lanigiro"
        entry = json.loads((target.parent / conversion.MANIFEST).read_text())["model.onnx"]
        assert (entry["source"], entry["converter"], entry["difference"]) == ("original.dat", 3, 2e-6)
        assert conversion.current(source, target, 3)
        assert sorted(path.name for path in target.parent.iterdir()) == ["converted.json", "model.onnx"]

    @pytest.mark.parametrize("difference", [2e-5, float("nan")])
    def test_a_model_that_differs_is_not_kept_and_the_one_before_it_stays(
        self, source: Path, difference: float
    ) -> None:
        target, _ = converted(source)
        with pytest.raises(conversion.NotEqual, match=r"model\.onnx"):
            converted(source, difference, version=2)
        assert target.read_bytes() == b"lanigiro"
        assert conversion.current(source, target, 1)
        assert not conversion.current(source, target, 2)

    def test_what_is_there_is_not_converted_again(self, source: Path) -> None:
        converted(source)
        assert converted(source)[1] == ["model.onnx: already converted"]

    def test_another_source_or_a_damaged_file_or_manifest_is_converted_again(self, source: Path) -> None:
        target, _ = converted(source)
        for path, content in (
            (source, b"another"),
            (target, b"damaged"),
            (target.parent / conversion.MANIFEST, b"[not json"),
        ):
            path.write_bytes(content)
            assert not conversion.current(source, target, 1)
            assert "converted from" in converted(source)[1][0]
            assert conversion.current(source, target, 1)

    def test_without_dlib_there_is_nothing_to_convert(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delitem(sys.modules, "people.engines.dlib", raising=False)
        monkeypatch.setitem(sys.modules, "dlib", None)
        told: list[str] = []
        conversion.convert_all(tmp_path, told.append)
        assert told == []
        assert list(tmp_path.iterdir()) == []


class TestDlibResnet:
    def test_the_converted_network_gives_dlib_s_vectors(self, settings, tmp_path: Path) -> None:
        settings.FACEREC_MODELS_DIR = tmp_path
        original = build_engine("dlib")
        call_command("convert_models")
        engine = build_engine("dlib")
        assert type(engine._network) is not type(original._network)
        chips = list(np.random.default_rng(7).integers(0, 256, (9, 150, 150, 3), np.uint8))
        np.testing.assert_allclose(engine.embed(chips), original.embed(chips), atol=1e-5)

    def test_the_original_serves_where_the_converted_file_is_not_the_one_that_was_checked(
        self, settings, tmp_path: Path
    ) -> None:
        settings.FACEREC_MODELS_DIR = tmp_path
        original = build_engine("dlib")
        call_command("convert_models")
        (tmp_path / "dlib_face_recognition_resnet_model_v1.onnx").write_bytes(b"something else")
        assert type(build_engine("dlib")._network) is type(original._network)

    @pytest.mark.parametrize("length", [0, 1000, 60_000, 22_000_000])
    def test_another_file_or_a_part_of_it_is_refused(self, length: int) -> None:
        with pytest.raises(NotThisNetwork, match="Run `pip install"):
            onnx_model(NETWORK.read_bytes()[:length])

    def test_a_file_that_is_cut_anywhere_is_refused(self) -> None:
        file = NETWORK.read_bytes()
        headers = [found.start() for found in LAYER.finditer(file)]
        ends = [end for start in headers[:8] for end in range(start, start + HEADER)]
        for end in [*ends, *range(headers[-1], headers[-1] + HEADER, 7), len(file) - 1000]:
            with pytest.raises(NotThisNetwork):
                onnx_model(file[:end])

    @pytest.mark.parametrize("byte", [0x00, 0x01, 0x0F, 0x81, 0xFF])
    def test_a_file_with_a_wrong_byte_fails_in_no_other_way(self, byte: int) -> None:
        file = NETWORK.read_bytes()
        headers = [found.start() for found in LAYER.finditer(file)]
        for at in [at for start in headers[:4] for at in range(start, start + HEADER)]:
            # what isn't noticed there comes to an end soon
            with pytest.raises(NotThisNetwork):
                onnx_model(changed(file[: headers[6]], at, bytes([byte])))
        for at in (headers[-1], headers[-1] + 7, headers[-1] + 13):
            with suppress(NotThisNetwork):
                onnx_model(changed(file, at, bytes([byte])))

    def test_a_file_with_a_number_that_no_network_has_is_refused(self) -> None:
        file = NETWORK.read_bytes()
        with pytest.raises(NotThisNetwork):
            onnx_model(changed(file, len(file) // 2, b"\xff" * 8))  # NaN


def changed(file: bytes, at: int, by: bytes) -> bytes:
    return file[:at] + by + file[at + len(by) :]
