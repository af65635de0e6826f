"""External data is found wherever a graph can hide it; malformed files never crash it."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from regiontalk.vision.graph_check import has_external_data

from ..tiny_pack import tiny_vision_model, tiny_vision_onnx


def external_tensor() -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros((2, 2), np.float32), "weights")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def in_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external_tensor())


def in_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external_tensor()))


def in_list_of_tensors(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="Custom")
    node.attribute.append(helper.make_attribute("many", [external_tensor()]))


def in_subgraph(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [], [external_tensor()])
    model.graph.node.append(
        helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    )


def in_sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=external_tensor(), dims=[2, 2])
    )


def in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=external_tensor())
    model.functions.append(
        helper.make_function("d", "f", [], ["c"], [node], [helper.make_opsetid("", 17)])
    )


def in_training_info(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.CopyFrom(
        helper.make_graph([], "i", [], [], [external_tensor()])
    )


def only_the_location_flag(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


PLACES = [
    in_initializer,
    in_constant,
    in_list_of_tensors,
    in_subgraph,
    in_sparse,
    in_function,
    in_training_info,
    only_the_location_flag,
]


@pytest.mark.parametrize("hide", PLACES)
def test_external_data_is_found(hide) -> None:  # type: ignore[no-untyped-def]
    model = tiny_vision_model()
    hide(model)
    assert has_external_data(model.SerializeToString())


def test_a_graph_with_all_its_weights_has_none() -> None:
    assert not has_external_data(tiny_vision_onnx())
    model = tiny_vision_model()
    model.graph.initializer[0].data_location = TensorProto.DEFAULT
    assert not has_external_data(model.SerializeToString())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert has_external_data(data) in (True, False)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_cut_or_changed_graph_gives_an_answer_or_a_value_error(data: st.DataObject) -> None:
    graph = bytearray(tiny_vision_onnx())
    for _ in range(data.draw(st.integers(0, 3))):
        graph[data.draw(st.integers(0, len(graph) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        has_external_data(bytes(graph[: data.draw(st.integers(0, len(graph)))]))


def test_absurd_nesting_is_refused() -> None:
    inner = b""
    for _ in range(200):  # graph > node > attribute > graph > ...
        for field in (6, 5, 1):
            inner = bytes([field << 3 | 2]) + _varint(len(inner)) + inner
    with pytest.raises(ValueError, match="too deep"):
        has_external_data(bytes([7 << 3 | 2]) + _varint(len(inner)) + inner)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x3a\x05ab", "runs past the end"),
        (b"\x3a", "runs past the end"),
        (b"\xff" * 11, "too long"),
        (b"\x3b", "wire type 3"),
        (b"\x38\x01", "field 7 is not a message"),
    ],
)
def test_malformed_protobuf(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        has_external_data(data)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(key: int, content: bytes) -> bytes:
    return varint(key) + varint(len(content)) + content


def test_keys_that_the_runtime_would_cut_are_refused() -> None:
    model = tiny_vision_model()
    in_initializer(model)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    hidden = model.SerializeToString() + field(7 << 3 | 2 | 1 << 32, graph)
    with pytest.raises(ValueError, match="number is too large"):
        has_external_data(hidden)


def test_a_location_that_the_runtime_would_cut_is_found() -> None:
    tensor = varint(14 << 3) + varint(TensorProto.EXTERNAL | 1 << 32)
    assert has_external_data(field(7 << 3 | 2, field(5 << 3 | 2, tensor)))
    assert not has_external_data(field(7 << 3 | 2, field(5 << 3 | 2, varint(14 << 3) + varint(0))))
