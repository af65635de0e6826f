"""The vision network as an ONNX graph with float16 and int8 weights."""

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
SMALLEST_QUANTISED = 300_000
"""Kernels with as many values are most of a network's size; int8 moves each by 1 / 254 of its channel's largest."""


def vision_graph(network: VisionNet, size: int) -> bytes:
    """`vision.onnx` for photos of `size` pixels a side; any number of photos at once.

    Weights are stored small and restored when the graph is loaded: the arithmetic stays float32.
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
    shrink_weights(model.graph)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def shrink_weights(graph: onnx.GraphProto) -> None:
    """Store large kernels as int8 with a scale for each output channel, other weights as float16.

    Casts and products turn them back into float32; ONNX Runtime folds these away on loading.
    """
    restoring: list[onnx.NodeProto] = []
    scales: list[onnx.TensorProto] = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED:
            continue
        name, stored = tensor.name, tensor.name + "_stored"
        if values.ndim == 4 and values.size >= SMALLEST_QUANTISED:
            integers, scale = quantise(values)
            tensor.CopyFrom(numpy_helper.from_array(integers, stored))
            scales.append(numpy_helper.from_array(scale, name + "_scale"))
            restoring.append(helper.make_node("Cast", [stored], [name + "_float"], to=TensorProto.FLOAT))
            restoring.append(helper.make_node("Mul", [name + "_float", name + "_scale"], [name]))
        else:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
            restoring.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    graph.initializer.extend(scales)
    for node in reversed(restoring):
        graph.node.insert(0, node)


def quantise(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel (outputs, inputs, y, x) as int8 and scales (outputs, 1, 1, 1): kernel ≈ int8 * scale."""
    scale = np.maximum(np.abs(kernel).max(axis=(1, 2, 3), keepdims=True), 1e-12) / 127
    return np.round(kernel / scale).astype(np.int8), scale.astype(np.float32)


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
