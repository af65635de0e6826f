"""The vision network: its contract for backbones, its proposals, and its losses."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image
from torch import Tensor, nn

from regiontalk.settings import VisionSettings
from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
from regiontalk.training.proposals import assign_cells, box_overlap, cell_centres, proposal_losses
from regiontalk.training.quantise import fold_padding, is_zero_padding, quiet
from regiontalk.training.vision_graph import float_graph, vision_graph
from regiontalk.training.vision_net import VisionNet
from regiontalk.vision.boxes import iou
from regiontalk.vision.session import VisionSession

from .small_world import TINY

SIZE = 64


class Patches(nn.Module):
    """Another backbone, as a user would plug it in: patches of 8 pixels, nothing shared with EfficientNet-Lite."""

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
        if isinstance(module, nn.BatchNorm2d):  # as after training: nothing may rest on fresh statistics
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
    for ours, theirs in zip(run_graph(float_graph(net, SIZE).SerializeToString(), pixels), expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_shipped_int8_graph_stays_close_to_its_network(backbone: str) -> None:
    net, pixels = random_net(backbone), random_photos(5)
    graph = vision_graph(net, random_photos(40))
    with torch.no_grad():
        expected = net(torch.from_numpy(pixels))
    for name, ours, theirs in zip(("map", "boxes", "objectness"), run_graph(graph, pixels), expected, strict=True):
        difference = np.linalg.norm(ours - theirs.numpy()) / float(theirs.norm())
        assert difference < 0.05, name
        assert np.abs(ours - theirs.numpy()).max() < 0.2 * float(theirs.abs().max()), name
    assert len(graph) < 0.5 * len(float_graph(net, SIZE).SerializeToString()) or backbone == "patches"


def test_zeros_around_maps_cost_no_node_of_their_own() -> None:
    """They become the convolutions' own; a node of padding would stay in float32 between two conversions."""
    net, pixels = random_net("efficientnet"), random_photos(2)
    plain = float_graph(net, SIZE)
    assert "Pad" not in {node.op_type for node in onnx.load_from_string(vision_graph(net, random_photos(8))).graph.node}
    simple = constant_folded(plain)
    assert "Pad" in {node.op_type for node in simple.graph.node}
    folded = fold_padding(constant_folded(plain))
    assert "Pad" not in {node.op_type for node in folded.graph.node}
    for ours, theirs in zip(
        run_graph(folded.SerializeToString(), pixels), run_graph(plain.SerializeToString(), pixels), strict=True
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
    def node(mode: str, amounts: list[int], value: float = 0.0) -> tuple[onnx.NodeProto, dict[str, np.ndarray]]:
        values = {"amounts": np.array(amounts), "value": np.float32(value)}
        return onnx.helper.make_node("Pad", ["x", "amounts", "value"], ["y"], mode=mode), values

    assert is_zero_padding(*node("constant", [0, 0, 1, 2, 0, 0, 3, 4]))
    assert not is_zero_padding(*node("reflect", [0, 0, 1, 2, 0, 0, 3, 4]))
    assert not is_zero_padding(*node("constant", [0, 0, 1, 2, 0, 0, 3, 4], value=1.0))
    assert not is_zero_padding(*node("constant", [0, 1, 1, 2, 0, 0, 3, 4]))
    assert not is_zero_padding(node("constant", [0] * 8)[0], {})  # nobody knows how many before it runs


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
        size=SIZE, side=side, feature_dim=net.backbone.dim, proposals=5, nms_iou=0.6, min_objectness=0.0
    )
    projection = {"W_m": np.ones((net.backbone.dim, 4), np.float32), "b_m": np.zeros(4, np.float32)}
    session = VisionSession(vision_graph(net, random_photos(8)), projection, settings)
    maps, boxes, objectness = session.run(np.zeros((2, SIZE, SIZE, 3), np.uint8))
    assert maps.shape == (2, side * side, net.backbone.dim)
    assert boxes.shape == (2, side * side, 4) and objectness.shape == (2, side * side)


def test_cells_run_along_rows_first() -> None:
    assert cell_centres(2).tolist() == [[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5]]


def test_proposals_lie_around_their_own_cells() -> None:
    net = random_net("efficientnet")
    _, boxes, objectness = net(torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8))
    centres = cell_centres(4) / 4
    assert ((boxes[..., :2] <= centres) & (centres <= boxes[..., 2:])).all()
    assert ((boxes >= 0) & (boxes <= 1)).all() and ((objectness >= 0) & (objectness <= 1)).all()


def test_small_boxes_win_cells_from_large_ones() -> None:
    large, small = [0.0, 0.0, 1.0, 1.0], [0.25, 0.25, 0.5, 0.5]
    assigned = assign_cells(np.float32([large, small]), side=4)
    assert assigned[1 * 4 + 1].tolist() == small  # the cell around (0.375, 0.375)
    assert assigned[2 * 4 + 2].tolist() == large
    assert np.isnan(assigned[0]).all()


def test_every_box_is_answered_by_a_cell() -> None:
    tiny = np.float32([[0.51, 0.51, 0.52, 0.52]])
    assert (~np.isnan(assign_cells(tiny, side=4)[:, 0])).sum() >= 1


@given(st.lists(st.tuples(*[st.integers(0, 16)] * 4), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_overlap_agrees_with_the_runtime(corners: list[tuple[int, ...]]) -> None:
    boxes = np.sort((np.float32(corners) / 16).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    other = boxes[::-1].copy()
    overlap, generalised = box_overlap(torch.from_numpy(boxes), torch.from_numpy(other))
    np.testing.assert_allclose(overlap.numpy(), np.diag(iou(boxes, other)), atol=1e-4)
    assert (generalised <= overlap + 1e-5).all() and (generalised >= -1 - 1e-5).all()


def test_perfect_proposals_have_no_box_loss() -> None:
    truth = np.float32([[0.0, 0.0, 0.5, 0.5]])
    boxes = torch.from_numpy(np.tile(truth, (1, 16, 1)))
    losses = proposal_losses(boxes, torch.zeros(1, 16), [truth])
    assert losses["box"].item() == pytest.approx(0, abs=1e-6)


def test_photos_without_boxes_teach_that_there_is_nothing() -> None:
    logits = torch.zeros(1, 16, requires_grad=True)
    losses = proposal_losses(torch.rand(1, 16, 4), logits, [np.zeros((0, 4), np.float32)])
    assert losses["box"].item() == 0
    losses["objectness"].backward()
    assert logits.grad is not None and (logits.grad > 0).all()
