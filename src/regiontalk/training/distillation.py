"""Losses of the vision network: what the teachers know, and where things are."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.training.devices import autocast
from regiontalk.training.teacher_store import TeacherStore, ViewBatch
from regiontalk.training.vision_net import VisionNet, cell_centres, scale_pixels

CENTRE_SHARE = 0.25
"""A cell answers for a box when it lies within this share of the box's sides around the box's centre."""


class Student(nn.Module):
    """The vision network with a layer that speaks the teacher's language; that layer is dropped after training.

    Features are compared after each teacher channel was centred and scaled: raw ones share so large a mean that their
    cosine says little about the photo.

    Args:
        network: the vision network.
        store: gives the teacher's last layer and channel statistics.
        rows: photos for the statistics.
    """

    mean: Tensor
    deviation: Tensor
    classifier_weight: Tensor
    classifier_bias: Tensor

    def __init__(self, network: VisionNet, store: TeacherStore, rows: np.ndarray) -> None:
        super().__init__()
        mean, deviation = store.channel_statistics(rows)
        self.network = network
        self.translate = nn.Conv2d(network.backbone.dim, len(mean), 1)
        self.map_scale = store.map_scale
        for name, values in (
            ("mean", mean),
            ("deviation", deviation),
            ("classifier_weight", store.classifier_weight),
            ("classifier_bias", store.classifier_bias),
        ):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels (B, S, S, 3) → the teacher's map as the student sees it (B, side, side, channels), centred and scaled;
        proposal boxes (B, C, 4) and objectness logits (B, C)."""
        feature_map = self.network.backbone(scale_pixels(pixels))
        spoken = self.translate(F.avg_pool2d(feature_map, 2)).float().permute(0, 2, 3, 1)
        return spoken, *self.network.proposals(feature_map)

    def teacher_maps(self, maps: np.ndarray) -> Tensor:
        """The store's uint8 maps, centred and scaled.  # (B, 7, 7, channels)"""
        return (torch.from_numpy(maps).to(self.mean.device).float() * self.map_scale - self.mean) / self.deviation

    def class_scores(self, pooled: Tensor) -> Tensor:
        """The teacher's log-probabilities of its classes for pooled, centred and scaled features."""
        features = pooled * self.deviation + self.mean
        return (features @ self.classifier_weight.T + self.classifier_bias).log_softmax(-1)


def resize_map(feature_map: Tensor, side: int) -> Tensor:
    """(B, s, s, n) → (B, side, side, n), averaging areas."""
    if feature_map.shape[1] == side:
        return feature_map
    return F.adaptive_avg_pool2d(feature_map.permute(0, 3, 1, 2), side).permute(0, 2, 3, 1)


def distillation_losses(student: Student, spoken: Tensor, maps: np.ndarray) -> dict[str, Tensor]:
    """How far the student's map is from the teacher's.

    Returns:
        map, pooled: 1 - cosine, of each cell and of the average cell; classes: Kullback-Leibler divergence in nats
        between the classes that the teacher's last layer reads from both.
    """
    target = student.teacher_maps(maps)
    pooled, pooled_target = spoken.mean((1, 2)), target.mean((1, 2))
    target_classes = student.class_scores(pooled_target)
    classes = F.kl_div(student.class_scores(pooled), target_classes, reduction="batchmean", log_target=True)
    cells = F.cosine_similarity(spoken, resize_map(target, spoken.shape[1]), dim=-1)
    return {
        "map": 1 - cells.mean(),
        "pooled": 1 - F.cosine_similarity(pooled, pooled_target, dim=-1).mean(),
        "classes": classes,
    }


def proposal_losses(boxes: Tensor, logits: Tensor, targets: list[np.ndarray]) -> dict[str, Tensor]:
    """Teach each cell near a box's centre to draw that box, and how well it does so.

    Args:
        boxes: (B, C, 4) proposed, xyxy in 0..1.
        logits: (B, C) objectness; its target is the IoU of the cell's own proposal, 0 for cells without a box.
        targets: B arrays (n, 4) of true boxes.

    Returns:
        box: 1 - generalised IoU over the answering cells; objectness: binary cross-entropy in nats per true cell.
    """
    side = int(boxes.shape[1] ** 0.5)
    assigned = np.stack([assign_cells(true, side) for true in targets])  # (B, C, 4), NaN where no box
    target = torch.from_numpy(assigned).to(boxes.device)
    answering = ~target[..., 0].isnan()
    count = answering.sum().clamp(min=1)
    overlap, generalised = box_overlap(boxes[answering], target[answering])
    quality = torch.zeros_like(logits)
    quality[answering] = overlap.detach().clamp(0, 1)
    return {
        "box": (1 - generalised).sum() / count,
        "objectness": F.binary_cross_entropy_with_logits(logits, quality, reduction="sum") / count,
    }


def assign_cells(boxes: np.ndarray, side: int) -> np.ndarray:
    """For every cell the smallest box whose centre is near, NaN for none.  # (n, 4) in 0..1 → (C, 4)"""
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
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(-1)
    union = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - overlap
    iou = overlap / union.clamp(min=1e-9)
    return iou, iou - (hull - union) / hull.clamp(min=1e-9)


@torch.no_grad()
def measure_student(student: Student, batch: ViewBatch, device: str) -> dict[str, float]:
    """Held-out numbers on whole photos.

    Returns:
        losses as in training; own_photo: share of photos (in percent) whose pooled features are closer to their own
        teacher's than to any other photo's; box_recall: share of true boxes (in percent) that some proposal of the
        20 best by objectness overlaps by at least 0.5.
    """
    with autocast(device):
        spoken, boxes, logits = student(torch.from_numpy(batch.pixels).to(device))
    losses = distillation_losses(student, spoken, batch.maps) | proposal_losses(boxes, logits, batch.boxes)
    pooled = F.normalize(spoken.mean((1, 2)), dim=-1)
    target = F.normalize(student.teacher_maps(batch.maps).mean((1, 2)), dim=-1)
    own = (pooled @ target.T).argmax(1) == torch.arange(len(pooled), device=pooled.device)
    return {
        **{name: float(value) for name, value in losses.items()},
        "own_photo": 100 * float(own.float().mean()),
        "box_recall": 100 * box_recall(boxes, logits, batch.boxes),
    }


def box_recall(boxes: Tensor, logits: Tensor, targets: list[np.ndarray], proposals: int = 20) -> float:
    best = logits.topk(min(proposals, logits.shape[1]), dim=1).indices
    found = total = 0
    for row, true in enumerate(targets):
        if len(true):
            pairs = [(p, t) for p in boxes[row, best[row]] for t in torch.from_numpy(true).to(boxes)]
            iou = box_overlap(torch.stack([p for p, _ in pairs]), torch.stack([t for _, t in pairs]))[0]
            found += int((iou.view(-1, len(true)).amax(0) >= 0.5).sum())
            total += len(true)
    return found / max(total, 1)
