"""The vision network as an int8 ONNX graph, and the files of a vision run.

int8 takes a quarter of float32's size and, with byte products on the CPU, a third of its time.
Kernels have a scale for each output channel, activations, as uint8, one range for each tensor,
calibrated on typical photos. Sums stay exact integers, so machines agree more closely than they do
in float32.
"""

from __future__ import annotations

import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from regiontalk.errors import TrainingError
from regiontalk.files import read_bytes
from regiontalk.photos import open_photo, prepare
from regiontalk.settings import VisionSettings
from regiontalk.training.backbones import build_backbone
from regiontalk.training.checkpoint import (
    MAX_BYTES,
    read_finished,
    read_finished_json,
    require_finished,
    save_tensors,
)
from regiontalk.training.vision_net import VisionNet

OPSET = 17
WEIGHTS, SETTINGS, BACKBONE, GRAPH = (
    "vision.safetensors",
    "vision.json",
    "backbone.json",
    "vision.onnx",
)
TYPICAL_PHOTOS, CHUNK = 128, 8
"""Photos that activation ranges are calibrated on, and how many of them are processed at once."""
QUANTISED = ["Conv", "Add", "Relu", "Clip"]


def vision_graph(network: VisionNet, photos: np.ndarray) -> bytes:
    """`vision.onnx`: the network with int8 arithmetic, for any batch size.

    `photos` (B, S, S, 3), uint8, are typical ones of the size that the graph is for.
    """
    graph = float_graph(network, photos.shape[1])
    # The last convolution stays float32: box distances go through an exponential
    last = [node.name for node in graph.graph.node if node.op_type == "Conv"][-1]
    quantised = quantise_graph(graph, photos, keep=[last])
    onnx.checker.check_model(quantised)
    return quantised.SerializeToString()


def float_graph(network: VisionNet, size: int) -> onnx.ModelProto:
    """The network as a float32 ONNX graph, for photos of `size` pixels a side."""
    network = network.cpu().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but the other one fixes the batch size
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        # Raised in transformers; tests run other batch sizes
        warnings.filterwarnings("ignore", category=TracerWarning)
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


def quantise_graph(graph: onnx.ModelProto, photos: np.ndarray, keep: list[str]) -> onnx.ModelProto:
    """Quantise the convolutions of a graph to int8.

    Kernels use 7 of the 8 bits: processors that add two byte products in 16 bits would overflow
    with more.

    Args:
        graph: float32, with the input `pixels`.
        photos: (B, S, S, 3) uint8, typical ones, which calibrate the ranges of activations.
        keep: names of nodes that stay float32.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Photos(CalibrationDataReader):
        def __init__(self) -> None:
            self.chunks: Iterator[np.ndarray] = iter(
                np.array_split(photos, -(-len(photos) // CHUNK))
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            chunk = next(self.chunks, None)
            return None if chunk is None else {"pixels": chunk}

    with tempfile.TemporaryDirectory() as folder, quiet():
        plain, cleaned, quantised = (
            Path(folder, f"{name}.onnx") for name in ("plain", "cleaned", "quantised")
        )
        onnx.save(graph, plain)
        quant_pre_process(plain, cleaned, skip_symbolic_shape=True)
        onnx.save(fold_padding(onnx.load(cleaned)), cleaned)
        quantize_static(
            cleaned,
            quantised,
            Photos(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=keep,
        )
        return onnx.load(quantised)


def fold_padding(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Fold zero-padding nodes into the `pads` attribute of the convolution that follows.

    PyTorch cannot pad one side only, ONNX can. As a node of its own the padding would stay in
    float32 between two conversions: with EfficientNet-Lite2 it took 40 % of the whole graph's time.
    """
    nodes = graph.graph.node
    values = {each.name: onnx.numpy_helper.to_array(each) for each in graph.graph.initializer}
    pads = {node.output[0]: node for node in nodes if is_zero_padding(node, values)}
    readers = [node for node in nodes if node.op_type == "Conv" and node.input[0] in pads]
    for convolution in readers:
        pad = pads[convolution.input[0]]
        _, _, top, left, _, _, bottom, right = values[pad.input[1]].tolist()
        attribute = next(each for each in convolution.attribute if each.name == "pads")
        attribute.ints[:] = [
            a + b for a, b in zip(attribute.ints, (top, left, bottom, right), strict=True)
        ]
        convolution.input[0] = pad.input[0]
    unread = pads.keys() - {name for node in nodes for name in node.input}
    for name in unread:
        nodes.remove(pads[name])
    read = {name for node in nodes for name in node.input}
    for each in [each for each in graph.graph.initializer if each.name not in read]:
        graph.graph.initializer.remove(each)
    return graph


def is_zero_padding(node: onnx.NodeProto, values: dict[str, np.ndarray]) -> bool:
    """Whether a node pads maps (B, C, H, W) with a constant number of zeros, in space only."""
    if node.op_type != "Pad" or any(
        each.name == "mode" and each.s != b"constant" for each in node.attribute
    ):
        return False
    amounts = values.get(node.input[1])
    zero = (
        len(node.input) < 3
        or not node.input[2]
        or not np.any(values.get(node.input[2], np.ones(1)))
    )
    return zero and amounts is not None and len(amounts) == 8 and not amounts[[0, 1, 4, 5]].any()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the quantiser's advice on the root logger, which nobody can follow here."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def prepared(files: Sequence[Path], size: int, max_pixels: int | None = None) -> np.ndarray:
    """The first `TYPICAL_PHOTOS` photos as network inputs.  # (B, S, S, 3) uint8"""
    photos = (
        open_photo(file, max_pixels=max_pixels, min_side=size).image
        for file in files[:TYPICAL_PHOTOS]
    )
    return np.stack([prepare(photo, size) for photo in photos])


def save_vision(
    run: Path, network: VisionNet, settings: VisionSettings, photos: np.ndarray
) -> None:
    """Write a finished network: its graph, backbone, settings, and, last, its weights.

    `photos` as in `vision_graph`.
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
    network = VisionNet(build_backbone(read_finished_json(run, BACKBONE, dict)))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:  # names or shapes of another network
        raise TrainingError(
            f"{run / WEIGHTS}: not of the network that {BACKBONE} describes ({error})"
        ) from error
    return network.eval(), read_settings(run)


def read_settings(run: Path) -> VisionSettings:
    """Settings by which a finished run's photos become regions.

    Raises:
        TrainingError: if the run is not finished, or the file is damaged.
    """
    return read_finished_json(run, SETTINGS, VisionSettings.from_json)


def read_graph(run: Path) -> bytes:
    """The quantised graph of a finished run: heads are trained on the features that ship.

    Raises:
        TrainingError: if the run is not finished.
    """
    require_finished(run, GRAPH)
    return read_bytes(run / GRAPH, MAX_BYTES, TrainingError)
