"""The vision network as an ONNX graph with float16 weights."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file

from regiontalk.errors import TrainingError
from regiontalk.settings import VisionSettings
from regiontalk.training.checkpoint import save_tensors
from regiontalk.training.vision_net import SmallResNet, VisionNet

OPSET = 17
WEIGHTS, SETTINGS = "vision.safetensors", "vision.json"
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


def save_vision(run: Path, network: VisionNet, settings: VisionSettings) -> None:
    """Write a finished network and how its photos become regions: `vision.json`, then `vision.safetensors`."""
    (run / SETTINGS).write_text(json.dumps(settings.to_json(), indent=1) + "\n")
    save_tensors(network, run / WEIGHTS)


def read_vision(run: Path) -> tuple[VisionNet, VisionSettings]:
    """The network and settings of a finished run.

    Raises:
        TrainingError: if the run is not finished.
    """
    if missing := [name for name in (WEIGHTS, SETTINGS) if not (run / name).exists()]:
        raise TrainingError(f"{run / missing[0]}: not found; finish the run that writes to this folder first")
    tensors = load_file(run / WEIGHTS)
    width = tensors["backbone.stem.0.weight"].shape[0]
    network = VisionNet(SmallResNet(width, dim=tensors["backbone.fuse_fine.0.weight"].shape[0]))
    network.load_state_dict({name: value.float() for name, value in tensors.items()})
    return network.eval(), VisionSettings.from_json(json.loads((run / SETTINGS).read_text()))
