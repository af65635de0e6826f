"""The vision network as a graph, float and int8, whatever the backbone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image
from torch import Tensor, nn

from regiontalk.settings import VisionSettings
from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
from regiontalk.training.vision_graph import (
    float_graph,
    fold_padding,
    is_zero_padding,
    quiet,
    vision_graph,
)
from regiontalk.training.vision_net import VisionNet
from regiontalk.vision.session import VisionSession

from .small_world import TINY

SIZE = 64


class Patches(nn.Module):
    """Another backbone, as a user would plug it in.

    Patches of 8 pixels, nothing shared with EfficientNet-Lite.
    """

    dim, stride, multiple_of = 24, 8, 8

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, self.dim, self.stride, self.stride)
        self.pretrained, self.description = self.patches, {"backbone": "patches"}

    def forward(self, photos: Tensor) -> Tensor:
        return self.patches(photos / 255).relu()


BACKBONES = {
    "efficientnet": lambda: EfficientNetLiteBackbone(TINY, 32),
    "patches": Patches,
}


def random_net(backbone: str) -> VisionNet:
    torch.manual_seed(3)
    net = VisionNet(BACKBONES[backbone]()).eval()
    for module in net.modules():
        # As after training: nothing may rest on fresh statistics
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
    return net


def random_photos(photos: int) -> np.ndarray:
    """Smooth ones, as photos are: noise on a coarse grid, enlarged."""
    coarse = np.random.default_rng(photos).integers(0, 256, (photos, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((SIZE, SIZE))) for each in coarse])


def run_graph(graph: bytes, pixels: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(["map", "boxes", "objectness"], {"pixels": pixels})


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("photos", [1, 3])
def test_the_float_graph_equals_its_network(backbone: str, photos: int) -> None:
    net, pixels = random_net(backbone), random_photos(photos)
    with torch.no_grad():
        expected = net(torch.from_numpy(pixels))
    for ours, theirs in zip(
        run_graph(float_graph(net, SIZE).SerializeToString(), pixels), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_shipped_int8_graph_stays_close_to_its_network(backbone: str) -> None:
    net, pixels = random_net(backbone), random_photos(5)
    graph = vision_graph(net, random_photos(40))
    with torch.no_grad():
        expected = net(torch.from_numpy(pixels))
    for name, ours, theirs in zip(
        ("map", "boxes", "objectness"), run_graph(graph, pixels), expected, strict=True
    ):
        difference = np.linalg.norm(ours - theirs.numpy()) / float(theirs.norm())
        assert difference < 0.05, name
        assert np.abs(ours - theirs.numpy()).max() < 0.2 * float(theirs.abs().max()), name
    assert (
        len(graph) < 0.5 * len(float_graph(net, SIZE).SerializeToString()) or backbone == "patches"
    )


def test_zeros_around_maps_cost_no_node_of_their_own() -> None:
    """They become the convolutions' own.

    A node of padding would stay in float32 between two conversions.
    """
    net, pixels = random_net("efficientnet"), random_photos(2)
    plain = float_graph(net, SIZE)
    assert "Pad" not in {
        node.op_type
        for node in onnx.load_from_string(vision_graph(net, random_photos(8))).graph.node
    }
    simple = constant_folded(plain)
    assert "Pad" in {node.op_type for node in simple.graph.node}
    folded = fold_padding(constant_folded(plain))
    assert "Pad" not in {node.op_type for node in folded.graph.node}
    for ours, theirs in zip(
        run_graph(folded.SerializeToString(), pixels),
        run_graph(plain.SerializeToString(), pixels),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * float(np.abs(theirs).max()))


def constant_folded(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with what can be computed beforehand computed, as before quantising."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        onnx.save(graph, before)
        quant_pre_process(before, after, skip_symbolic_shape=True)
        return onnx.load(after)


def test_other_padding_is_left_alone() -> None:
    def node(
        mode: str, amounts: list[int], value: float = 0.0
    ) -> tuple[onnx.NodeProto, dict[str, np.ndarray]]:
        values = {"amounts": np.array(amounts), "value": np.float32(value)}
        return onnx.helper.make_node("Pad", ["x", "amounts", "value"], ["y"], mode=mode), values

    assert is_zero_padding(*node("constant", [0, 0, 1, 2, 0, 0, 3, 4]))
    assert not is_zero_padding(*node("reflect", [0, 0, 1, 2, 0, 0, 3, 4]))
    assert not is_zero_padding(*node("constant", [0, 0, 1, 2, 0, 0, 3, 4], value=1.0))
    assert not is_zero_padding(*node("constant", [0, 1, 1, 2, 0, 0, 3, 4]))
    # Nobody knows how many before it runs
    assert not is_zero_padding(node("constant", [0] * 8)[0], {})


def test_an_int8_graph_gives_a_photo_the_same_features_in_any_batch() -> None:
    pixels = random_photos(4)
    graph = vision_graph(random_net("efficientnet"), random_photos(16))
    together = run_graph(graph, pixels)
    for row in range(4):
        for whole, alone in zip(together, run_graph(graph, pixels[row : row + 1]), strict=True):
            np.testing.assert_allclose(whole[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_any_backbone_gives_regions_through_the_runtime(backbone: str) -> None:
    net = random_net(backbone)
    side = SIZE // net.backbone.stride
    settings = VisionSettings(
        size=SIZE,
        side=side,
        feature_dim=net.backbone.dim,
        proposals=5,
        nms_iou=0.6,
        min_objectness=0.0,
    )
    projection = {"W_m": np.ones((net.backbone.dim, 4), np.float32), "b_m": np.zeros(4, np.float32)}
    session = VisionSession(vision_graph(net, random_photos(8)), projection, settings)
    maps, boxes, objectness = session.run(np.zeros((2, SIZE, SIZE, 3), np.uint8))
    assert maps.shape == (2, side * side, net.backbone.dim)
    assert boxes.shape == (2, side * side, 4) and objectness.shape == (2, side * side)
