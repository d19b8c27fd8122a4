"""Neural networks on the CPU, run by OpenVINO. Each is compiled once and processes one image at a time."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from django.core.exceptions import ImproperlyConfigured
from numpy.typing import NDArray

# OpenVINO's conversion tools send usage reports to Intel as soon as they are imported. They are replaced
# with an empty module, because OpenVINO runs without them.
sys.modules["openvino.tools.ovc"] = ModuleType("openvino.tools.ovc")

import openvino
from openvino import Model as Model  # re-exported, because only this module imports OpenVINO
from openvino import opset13 as opset13
from openvino.preprocess import ColorFormat, PrePostProcessor

Array = NDArray[np.float32]


class Network:
    """A network with one input, an image: (1, height, width, 3) uint8 RGB.

    `source` is a file that OpenVINO can read, or a graph; its input is (1, 3, height, width). The conversion
    of the image (colour order, `(pixel - mean) * scale`, and the order of the axes) is compiled into the
    network. `shape` is (height, width); with None, every size that the network supports is accepted (YuNet:
    multiples of 32). `precision` is f32, or bf16, which is twice as fast on processors that support it and
    means f32 on others. Calls from several threads are serialised: when all cores are busy, running several
    at once would only take more memory. Raises ImproperlyConfigured if the file isn't a network with one
    such input.
    """

    def __init__(
        self,
        source: Path | Model,
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
            model = source if isinstance(source, Model) else core.read_model(str(source))
            height, width = shape or (-1, -1)
            model.reshape({model.input(0): [1, 3, height, width]})
        except RuntimeError as error:
            raise ImproperlyConfigured(f"{source} is not a network that takes one image.") from error
        self._request = core.compile_model(
            _with_pixels_as_input(model, colour, mean, scale), "CPU", _configuration(threads, precision)
        ).create_infer_request()
        self.outputs = [output.any_name for output in model.outputs]
        self.shapes = [output.get_partial_shape() for output in model.outputs]
        self._lock = threading.Lock()

    def __call__(self, image: NDArray[np.uint8]) -> dict[str, Array]:
        """Return the network's outputs for one image, (height, width, 3) uint8 RGB, C-contiguous."""
        with self._lock:
            self._request.infer({0: image[np.newaxis]}, share_inputs=True)
            return {
                name: self._request.get_output_tensor(index).data.copy()
                for index, name in enumerate(self.outputs)
            }


def _with_pixels_as_input(model: Model, colour: str, mean: float, scale: float) -> Model:
    processor = PrePostProcessor(model)
    pixels = processor.input().tensor()
    pixels.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    pixels.set_color_format(ColorFormat.RGB)
    steps = processor.input().preprocess()
    steps.convert_element_type(openvino.Type.f32)
    if colour == "bgr":
        steps.convert_color(ColorFormat.BGR)
    if mean:
        steps.mean(mean)
    if scale != 1.0:
        steps.scale(1 / scale)
    processor.input().model().set_layout(openvino.Layout("NCHW"))
    return processor.build()


def _configuration(threads: int, precision: str) -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,  # with several, a process that is forked later hangs
        "ENABLE_CPU_PINNING": False,  # otherwise all processes would choose the same cores
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
