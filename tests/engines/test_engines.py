"""One contract for every engine, on real photos; then what is each engine's own."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import face_recognition
import numpy as np
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from numpy.typing import NDArray
from PIL import Image

from people.engines import ONNX_ENGINE, build_engine, engine_id, get_engine, registry
from people.engines.base import FaceEngine
from people.engines.onnx import TEMPLATE, OnnxEngine, similarity
from people.errors import ModelMissing
from people.faces import Box, DetectedFace, RGBImage

pytestmark = pytest.mark.slow  # real models

PHOTOS = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png", "32bit.png"]


@pytest.fixture(scope="module", params=["onnx", "dlib"])
def engine(request: pytest.FixtureRequest) -> FaceEngine:
    return build_engine(request.param)


@pytest.fixture(scope="module")
def onnx() -> OnnxEngine:
    return OnnxEngine(threads=1)


@pytest.fixture(scope="module")
def images() -> dict[str, RGBImage]:
    folder = Path(settings.FACEREC_SAMPLES_DIR)
    return {name: np.array(Image.open(folder / name).convert("RGB")) for name in PHOTOS}


def template(engine: FaceEngine, image: RGBImage, face: DetectedFace) -> NDArray[np.float32]:
    (vector,) = engine.embed([engine.align(image, face)])
    template: NDArray[np.float32] = vector / np.linalg.norm(vector)
    return template


class TestContract:
    @pytest.mark.parametrize("name", PHOTOS)
    def test_the_face_of_a_portrait_is_found_with_its_landmarks_inside_its_box(
        self, engine: FaceEngine, images: dict[str, RGBImage], name: str
    ) -> None:
        face = engine.detect(images[name])[0]
        assert 0 < face.confidence <= 1
        assert face.landmarks["left_eye"][0] < face.landmarks["nose"][0] < face.landmarks["right_eye"][0]
        for x, y in face.landmarks.values():
            assert face.box.left < x < face.box.left + face.box.width
            assert face.box.top < y < face.box.top + face.box.height

    def test_faces_come_largest_first(self, engine: FaceEngine, images: dict[str, RGBImage]) -> None:
        tall = max(images[name].shape[0] for name in ("obama.jpg", "biden.jpg"))
        padded = [
            np.pad(images[name], ((0, tall - images[name].shape[0]), (0, 0), (0, 0)))
            for name in ("obama.jpg", "biden.jpg")
        ]
        faces = engine.detect(np.concatenate(padded, axis=1))
        assert len(faces) == 2
        assert faces[0].box.area >= faces[1].box.area

    def test_no_face_is_found_where_there_is_none(self, engine: FaceEngine) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
        assert engine.detect(noise) == []

    @pytest.mark.parametrize("shape", [(1, 1, 3), (3, 900, 3), (900, 3, 3)])
    def test_a_tiny_or_thin_image_has_no_face(self, engine: FaceEngine, shape: tuple[int, int, int]) -> None:
        assert engine.detect(np.zeros(shape, np.uint8)) == []

    def test_chips_are_square_and_contiguous(self, engine: FaceEngine, images: dict[str, RGBImage]) -> None:
        image = images["obama.jpg"]
        chip = engine.align(image, engine.detect(image)[0])
        assert chip.dtype == np.uint8
        assert chip.shape[0] == chip.shape[1]
        assert chip.shape[2] == 3
        assert chip.flags.c_contiguous

    def test_vectors_have_the_engine_s_dimension_and_do_not_depend_on_their_neighbours(
        self, engine: FaceEngine, images: dict[str, RGBImage]
    ) -> None:
        chips = [engine.align(image, engine.detect(image)[0]) for image in images.values()]
        together = engine.embed(chips)
        assert together.dtype == np.float32
        assert together.shape == (len(chips), engine.dimension)
        np.testing.assert_allclose(together[2], engine.embed(chips[2:3])[0], atol=1e-4)

    def test_no_chips_give_no_vectors(self, engine: FaceEngine) -> None:
        assert engine.embed([]).shape == (0, engine.dimension)

    def test_one_person_s_photos_are_nearer_than_another_person_s(
        self, engine: FaceEngine, images: dict[str, RGBImage]
    ) -> None:
        vectors = {name: template(engine, image, engine.detect(image)[0]) for name, image in images.items()}
        same = [vectors["obama.jpg"] @ vectors[name] for name in ("obama2.jpg", "obama3.jpg")]
        other = [vectors["obama.jpg"] @ vectors[name] for name in ("biden.jpg", "astronaut.png")]
        assert min(same) > max(other)

    def test_threads_get_what_one_thread_gets(self, engine: FaceEngine, images: dict[str, RGBImage]) -> None:
        alone = {name: engine.detect(image) for name, image in images.items()}
        with ThreadPoolExecutor(4) as threads:
            names = list(images) * 2
            for name, faces in zip(
                names, threads.map(lambda name: engine.detect(images[name]), names), strict=True
            ):
                for face, same in zip(faces, alone[name], strict=True):
                    # OpenVINO replaces its first kernel for a size by a faster one, which rounds differently
                    assert face.box.left == pytest.approx(same.box.left, abs=0.5)
                    assert face.box.top == pytest.approx(same.box.top, abs=0.5)
                    assert face.confidence == pytest.approx(same.confidence, abs=2e-3)


class TestOnnx:
    def test_references_are_made_of_the_face_and_of_its_mirror_image_and_probes_of_the_face(
        self, onnx: OnnxEngine, images: dict[str, RGBImage]
    ) -> None:
        image = images["obama.jpg"]
        chip = onnx.align(image, onnx.detect(image)[0])
        (probe, mirrored), reference = onnx.embed([chip, chip[:, ::-1]]), onnx.embed([chip], thoroughly=True)
        assert not np.allclose(probe, mirrored)
        np.testing.assert_allclose(reference[0], probe + mirrored, rtol=1e-6)

    def test_small_faces_of_a_large_photo_are_found(
        self, onnx: OnnxEngine, images: dict[str, RGBImage]
    ) -> None:
        photo = np.full((3000, 4000, 3), 127, np.uint8)
        head = np.array(Image.fromarray(images["astronaut.png"]).resize((256, 256)))
        for left in (100, 1800, 3600):
            photo[1500:1756, left : left + 256] = head
        assert len(onnx.detect(photo)) == 3

    @pytest.mark.parametrize("name", PHOTOS)
    def test_a_face_that_fills_the_frame_is_found_with_certainty(
        self, onnx: OnnxEngine, images: dict[str, RGBImage], name: str
    ) -> None:
        image = images[name]
        whole = onnx.detect(image)[0]
        left, top = int(whole.box.left), int(whole.box.top)
        right, bottom = int(left + whole.box.width), int(top + whole.box.height)
        close = np.ascontiguousarray(image[top:bottom, left:right])
        large = np.array(Image.fromarray(close).resize((close.shape[1] * 4, close.shape[0] * 4)))
        for view in (close, large):
            (face,) = onnx.detect(view)
            assert face.confidence > 0.9

    def test_a_face_is_found_once_although_two_views_show_it(
        self, onnx: OnnxEngine, images: dict[str, RGBImage]
    ) -> None:
        both = np.concatenate([images["obama.jpg"], images["obama.jpg"]], axis=1)
        assert len(onnx.detect(both)) == 2

    def test_a_photo_s_size_moves_neither_box_nor_vector_much(
        self, onnx: OnnxEngine, images: dict[str, RGBImage]
    ) -> None:
        image = images["obama.jpg"]
        twice = np.array(Image.fromarray(image).resize((image.shape[1] * 2, image.shape[0] * 2)))
        small, large = onnx.detect(image)[0], onnx.detect(twice)[0]
        doubled = Box(
            *(2 * side for side in (small.box.left, small.box.top, small.box.width, small.box.height))
        )
        assert large.box.overlap(doubled) > 0.85
        assert template(onnx, image, small) @ template(onnx, twice, large) > 0.95

    def test_the_aligner_undoes_a_turn_a_scale_and_a_shift(self) -> None:
        turn = 3 * np.exp(0.4j)
        moved = (TEMPLATE @ (1, 1j)) * turn + (20 - 7j)
        points = np.stack([moved.real, moved.imag], axis=1)
        matrix = similarity(points, TEMPLATE)
        np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-9)

    def test_custom_weights_give_the_engine_their_name_and_version(self) -> None:
        path = registry.model_path("sface")
        own = {
            "path": path,
            "name": "own",
            "version": 3,
            "sha256": registry.entries("models")["sface"].sha256,
        }
        engine = OnnxEngine(threads=1, recogniser=own)
        assert (engine_id(engine), engine.dimension) == ("yunet-own/3", 128)

    def test_the_input_is_normalised_as_the_options_say(
        self, onnx: OnnxEngine, images: dict[str, RGBImage]
    ) -> None:
        path = registry.model_path("sface")
        image = images["obama.jpg"]
        chip = onnx.align(image, onnx.detect(image)[0])
        own = {"path": path, "name": "own", "version": 1, "mean": 10, "scale": 0.5, "colour": "bgr"}
        changed = ((chip.astype(np.float32)[:, :, ::-1] * 2) + 10).clip(0, 255).astype(np.uint8)
        kept = OnnxEngine(threads=1, recogniser=own).embed([changed])
        safe = OnnxEngine(threads=1).embed(
            [((changed[:, :, ::-1].astype(np.float32) - 10) * 0.5).astype(np.uint8)]
        )
        assert kept[0] @ safe[0] / np.linalg.norm(kept) / np.linalg.norm(safe) > 0.99

    def test_weights_with_another_sha256_are_refused(self) -> None:
        own = {"path": registry.model_path("sface"), "name": "own", "version": 1, "sha256": "0" * 64}
        with pytest.raises(ImproperlyConfigured, match="sha256"):
            OnnxEngine(threads=1, recogniser=own)

    def test_missing_custom_weights_are_reported(self, tmp_path: Path) -> None:
        own = {"path": tmp_path / "own.onnx", "name": "own", "version": 1}
        with pytest.raises(ModelMissing, match=r"own\.onnx"):
            OnnxEngine(threads=1, recogniser=own)


class TestDlib:
    @pytest.mark.parametrize("name", PHOTOS)
    def test_vectors_equal_those_of_face_recognition_on_the_same_box(
        self, images: dict[str, RGBImage], name: str
    ) -> None:
        engine, image = build_engine("dlib"), images[name]
        face = engine.detect(image)[0]
        box = face.box
        left, top = round(box.left), round(box.top)
        known = (top, left + round(box.width) - 1, top + round(box.height) - 1, left)
        (expected,) = face_recognition.face_encodings(image, [known])
        np.testing.assert_allclose(engine.embed([engine.align(image, face)])[0], expected, atol=1e-5)

    def test_the_restricted_68_point_predictor_is_never_opened(self) -> None:
        source = Path(sys.modules["people.engines.dlib"].__file__ or "").read_text()
        assert "five_point" in source
        assert "pose_predictor_model_location" not in source

    def test_a_missing_dlib_is_reported_with_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "people.engines.dlib", raising=False)
        monkeypatch.setitem(sys.modules, "dlib", None)
        with pytest.raises(ImproperlyConfigured, match=r"requirements/dlib\.txt"):
            build_engine("dlib")


class TestChoice:
    @pytest.fixture(autouse=True)
    def _onnx_is_configured(self, settings: Any) -> None:
        settings.FACE_ENGINE = {"BACKEND": ONNX_ENGINE, "OPTIONS": {}}

    def test_the_configured_engine_is_built_once_even_by_several_threads(self) -> None:
        with ThreadPoolExecutor(4) as threads:
            engines = set(map(id, threads.map(lambda _: get_engine(), range(4))))
        assert len(engines) == 1

    def test_another_setting_gives_another_engine(self, settings: Any) -> None:
        assert engine_id(get_engine()) == "yunet-sface/1"
        settings.FACE_ENGINE = {"BACKEND": "dlib", "OPTIONS": {}}
        assert engine_id(get_engine()) == "dlib-resnet/1"

    def test_a_missing_model_is_reported_when_the_engine_is_first_used(
        self, settings: Any, tmp_path: Path
    ) -> None:
        settings.FACEREC_MODELS_DIR = tmp_path
        with pytest.raises(ModelMissing):
            get_engine()

    def test_importing_the_package_imports_no_computing_library(self) -> None:
        program = (
            "import sys, people.engines, people.engines.registry;"
            "print([m for m in ('cv2', 'openvino', 'dlib') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
