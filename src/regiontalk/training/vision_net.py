"""The vision network: a photo becomes a feature map and a few hundred box proposals, in one pass.

Axis names: B photos, S pixels a side, C = side * side cells of the map (rows first), D feature dimensions.

**To plug in another backbone**, write an `nn.Module` that has `dim` (D) and `stride` (pixels a cell) and turns photos
(B, 3, S, S), scaled to -1..1, into a non-negative map (B, D, S / stride, S / stride). Everything else adapts to it.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Backbone(Protocol):
    """Photos (B, 3, S, S) in -1..1 → feature map (B, dim, S / stride, S / stride), non-negative."""

    dim: int
    stride: int

    def __call__(self, photos: Tensor) -> Tensor: ...


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, padding: int | None = None) -> nn.Sequential:
    """A convolution without bias, normalised over the batch."""
    padding = size // 2 if padding is None else padding
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = convolution(outputs, outputs, 3)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)
        nn.init.zeros_(
            self.second[1].get_parameter("weight")
        )  # each block begins as its shortcut, which steadies the first epochs

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A residual network of four stages whose last two are fused into one map at stride 16.

    Plain 3×3 convolutions, because on CPUs they train several times faster than depthwise ones and run as fast.
    The stem goes to stride 4 in one step: no pooling, no large first activation.

    Args:
        width: channels of the first stage; each later stage doubles them.
        depths: residual blocks in each of the four stages.
        dim: D, channels of the fused map.
    """

    stride = 16

    def __init__(self, width: int = 48, depths: tuple[int, int, int, int] = (2, 2, 2, 2), dim: int = 384) -> None:
        super().__init__()
        self.dim = dim
        widths = [width * 2**stage for stage in range(4)]
        self.stem = convolution(3, width, 7, stride=4, padding=3)
        self.stages = nn.ModuleList()
        inputs = width
        for stage, (outputs, depth) in enumerate(zip(widths, depths, strict=True)):
            strides = [1 if stage == 0 else 2] + [1] * (depth - 1)
            blocks = [ResidualBlock(inputs if i == 0 else outputs, outputs, s) for i, s in enumerate(strides)]
            self.stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.fuse_fine = convolution(widths[2], dim, 1)
        self.fuse_coarse = convolution(widths[3], dim, 1)

    def forward(self, photos: Tensor) -> Tensor:
        x = F.relu(self.stem(photos))  # (B, width, S/4, S/4)
        x = self.stages[1](self.stages[0](x))  # (B, 2 width, S/8, S/8)
        fine = self.stages[2](x)  # (B, 4 width, S/16, S/16)
        coarse = self.stages[3](fine)  # (B, 8 width, S/32, S/32)
        coarse = F.interpolate(self.fuse_coarse(coarse), scale_factor=2.0, mode="nearest")
        return F.relu(self.fuse_fine(fine) + coarse)  # (B, D, S/16, S/16)


class ProposalHead(nn.Module):
    """A box and an objectness for each cell of the map, whatever the class (Tian et al., 2019, without classes).

    A cell says how far the box's four sides are from its own centre, in cells, through an exponential.
    """

    def __init__(self, dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.hidden = convolution(dim, hidden, 3)
        self.output = nn.Conv2d(hidden, 5, 1)
        nn.init.normal_(self.output.weight, std=0.01)
        few = torch.tensor([-3.0, 0, 0, 0, 0])  # few cells hold a thing's centre
        self.output.get_parameter("bias").data.copy_(few)

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, D, side, side) → boxes (B, C, 4) xyxy in units of the photo's sides, objectness logits (B, C)."""
        side = feature_map.shape[-1]
        output = self.output(F.relu(self.hidden(feature_map))).float().flatten(2)  # (B, 5, C)
        distances = output[:, 1:].clamp(-5, 5).exp().transpose(1, 2)  # (B, C, 4) left, top, right, bottom in cells
        centres = cell_centres(side, feature_map.device)
        boxes = torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1) / side
        return boxes, output[:, 0]


def cell_centres(side: int, device: torch.device | str = "cpu") -> Tensor:
    """Centres of the cells, rows first, in cells.  # (C, 2) x, y"""
    steps = torch.arange(side, dtype=torch.float32, device=device) + 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


class VisionNet(nn.Module):
    """Backbone and proposals: what `vision.onnx` holds.

    Args:
        backbone: see the module's docstring for what it must do.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.proposals = ProposalHead(backbone.dim)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at photos.

        Args:
            pixels: (B, S, S, 3) uint8, RGB.

        Returns:
            map (B, C, D), boxes (B, C, 4) xyxy clipped to 0..1 of the photo, objectness (B, C) in 0..1.
        """
        feature_map = self.backbone(scale_pixels(pixels))
        boxes, logits = self.proposals(feature_map)
        return feature_map.float().flatten(2).transpose(1, 2), boxes.clamp(0, 1), logits.sigmoid()


def scale_pixels(pixels: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) → float (B, 3, S, S) in -1..1, channels last in memory."""
    return (pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
