"""Losses of the vision network: what the teachers know, and where things are."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.training.devices import autocast
from regiontalk.training.teacher_net import TeacherNet
from regiontalk.training.teacher_store import ViewBatch
from regiontalk.training.vision_net import VisionNet, cell_centres, scale_pixels

CENTRE_SHARE = 0.25
"""A cell answers for a box when it lies within this share of the box's sides around the box's centre."""


class Student(nn.Module):
    """The vision network with a layer that speaks the teacher's language; that layer is dropped after training.

    Args:
        network: the vision network.
        channels: of the teacher's last map.
    """

    def __init__(self, network: VisionNet, channels: int) -> None:
        super().__init__()
        self.network = network
        self.translate = nn.Conv2d(network.backbone.dim, channels, 1)

    def forward(self, photos: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Photos (B, 3, S, S) in -1..1 → what the backbone's stages pass on and, last, the fused map as the teacher
        would say it, (B, channels, side, side) each; proposal boxes (B, C, 4) and objectness logits (B, C)."""
        backbone = self.network.backbone
        stages = list(backbone.chain(photos))
        feature_map = backbone.fuse(stages)
        return [*stages, self.translate(F.avg_pool2d(feature_map, 2))], *self.network.proposals(feature_map)


class Lesson:
    """What the teacher says, and how far a student is from it.

    Maps are compared after each of the teacher's channels was centred and scaled: raw ones share so large a mean that
    their cosine says little about the photo.

    Args:
        teacher: the teacher, on the device that it shall run on.
        pixels: (B, S, S, 3) uint8, typical photos, from which the means and deviations are taken.
        device: of the teacher.
    """

    def __init__(self, teacher: TeacherNet, pixels: np.ndarray, device: str) -> None:
        self.teacher, self.device = teacher.to(device), device
        maps = self.say(self.photos(pixels))
        self.means = [each.mean((0, 2, 3), keepdim=True) for each in maps]
        self.deviations = [each.std((0, 2, 3), keepdim=True) + 1e-3 for each in maps]

    def photos(self, pixels: np.ndarray) -> Tensor:
        """As both networks take them.  # (B, 3, S, S)"""
        return scale_pixels(torch.from_numpy(pixels).to(self.device))

    def say(self, photos: Tensor) -> list[Tensor]:
        """What each of the teacher's stages passes on, float32."""
        with autocast(self.device):
            return [each.float() for each in self.teacher.chain(photos)]

    def standard(self, stage_map: Tensor, stage: int) -> Tensor:
        """A stage's map, centred and scaled by the teacher's channels."""
        return (stage_map.float() - self.means[stage]) / self.deviations[stage]

    def unexplained(self, stage: int, output: Tensor, target: Tensor) -> Tensor:
        """What a stage's output leaves of the teacher's variance, as a share of it."""
        return ((output.float() - target) / self.deviations[stage]).square().mean()

    def pooled_cosine(self, output: Tensor, target: Tensor) -> Tensor:
        """Of two last maps (B, channels, side, side), each averaged over its cells.  # (B,)"""
        a, b = (self.standard(each, -1).mean((2, 3)) for each in (output, target))
        return F.cosine_similarity(a, b)

    def losses(self, said: list[Tensor], maps: list[Tensor]) -> dict[str, Tensor]:
        """How far the student is from the teacher.

        Args:
            said: what the student's stages pass on, and the teacher's last map as it reads it from its fused one.
            maps: what the teacher's stages pass on for the same photos.

        Returns:
            stages: `unexplained`, the mean of all stages; map, pooled: 1 - cosine of the last maps, of each cell and of
            the average cell; classes: Kullback-Leibler divergence in nats between the classes that the teacher's last
            layer reads from both.
        """
        *stages, spoken = said
        shares = [self.unexplained(k, own, target) for k, (own, target) in enumerate(zip(stages, maps, strict=True))]
        own, target = spoken.float(), self.standard(maps[-1], -1)
        back = own.mean((2, 3)) * self.deviations[-1].flatten() + self.means[-1].flatten()
        classes, true_classes = (self.teacher.class_scores(each) for each in (back, maps[-1].mean((2, 3))))
        return {
            "stages": torch.stack(shares).mean(),
            "map": 1 - F.cosine_similarity(own, target, dim=1).mean(),
            "pooled": 1 - F.cosine_similarity(own.mean((2, 3)), target.mean((2, 3))).mean(),
            "classes": F.kl_div(classes, true_classes, reduction="batchmean", log_target=True),
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
def measure_student(student: Student, lesson: Lesson, batch: ViewBatch) -> dict[str, float]:
    """Held-out numbers on whole photos.

    Returns:
        losses as in training; own_photo: share of photos (in percent) whose pooled features are closer to their own
        teacher's than to any other photo's; box_recall: share of true boxes (in percent) that some proposal of the
        20 best by objectness overlaps by at least 0.5.
    """
    photos = lesson.photos(batch.pixels)
    maps = lesson.say(photos)
    with autocast(lesson.device):
        said, boxes, logits = student(photos)
    losses = lesson.losses(said, maps) | proposal_losses(boxes, logits, batch.boxes)
    pooled = F.normalize(said[-1].float().mean((2, 3)), dim=-1)
    target = F.normalize(lesson.standard(maps[-1], -1).mean((2, 3)), dim=-1)
    own = (pooled @ target.T).argmax(1) == torch.arange(len(pooled), device=pooled.device)
    return {
        **{name: float(value) for name, value in losses.items()},
        "own_photo": 100 * float(own.float().mean()),
        "box_recall": 100 * box_recall(boxes, logits, batch.boxes),
    }


def box_recall(boxes: Tensor, logits: Tensor, targets: list[np.ndarray], proposals: int = 20) -> float:
    boxes, logits = boxes.cpu(), logits.cpu()  # many small steps follow
    best = logits.topk(min(proposals, logits.shape[1]), dim=1).indices
    found = total = 0
    for row, true in enumerate(targets):
        if len(true):
            pairs = [(p, t) for p in boxes[row, best[row]] for t in torch.from_numpy(true).to(boxes)]
            iou = box_overlap(torch.stack([p for p, _ in pairs]), torch.stack([t for _, t in pairs]))[0]
            found += int((iou.view(-1, len(true)).amax(0) >= 0.5).sum())
            total += len(true)
    return found / max(total, 1)
