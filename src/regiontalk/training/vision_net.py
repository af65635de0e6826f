"""The vision network: a photo becomes a feature map and a few hundred box proposals, in one pass.

Axis names: B photos, S pixels a side, C = side * side cells of the map (rows first), D feature dimensions.

**To plug in another backbone**, write an `nn.Module` that has `dim` (D) and `stride` (pixels a cell) and turns photos
(B, 3, S, S), scaled to -1..1, into a non-negative map (B, D, S / stride, S / stride), and whose `chain` and `fuse` are
the two halves of that: what its stages pass on, with the borders of the teacher's, and the map made of these. Then
build it in `train_vision.first_network` and `vision_graph.read_vision`, and say in `staged_net.require_whole_cells`
which sizes of photos it takes; everything else adapts to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.training.staged_net import normalised


class Backbone(Protocol):
    """Photos (B, 3, S, S) in -1..1 → feature map (B, dim, S / stride, S / stride), non-negative."""

    dim: int
    stride: int

    def __call__(self, photos: Tensor) -> Tensor: ...

    def chain(self, photos: Tensor) -> Iterator[Tensor]: ...

    def fuse(self, maps: list[Tensor]) -> Tensor: ...


class ProposalHead(nn.Module):
    """A box and an objectness for each cell of the map, whatever the class (Tian et al., 2019, without classes).

    A cell says how far the box's four sides are from its own centre, in cells, through an exponential.
    """

    def __init__(self, dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.hidden = normalised(dim, hidden, 3)
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
