"""The vision network as an ONNX graph with float16 weights."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file

from regiontalk.errors import TrainingError
from regiontalk.training.vision_net import SmallResNet, VisionNet

OPSET = 17
SMALLEST_HALVED = 256
"""Tensors with fewer values stay float32: they weigh nothing, and constants such as box sizes stay exact."""


def vision_graph(network: VisionNet, size: int) -> bytes:
    """`vision.onnx` for photos of `size` pixels a side; any number of photos at once.

    Weights are stored as float16 and cast back when the graph is loaded: half the size, float32 arithmetic.
    """
    network = network.cpu().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the tracing exporter; the other one freezes the batch
        warnings.simplefilter("ignore", UserWarning)
        torch.onnx.export(
            network,
            (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
            buffer,  # type: ignore[arg-type]  # the tracing exporter takes files too
            input_names=["pixels"],
            output_names=["map", "boxes", "objectness"],
            dynamic_axes={name: {0: "B"} for name in ("pixels", "map", "boxes", "objectness")},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    halve_weights(model.graph)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def halve_weights(graph: onnx.GraphProto) -> None:
    """Store large float32 weights as float16, each followed by a cast that ONNX Runtime folds away on loading."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED:
            continue
        name, stored = tensor.name, tensor.name + "_float16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT, name=name + "_cast"))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


def read_vision_net(run: Path) -> VisionNet:
    """The network of a finished vision run.

    Raises:
        TrainingError: if the run is not finished.
    """
    file = run / "vision.safetensors"
    if not file.exists():
        raise TrainingError(f"{file}: not found; finish `regiontalk train vision` with this output folder first")
    tensors = load_file(file)
    width = tensors["backbone.stem.0.weight"].shape[0]
    dim = tensors["backbone.fuse_fine.0.weight"].shape[0]
    network = VisionNet(SmallResNet(width, dim=dim))
    network.load_state_dict({name: value.float() for name, value in tensors.items()})
    return network.eval()
