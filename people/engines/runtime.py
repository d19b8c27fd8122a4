"""Networks on the CPU, by OpenVINO: compiled once, run one at a time."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from django.core.exceptions import ImproperlyConfigured
from numpy.typing import NDArray

# OpenVINO's conversion tools report to their maker when they are loaded; it does without them.
sys.modules["openvino.tools.ovc"] = ModuleType("openvino.tools.ovc")

import openvino
from openvino.preprocess import ColorFormat, PrePostProcessor

Array = NDArray[np.float32]


class Network:
    """A network with one input, which takes pictures as they are: (1, height, width, 3) uint8 RGB.

    Colour order, mean and scale, and the way from pixels to planes are part of what is compiled.
    `shape` is (height, width); None leaves both open, multiples of 32 as the network asks for.
    `precision` is f32, or bf16: twice as fast where the processor has it, and f32 where it doesn't.
    Calls from several threads take turns: on cores that are all busy, more at a time only cost memory.
    Raises ImproperlyConfigured if the file isn't a network with one such input.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        shape: tuple[int, int] | None,
        colour: str = "bgr",
        mean: float = 0.0,
        scale: float = 1.0,
        precision: str = "f32",
    ) -> None:
        core = openvino.Core()
        try:
            model = core.read_model(str(path))
            height, width = shape or (-1, -1)
            model.reshape({model.input(0): [1, 3, height, width]})
        except RuntimeError as error:
            raise ImproperlyConfigured(f"{path} is no network for pictures: it can't be read.") from error
        self._request = core.compile_model(
            _with_pixels_as_input(model, colour, mean, scale), "CPU", _configuration(threads, precision)
        ).create_infer_request()
        self.outputs = [output.any_name for output in model.outputs]
        self.shapes = [output.get_partial_shape() for output in model.outputs]
        self._lock = threading.Lock()

    def __call__(self, picture: NDArray[np.uint8]) -> dict[str, Array]:
        """Return what the network says of one picture, (height, width, 3) uint8 RGB, C-contiguous."""
        with self._lock:
            self._request.infer({0: picture[np.newaxis]}, share_inputs=True)
            return {
                name: self._request.get_output_tensor(number).data.copy()
                for number, name in enumerate(self.outputs)
            }


def _with_pixels_as_input(model: Any, colour: str, mean: float, scale: float) -> Any:
    steps = PrePostProcessor(model)
    given = steps.input().tensor()
    given.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    given.set_color_format(ColorFormat.RGB)
    wanted = steps.input().preprocess()
    wanted.convert_element_type(openvino.Type.f32)
    if colour == "bgr":
        wanted.convert_color(ColorFormat.BGR)
    if mean:
        wanted.mean(mean)
    if scale != 1.0:
        wanted.scale(1 / scale)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    return steps.build()


def _configuration(threads: int, precision: str) -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,  # with several, a process that is forked afterwards stands still
        "ENABLE_CPU_PINNING": False,  # every process would choose the same cores
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
