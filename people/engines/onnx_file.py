"""Writes ONNX models, without the onnx package: the few messages of onnx.proto that a network needs.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IR_VERSION = 8
OPSET = 13
_FLOAT, _INT64 = 1, 7
_TYPES = {np.dtype(np.float32): _FLOAT, np.dtype(np.int64): _INT64}


class Graph:
    """A graph that is built node by node. Each method returns the name of the value it adds."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, array: NDArray[Any]) -> str:
        """Add a float32 or int64 array."""
        name = f"constant{len(self._constants)}"
        little = array.astype(array.dtype.newbyteorder("<"))
        dimensions = b"".join(_number(1, size) for size in array.shape)
        content = dimensions + _number(2, _TYPES[array.dtype]) + _text(8, name) + _bytes(9, little.tobytes())
        self._constants.append(content)
        return name

    def node(self, kind: str, *inputs: str, **attributes: int | Sequence[int]) -> str:
        """Add an operator of this kind."""
        name = f"value{len(self._nodes)}"
        content = b"".join(_text(1, one) for one in inputs) + _text(2, name) + _text(3, name) + _text(4, kind)
        content += b"".join(_bytes(5, _attribute(*one)) for one in attributes.items())
        self._nodes.append(content)
        return name

    def model(
        self, inputs: Mapping[str, Sequence[int | str]], output: str, shape: Sequence[int | str]
    ) -> bytes:
        """Return the file's bytes. A dimension is a number, or a name for one that may vary."""
        graph = b"".join(_bytes(1, node) for node in self._nodes) + _text(2, "graph")
        graph += b"".join(_bytes(5, constant) for constant in self._constants)
        graph += b"".join(_bytes(11, _value(name, one)) for name, one in inputs.items())
        graph += _bytes(12, _value(output, shape))
        return (
            _number(1, IR_VERSION) + _text(2, "facerec-api") + _bytes(7, graph) + _bytes(8, _number(2, OPSET))
        )


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    return _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, 7)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = (_text(2, one) if isinstance(one, str) else _number(1, one) for one in shape)
    tensor = _number(1, _FLOAT) + _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())
