# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a neural network as an ONNX model, in the few messages that inference needs.

ONNX Runtime runs the image encoder several times faster on a CPU than torch does, but reads only
ONNX files, and exporting from torch needs two more packages. The format is protocol buffers
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); field numbers below are from there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OPSET = 20  # the first with Gelu
IR_VERSION = 9  # the format's version that came with it

_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_VARINT, _FIXED32, _BYTES = 0, 5, 2  # wire types of protocol buffers
_ATTRIBUTE_TYPES = {"f": 1, "i": 2, "s": 3, "ints": 7}

Attribute = float | int | str | Sequence[int]


def _varint(value: int) -> bytes:
    """A protocol-buffer integer; negative ones as 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _block(number: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _attribute(name: str, value: Attribute) -> bytes:
    """AttributeProto: name=1, f=2, i=3, s=4, ints=8, type=20."""
    if isinstance(value, str):
        kind, body = "s", _block(4, value)
    elif isinstance(value, float):
        kind, body = "f", _varint(2 << 3 | _FIXED32) + struct.pack("<f", value)
    elif isinstance(value, int):
        kind, body = "i", _integer(3, value)
    else:
        kind, body = "ints", b"".join(_integer(8, v) for v in value)
    return _block(1, name) + body + _integer(20, _ATTRIBUTE_TYPES[kind])


def _tensor(name: str, array: NDArray[np.generic]) -> bytes:
    """TensorProto: dims=1, data_type=2, name=8, raw_data=9 (little endian)."""
    kind = _INT64 if array.dtype == np.int64 else _FLOAT
    raw = np.ascontiguousarray(array, dtype="<i8" if kind == _INT64 else "<f4").tobytes()
    dims = b"".join(_integer(1, d) for d in array.shape)
    return dims + _integer(2, kind) + _block(8, name) + _block(9, raw)


def _value(name: str, shape: Sequence[int]) -> bytes:
    """ValueInfoProto of a float tensor: name=1, type=2 > tensor_type=1 > elem_type=1, shape=2."""
    dims = b"".join(_block(1, _integer(1, d)) for d in shape)
    tensor_type = _integer(1, _FLOAT) + _block(2, dims)
    return _block(1, name) + _block(2, _block(1, tensor_type))


@dataclass
class GraphBuilder:
    """Collects operators one after another; every method gives the name of its result.

    Attributes:
        nodes: encoded NodeProto messages in execution order.
        constants: encoded TensorProto messages.
    """

    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)

    def constant(self, array: NDArray[np.generic]) -> str:
        """A fixed tensor, stored as float32 or int64."""
        name = f"c{len(self.constants)}"
        self.constants.append(_tensor(name, array))
        return name

    def integers(self, *values: int) -> str:
        """A fixed int64 vector, e.g. a shape."""
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Append an operator with one result.

        NodeProto: input=1, output=2, op_type=4, attribute=5.
        """
        name = f"t{len(self.nodes)}"
        body = b"".join(_block(1, i) for i in inputs) + _block(2, name) + _block(4, operator)
        body += b"".join(_block(5, _attribute(k, v)) for k, v in attributes.items())
        self.nodes.append(body)
        return name

    def model(
        self, inputs: dict[str, Sequence[int]], result: str, result_shape: Sequence[int]
    ) -> bytes:
        """The complete ONNX file.

        GraphProto: node=1, name=2, initializer=5, input=11, output=12.
        ModelProto: ir_version=1, producer_name=2, graph=7, opset_import=8 (version=2).
        """
        graph = b"".join(_block(1, n) for n in self.nodes) + _block(2, "mvsam")
        graph += b"".join(_block(5, c) for c in self.constants)
        graph += b"".join(_block(11, _value(n, s)) for n, s in inputs.items())
        graph += _block(12, _value(result, result_shape))
        opset = _block(8, _integer(2, OPSET))
        return _integer(1, IR_VERSION) + _block(2, "mvsam") + _block(7, graph) + opset
