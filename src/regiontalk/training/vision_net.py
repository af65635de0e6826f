"""The vision network, one pass from a photo to a feature map and box proposals, and its losses.

Each cell of the map proposes a box, with a class-agnostic objectness (Tian et al., 2019).

Axis names: B photos, S pixels a side, D feature dimensions, C = side * side cells of the map (rows
first).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.training.backbones import Backbone
from regiontalk.training.loop import autocast
from regiontalk.vision.boxes import iou

CENTRE_SHARE = 0.25
"""A cell is a positive for a box if it lies within this share of the box's sides around its
centre."""


class VisionNet(nn.Module):
    """Backbone and proposal head: what `vision.onnx` holds."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.proposals = ProposalHead(backbone.dim)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature map and box proposals of photos.

        Args:
            pixels: (B, S, S, 3) uint8, RGB.

        Returns:
            map (B, C, D), boxes (B, C, 4) xyxy clipped to 0..1 of the photo, objectness (B, C) in
            0..1.
        """
        feature_map = self.backbone(float_pixels(pixels))
        boxes, logits = self.proposals(feature_map)
        return feature_map.float().flatten(2).transpose(1, 2), boxes.clamp(0, 1), logits.sigmoid()

    def see(self, pixels: np.ndarray, device: str) -> Tensor:
        """Photos (B, S, S, 3) uint8 → map (B, D, side, side) on the device, for training."""
        with autocast(device):
            feature_map: Tensor = self.backbone(float_pixels(torch.from_numpy(pixels).to(device)))
        return feature_map

    def box_losses(self, feature_map: Tensor, boxes: list[np.ndarray]) -> dict[str, Tensor]:
        """`proposal_losses` on a map (B, D, side, side) of photos with these boxes (n, 4)."""
        with autocast(feature_map.device.type):
            proposed, logits = self.proposals(feature_map)
        return proposal_losses(proposed, logits, boxes)


def float_pixels(pixels: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) → float32 (B, 3, S, S) in 0..255, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)


class ProposalHead(nn.Module):
    """Anchor-free proposals (as FCOS): cells regress log-distances to the box's sides."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = 128
        self.hidden = nn.Sequential(
            nn.Conv2d(dim, hidden, 3, padding=1, bias=False), nn.BatchNorm2d(hidden)
        )
        self.output = nn.Conv2d(hidden, 5, 1)
        nn.init.normal_(self.output.weight, std=0.01)
        few = torch.tensor([-3.0, 0, 0, 0, 0])  # few cells hold a thing's centre
        self.output.get_parameter("bias").data.copy_(few)

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, D, side, side) → boxes (B, C, 4), objectness logits (B, C).

        Boxes are xyxy in units of the photo's sides.
        """
        side = feature_map.shape[-1]
        output = self.output(F.relu(self.hidden(feature_map))).float().flatten(2)  # (B, 5, C)
        # exp keeps distances positive; the clamp keeps it finite, from 1/150 of a cell to 150
        # cells. Distances are (B, C, 4): left, top, right, bottom, in cells.
        distances = output[:, 1:].clamp(-5, 5).exp().transpose(1, 2)
        centres = cell_centres(side, feature_map.device)
        boxes = (
            torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1) / side
        )
        return boxes, output[:, 0]


def cell_centres(side: int, device: torch.device | str = "cpu") -> Tensor:
    """Centres of the cells, rows first, in cells.  # (C, 2) x, y"""
    steps = torch.arange(side, dtype=torch.float32, device=device) + 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def proposal_losses(boxes: Tensor, logits: Tensor, targets: list[np.ndarray]) -> dict[str, Tensor]:
    """Losses of the proposals: GIoU of cells near a box's centre, and IoU-aware objectness.

    Args:
        boxes: (B, C, 4) proposed, xyxy in 0..1.
        logits: (B, C) objectness; its target is the IoU of the cell's own proposal, 0 for cells
            without a box.
        targets: B arrays (n, 4) of true boxes.

    Returns:
        box: 1 - generalised IoU, mean over positive cells; objectness: binary cross-entropy in nats
            per positive cell.
    """
    side = int(boxes.shape[1] ** 0.5)
    # assigned: (B, C, 4), NaN where no box
    assigned = np.stack([assign_cells(true, side) for true in targets])
    target = torch.from_numpy(assigned).to(boxes.device)
    answering = ~target[..., 0].isnan()
    count = answering.sum().clamp(min=1)
    overlap, generalised = box_overlap(boxes[answering], target[answering])
    quality = torch.zeros_like(logits)
    # Objectness learns the IoU (as IoU-aware heads do), so that NMS keeps the best placed of
    # several boxes.
    quality[answering] = overlap.detach().clamp(0, 1)
    return {
        "box": (1 - generalised).sum() / count,
        "objectness": F.binary_cross_entropy_with_logits(logits, quality, reduction="sum") / count,
    }


def assign_cells(boxes: np.ndarray, side: int) -> np.ndarray:
    """The smallest box whose centre is near each cell, else NaN. # (n, 4) in 0..1 → (C, 4)"""
    centres = cell_centres(side).numpy() / side
    assigned = np.full((side * side, 4), np.nan, np.float32)
    extent = boxes[:, 2:] - boxes[:, :2]
    for i in np.argsort(-extent.prod(-1)):  # the smallest comes last and wins
        middle = (boxes[i, :2] + boxes[i, 2:]) / 2
        reach = np.maximum(extent[i] * CENTRE_SHARE, 0.5 / side)  # at least the nearest cell
        assigned[(np.abs(centres - middle) <= reach).all(-1)] = boxes[i]
    return assigned


def box_overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of boxes (n, 4) row by row (Rezatofighi et al., 2019)."""
    overlap = (
        (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2]))
        .clamp(min=0)
        .prod(-1)
    )
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1)
    union = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - overlap
    shared = overlap / union.clamp(min=1e-9)
    return shared, shared - (hull - union) / hull.clamp(min=1e-9)


def box_recall(
    boxes: Tensor, logits: Tensor, targets: list[np.ndarray], proposals: int = 20
) -> float:
    """Recall of true boxes at IoU 0.5 among each photo's best proposals.

    Args:
        boxes, logits, targets: as for `proposal_losses`.
        proposals: of each photo, those with the highest objectness.
    """
    boxes, logits = boxes.cpu(), logits.cpu()  # many small steps follow
    best = logits.topk(min(proposals, logits.shape[1]), dim=1).indices
    found = [
        iou(boxes[row, best[row]].numpy(), true).max(0)
        for row, true in enumerate(targets)
        if len(true)
    ]
    return float((np.concatenate(found) >= 0.5).mean()) if found else 0.0
