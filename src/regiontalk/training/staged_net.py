"""A backbone in stages whose borders are those of its teacher, so that each stage can be taught by itself.

Axis names: B photos, S pixels a side, D feature dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.settings import LARGEST_PHOTO

BORDERS = (24, 32, 64, 96, 160, 1280)
"""Channels that each stage passes on: those of MobileNetV2 (Sandler et al., 2018), whose maps teach them."""
STRIDES = (4, 8, 16, 16, 32, 32)
"""Pixels a cell of what each stage passes on."""
FINE, COARSE = 3, 5
"""The stages whose maps are fused into one."""


def require_whole_cells(name: str, pixels: int) -> None:
    """Check how large a photo some setting asks for.

    Raises:
        ValueError: if its sides are not a whole number, above 0, of the coarsest cells, or too long for a pack.
    """
    stride = STRIDES[COARSE]
    if not 0 < pixels <= LARGEST_PHOTO or pixels % stride:
        raise ValueError(
            f"{name} must be a multiple of {stride}, the coarsest stride, up to {LARGEST_PHOTO}, not {pixels}"
        )


def normalised(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias, normalised over the batch.

    Where it skips cells it is padded right and below only, as the teacher does: padded on both sides, its cells would
    lie up to half a coarse cell away from the teacher's.
    """
    around = size // 2 if stride == 1 else 0
    layers = [] if stride == 1 else [nn.ZeroPad2d((0, size - 2, 0, size - 2))]
    convolution = nn.Conv2d(inputs, outputs, size, stride, around, groups=groups, bias=False)
    return nn.Sequential(*layers, convolution, nn.BatchNorm2d(outputs))


class ExpandedBlock(nn.Module):
    """Expand, look around, project; with a shortcut where the shapes allow it (Sandler et al., 2018).

    Args:
        fused: expand by one 3×3 convolution (Tan and Le, 2021) instead of a 1×1 and a depthwise one: on large maps of
            few channels it trains twice as fast on CPUs.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, hidden: int, fused: bool) -> None:
        super().__init__()
        self.expand = normalised(inputs, hidden, 3, stride) if fused else normalised(inputs, hidden, 1)
        self.depthwise = (
            nn.Identity() if fused else nn.Sequential(normalised(hidden, hidden, 3, stride, hidden), nn.ReLU6())
        )
        self.project = normalised(hidden, outputs, 1)
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(F.relu6(self.expand(x))))
        return x + y if self.shortcut else y


def stage(inputs: int, outputs: int, stride: int, hidden: tuple[int, ...], fused: bool = False) -> list[nn.Module]:
    """Blocks of the given hidden widths; the first changes channels and size."""
    blocks = [ExpandedBlock(inputs, outputs, stride, hidden[0], fused)]
    return [*blocks, *(ExpandedBlock(outputs, outputs, 1, width, fused) for width in hidden[1:])]


class StagedNet(nn.Module):
    """Six stages, the fourth and the last fused into one map at stride 16.

    Args:
        dim: D, channels of the fused map.
    """

    stride = 16

    def __init__(self, dim: int = 512) -> None:
        super().__init__()
        self.dim = dim
        first = [normalised(3, 32, 3, 2), nn.ReLU6(), *stage(32, 24, 2, (96, 96), fused=True)]
        last = [*stage(160, 320, 1, (960,)), normalised(320, BORDERS[5], 1), nn.ReLU6()]
        self.stages = nn.ModuleList(
            nn.Sequential(*layers)
            for layers in (
                first,
                stage(24, 32, 2, (128, 128, 128), fused=True),
                stage(32, 64, 2, (192, 384, 384, 384)),
                stage(64, 96, 1, (384, 576, 576)),
                stage(96, 160, 2, (576, 960, 960)),
                last,
            )
        )
        self.fuse_fine = normalised(BORDERS[FINE], dim, 1)
        self.fuse_coarse = normalised(BORDERS[COARSE], dim, 1)

    def chain(self, photos: Tensor) -> Iterator[Tensor]:
        """What each stage passes on, photos (B, 3, S, S) in -1..1 → (B, BORDERS[k], S / STRIDES[k], S / STRIDES[k])."""
        x = photos
        for each in self.stages:
            x = each(x)
            yield x

    def fuse(self, maps: list[Tensor]) -> Tensor:
        """What the stages pass on → (B, D, S / 16, S / 16), not negative."""
        coarse = F.interpolate(self.fuse_coarse(maps[COARSE]), scale_factor=2.0, mode="nearest")
        return F.relu(self.fuse_fine(maps[FINE]) + coarse)

    def forward(self, photos: Tensor) -> Tensor:
        """Photos (B, 3, S, S) in -1..1 → (B, D, S / 16, S / 16), not negative."""
        return self.fuse(list(self.chain(photos)))
