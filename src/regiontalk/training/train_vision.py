"""`regiontalk train vision`: distil the teachers into the vision network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from regiontalk.settings import Section, VisionSettings
from regiontalk.training.config import Count, NotNegative, Positive, Seed, identity
from regiontalk.training.devices import autocast, best_device
from regiontalk.training.distillation import Lesson, Student, measure_student, proposal_losses
from regiontalk.training.loop import Task, one_cycle, train
from regiontalk.training.optimisers import make_optimiser, parameter_groups
from regiontalk.training.staged_net import BORDERS, StagedNet, require_whole_cells
from regiontalk.training.teacher_store import TeacherStore, ViewBatch
from regiontalk.training.train_stages import read_stages
from regiontalk.training.vision_graph import TYPICAL_PHOTOS, WEIGHTS, read_vision, save_vision
from regiontalk.training.vision_net import VisionNet


@dataclass(frozen=True)
class VisionConfig(Section):
    """Settings of a vision run.

    Attributes:
        store: folder that the recipe's teach.py wrote.
        output: folder of the run.
        stages: folder of a finished run of `regiontalk train stages`, whose backbone this one begins with; None begins
            with random weights, which takes far longer.
        start: folder of a finished vision run to go on from, instead of both.
        dim: D, channels of the fused map.
        sizes: (pixels, epochs) pairs. The teacher was trained on photos of 224 pixels a side; smaller ones cost less.
        batch, learning_rate, weight_decay: of AdamW.
        weights: of the losses stages, map, pooled, classes, box, objectness.
        image_size: pixels a side of the photos that the finished network will see.
        proposals, nms_iou, min_objectness: how its proposals become regions, see `VisionSettings`.
        seed: of everything random.
        stop_after: stop at this step as a kill would; None for the whole run.
    """

    store: Path
    output: Path
    stages: Path | None = None
    start: Path | None = None
    dim: Count = 512
    sizes: tuple[tuple[int, int], ...] = ((224, 6),)
    batch: Count = 64
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.02
    weights: tuple[float, float, float, float, float, float] = (1.0, 1.0, 1.0, 0.25, 0.2, 0.2)
    image_size: int = 224
    proposals: int = 19
    nms_iou: float = 0.7
    min_objectness: float = 0.02
    seed: Seed = 0
    stop_after: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole_cells("image_size", self.image_size)
        for pixels, epochs in self.sizes:
            require_whole_cells("a size", pixels)
            if epochs < 1:
                raise ValueError(f"sizes: at least one epoch at each size, not {epochs}")
        if not self.sizes:
            raise ValueError("sizes: at least one pair of pixels and epochs")
        vision_settings(self, self.dim)  # what is wrong with them is told before training, not after it


def train_vision(config: VisionConfig) -> Path:
    """Train, or go on training; returns the file of the finished weights (`vision.safetensors`)."""
    torch.manual_seed(config.seed)
    device = best_device()
    store = TeacherStore(config.store)
    held_out, rows = store.held_out_and_others()
    schedule = Schedule(config, rows)
    network = first_network(config)
    student = Student(network, BORDERS[-1]).to(device)
    whole = store.batch(held_out, schedule.size(schedule.steps - 1), None)
    lesson = Lesson(store.teacher(), whole.pixels, device)

    def losses(batch: ViewBatch) -> dict[str, Tensor]:
        return vision_losses(student, lesson, batch, config.weights)

    def validate(rehearsal: bool) -> dict[str, float]:
        some = 2 if rehearsal else len(held_out)
        return measure_student(student, lesson, ViewBatch(whole.pixels[:some], whole.boxes[:some]))

    task = Task(
        network=student,
        optimiser=make_optimiser(
            "adamw", parameter_groups(student.parameters(), config.learning_rate, config.weight_decay)
        ),
        steps=schedule.steps,
        learning_rate=one_cycle(schedule.steps),
        batch=lambda step: store.batch(*schedule.batch(step)),
        losses=losses,
        validate=validate,
        validate_every=schedule.epoch_steps,
        clip=None,
        run=identity(config),
    )
    reached = train(task, config.output, config.stop_after)
    if reached == schedule.steps:
        typical = store.batch(rows[:TYPICAL_PHOTOS], config.image_size, None).pixels
        save_vision(config.output, network, vision_settings(config, network.backbone.dim), typical)
    return config.output / WEIGHTS


def first_network(config: VisionConfig) -> VisionNet:
    if config.start is not None:
        return read_vision(config.start)[0]
    backbone = StagedNet(config.dim)
    if config.stages is not None:
        backbone.stages.load_state_dict(read_stages(config.stages))
    return VisionNet(backbone)


def vision_settings(config: VisionConfig, dim: int) -> VisionSettings:
    return VisionSettings(
        size=config.image_size,
        side=config.image_size // StagedNet.stride,
        feature_dim=dim,
        proposals=config.proposals,
        nms_iou=config.nms_iou,
        min_objectness=config.min_objectness,
    )


def vision_losses(student: Student, lesson: Lesson, batch: ViewBatch, weights: tuple[float, ...]) -> dict[str, Tensor]:
    photos = lesson.photos(batch.pixels)
    maps = lesson.say(photos)
    with autocast(lesson.device):
        said, boxes, logits = student(photos)
    parts = lesson.losses(said, maps) | proposal_losses(boxes, logits, batch.boxes)
    weighted = [weight * part for weight, part in zip(weights, parts.values(), strict=True)]
    return {"loss": torch.stack(weighted).sum(), **parts}


class Schedule:
    """Which photos, at which size, make up each step: a function of the seed and the step alone."""

    def __init__(self, config: VisionConfig, rows: np.ndarray) -> None:
        self.rows, self.batch_size, self.seed = rows, min(config.batch, len(rows)), config.seed
        self.epoch_steps = len(rows) // self.batch_size
        self.epoch_sizes = [size for size, epochs in config.sizes for _ in range(epochs)]
        self.steps = self.epoch_steps * len(self.epoch_sizes)

    def size(self, step: int) -> int:
        return self.epoch_sizes[step // self.epoch_steps]

    def batch(self, step: int) -> tuple[np.ndarray, int, np.random.Generator]:
        """Rows, pixels a side, and the generator that chooses their views."""
        epoch, within = divmod(step, self.epoch_steps)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
        rows = order[within * self.batch_size : (within + 1) * self.batch_size]
        return rows, self.size(step), np.random.default_rng([self.seed, epoch, within])
