"""dlib's face recognition ResNet as an OpenVINO network, built from dlib's own file of weights.

The network is `anet_type` in dlib's dnn_face_recognition_ex.cpp. The file is dlib's serialisation of it
(dlib/dnn/core.h, layers.h and tensor_tools.h, Boost licence), with the layers in the order of computation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from people.engines.runtime import Model
from people.engines.runtime import opset13 as operations

CHIP_SIDE = 150
"""Width and height of the input, in pixels."""
DIMENSION = 128
MEAN = np.array([122.782, 117.001, 104.298], np.float32).reshape(1, 3, 1, 1)
"""Mean red, green and blue, subtracted from the pixels: dlib's `input_rgb_image`."""
LEVELS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""In order from the input: channels, residual blocks, and whether the first block halves the image."""

_LAYER = re.compile(rb"\x01(?:\x05con_4|\x07affine_|\x04fc_2)")
"""The name of a layer with parameters, as dlib writes it: an integer (the name's length), then the text."""

Node = Any
"""A node of OpenVINO's graph."""
Parameters = NDArray[np.float32]
"""All parameters of one layer, (n,)."""


def build_network(weights: bytes) -> Model:
    """Return the network for one chip: from (1, 3, 150, 150) RGB, 0–255, to `vectors`, (1, 128) float32.

    `weights` is the content of dlib_face_recognition_resnet_model_v1.dat. The caller must verify its sha256
    first, because this function doesn't detect damage.
    """
    layers = _layers(weights)
    chips = operations.parameter([1, 3, CHIP_SIDE, CHIP_SIDE], np.float32)
    scaled = operations.divide(operations.subtract(chips, MEAN), np.float32(256))
    value = operations.relu(_convolution(layers, scaled, channels=32, side=7, stride=2, padding=0))
    value = operations.max_pool(value, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3]).output(0)
    for channels, blocks, halves in LEVELS:
        for block in range(blocks):
            value = _residual_block(layers, value, channels, halves=halves and block == 0)
    means = operations.reduce_mean(value, [2, 3])
    vectors = operations.matmul(means, next(layers).reshape(-1, DIMENSION), False, False)
    vectors.output(0).set_names({"vectors"})
    return Model([vectors], [chips])


def _residual_block(layers: Iterator[Parameters], value: Node, channels: int, *, halves: bool) -> Node:
    stride, padding = (2, 0) if halves else (1, 1)
    inner = _convolution(layers, value, channels=channels, side=3, stride=stride, padding=padding)
    inner = _convolution(layers, operations.relu(inner), channels=channels, side=3, stride=1, padding=1)
    if halves:
        value = operations.avg_pool(value, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=True)
    return operations.relu(_sum(inner, value))


def _convolution(
    layers: Iterator[Parameters], value: Node, *, channels: int, side: int, stride: int, padding: int
) -> Node:
    """Return a convolution and the affine layer after it, which OpenVINO merges when it compiles them."""
    weights, bias = np.split(next(layers), [-channels])
    gamma, beta = next(layers).reshape(2, 1, channels, 1, 1)
    # as a constant, because OpenVINO converts a plain array to a list first, which takes ten times as long
    kernels = operations.constant(weights.reshape(channels, -1, side, side))
    value = operations.convolution(value, kernels, [stride] * 2, [padding] * 2, [padding] * 2, [1, 1])
    value = operations.add(value, bias.reshape(1, channels, 1, 1))
    return operations.add(operations.multiply(value, gamma), beta)


def _sum(first: Node, second: Node) -> Node:
    """Return the sum of two tensors of different shapes: like dlib, pad the smaller one with zeros."""
    shapes = [np.array(node.shape) for node in (first, second)]
    sides = np.maximum(*shapes)
    padded = [
        operations.pad(node, [0] * 4, sides - shape, "constant")
        for node, shape in zip((first, second), shapes, strict=True)
    ]
    return operations.add(*padded)


def _layers(file: bytes) -> Iterator[Parameters]:
    """Yield the parameters of each convolution, affine and fully connected layer."""
    for name in _LAYER.finditer(file):
        # A fully connected layer begins with its numbers of outputs and inputs. Then, as in the other
        # layers, a tensor follows: its version, its four dimensions, and its float32 values.
        integers, position = [], name.end()
        for _ in range(7 if name[0].endswith(b"fc_2") else 5):
            end = position + 1 + (file[position] & 0x0F)  # the byte holds the integer's length in bytes
            integers.append(int.from_bytes(file[position + 1 : end], "little"))
            position = end
        yield np.frombuffer(file, "<f4", math.prod(integers[-4:]), position)
