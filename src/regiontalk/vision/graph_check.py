"""Detect external tensor data in an ONNX graph by parsing its protobuf fields alone.

An ONNX tensor may keep its data in another file. A pack's graph must hold all its weights: the
pack's checksums cover only its own files, and paths in untrusted input must not be followed. ONNX
Runtime would open them, so graphs are checked before it loads them. Field numbers are those of
`onnx.proto3`.
"""

from __future__ import annotations

from collections.abc import Iterator

_EXTERNAL = 1  # TensorProto.DataLocation.EXTERNAL
# The runtime's parser truncates enumeration values and field keys to 32 bits
_LOW_BITS = 0xFFFFFFFF
_DEEPEST = 64  # nested messages; real graphs have five to ten levels

_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message type → field number → type of the submessage, for fields that may contain tensors."""


def has_external_data(onnx: bytes) -> bool:
    """Whether any tensor of a serialised ONNX model, in any subgraph, refers to another file.

    Args:
        onnx: the bytes of an ONNX file.

    Raises:
        ValueError: if the bytes are not well-formed protobuf, or nested more than 64 levels deep.
    """
    return _search(memoryview(onnx), "model", 0)


def _search(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("messages nest too deep")
    for number, value in _fields(message):
        if kind == "tensor":
            # external_data, data_location
            if number == 13 or (number == 14 and _low_bits(value) == _EXTERNAL):
                return True
        elif number in _MESSAGES[kind]:
            if not isinstance(value, memoryview):
                raise ValueError(f"field {number} is not a message")
            if _search(value, _MESSAGES[kind][number], depth + 1):
                return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of one protobuf message: numbers, with bytes or varint values (fixed-size: 0)."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key > _LOW_BITS:  # the runtime's parser would truncate it, to another field
            raise ValueError("a field's number is too large")
        number, wire = key >> 3, key & 7
        value: memoryview | int = 0
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 2:
            length, at = _varint(message, at)
            value = message[at : at + length]
            at += length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} is not used by ONNX")
        if at > len(message):
            raise ValueError("a field runs past the end")
        yield number, value


def _low_bits(value: memoryview | int) -> int | None:
    """The low 32 bits of a varint, as enumerations are parsed; None for bytes."""
    return value & _LOW_BITS if isinstance(value, int) else None


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The varint at offset `at`, and the offset after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("a number runs past the end")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")
