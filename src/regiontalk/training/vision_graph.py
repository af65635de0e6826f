"""The vision network as an ONNX graph, and as files of a run."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from regiontalk.errors import TrainingError
from regiontalk.files import parse_json, read_bytes, read_text
from regiontalk.photos import open_photo, prepare
from regiontalk.settings import VisionSettings
from regiontalk.training.backbones import build_backbone
from regiontalk.training.checkpoint import MAX_BYTES, read_finished, require_finished, save_tensors
from regiontalk.training.quantise import quantise_graph
from regiontalk.training.vision_net import VisionNet

OPSET = 17
WEIGHTS, SETTINGS, BACKBONE, GRAPH = "vision.safetensors", "vision.json", "backbone.json", "vision.onnx"
TYPICAL_PHOTOS = 128
"""Photos that show how large activations become."""


def vision_graph(network: VisionNet, photos: np.ndarray) -> bytes:
    """`vision.onnx`: the network with int8 arithmetic, for any number of photos at once.

    Args:
        network: trained.
        photos: (B, S, S, 3) uint8, typical ones of the size that the graph is for.
    """
    graph = float_graph(network, photos.shape[1])
    last = [node.name for node in graph.graph.node if node.op_type == "Conv"][-1]  # boxes go through an exponential
    quantised = quantise_graph(graph, photos, keep=[last])
    onnx.checker.check_model(quantised)
    return quantised.SerializeToString()


def float_graph(network: VisionNet, size: int) -> onnx.ModelProto:
    """The network as it is, for photos of `size` pixels a side."""
    network = network.cpu().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the tracing exporter; the other one freezes the batch
        warnings.simplefilter("ignore", UserWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)  # of transformers; other batches are tested
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
    return onnx.load_from_string(buffer.getvalue())


def prepared(files: Sequence[Path], size: int, max_pixels: int | None = None) -> np.ndarray:
    """The first photos of some, as the network takes them.  # (B, S, S, 3) uint8"""
    photos = (open_photo(file, max_pixels=max_pixels, min_side=size).image for file in files[:TYPICAL_PHOTOS])
    return np.stack([prepare(photo, size) for photo in photos])


def save_vision(run: Path, network: VisionNet, settings: VisionSettings, photos: np.ndarray) -> None:
    """Write a finished network: its graph, how its photos become regions, and, last, its weights.

    Args:
        photos: see `vision_graph`.
    """
    (run / GRAPH).write_bytes(vision_graph(network, photos))
    (run / BACKBONE).write_text(json.dumps(network.backbone.description, indent=1) + "\n")
    (run / SETTINGS).write_text(json.dumps(settings.to_json(), indent=1) + "\n")
    save_tensors(network, run / WEIGHTS)


def read_vision(run: Path) -> tuple[VisionNet, VisionSettings]:
    """The network and settings of a finished run.

    Raises:
        TrainingError: if the run is not finished.
    """
    tensors = read_finished(run, WEIGHTS)
    network = VisionNet(build_backbone(read_object(run, BACKBONE)))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:  # names or shapes of another network
        raise TrainingError(f"{run / WEIGHTS}: not of the network that {BACKBONE} describes ({error})") from error
    return network.eval(), read_settings(run)


def read_object(run: Path, name: str) -> dict[str, Any]:
    """A JSON object of a finished run.

    Raises:
        TrainingError: if the run is not finished, or the file is damaged.
    """
    require_finished(run, name)
    try:
        content = parse_json(read_text(run / name, error=TrainingError))
    except ValueError as error:
        raise TrainingError(f"{run / name}: damaged ({error}); give that run's command again") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{run / name}: damaged (an object expected); give that run's command again")
    return content


def read_settings(run: Path) -> VisionSettings:
    """How a finished run's photos become regions.

    Raises:
        TrainingError: if the run is not finished, or the file is damaged.
    """
    content = read_object(run, SETTINGS)
    try:
        return VisionSettings.from_json(content)
    except ValueError as error:
        raise TrainingError(f"{run / SETTINGS}: damaged ({error}); give that run's command again") from error


def read_graph(run: Path) -> bytes:
    """The graph of a finished run: what the heads are trained on is what ships.

    Raises:
        TrainingError: if the run is not finished.
    """
    require_finished(run, GRAPH)
    return read_bytes(run / GRAPH, MAX_BYTES, TrainingError)
