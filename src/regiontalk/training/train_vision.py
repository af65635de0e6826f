"""`regiontalk train vision`: a feature map from a pretrained backbone, and box proposals on it.

The map is supervised by class names, through a linear layer that classifies its regions and is
dropped afterwards; the alignment learns names, and all other words, from sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from regiontalk.errors import DataError
from regiontalk.language import tokenise
from regiontalk.photos import MAX_PIXELS
from regiontalk.settings import Section, VisionSettings, number
from regiontalk.training.backbones import open_backbone, require_whole_cells
from regiontalk.training.box_labels import (
    BoxLabels,
    NamedBatch,
    NamedPhotos,
    class_names,
    read_box_labels,
)
from regiontalk.training.config import Count, NotNegative, Positive, Seed, identity
from regiontalk.training.loop import (
    Task,
    best_device,
    make_optimiser,
    one_cycle,
    parameter_groups,
    train,
)
from regiontalk.training.losses import naming_loss
from regiontalk.training.regions import freeze_normalisation, read_map
from regiontalk.training.vision_graph import WEIGHTS, prepared, save_vision
from regiontalk.training.vision_net import VisionNet, box_recall

HELD_OUT, DEV_BATCHES = 256, 8
"""Photos held out for evaluation, and how many batches of them are evaluated."""


@dataclass(frozen=True)
class VisionConfig(Section):
    """Settings of a vision run.

    Attributes:
        backbone: see `regiontalk.training.backbones`.
        boxes: file of box labels, see `regiontalk.training.box_labels.read_box_labels`.
        output: folder of the run.
        dim: D, channels of the map, for backbones whose width is free to choose.
        image_size: pixels a side of the photos, in training and for the finished network.
        epochs, batch, learning_rate, weight_decay: of AdamW, for new weights: map, proposals and
            name classifier.
        backbone_learning_rate: of the pretrained weights; 0 freezes them.
        jitter: colour jitter: largest relative change of brightness, contrast and colour of a view.
        proposals, nms_iou, min_objectness: how the finished network's proposals become regions, see
            `VisionSettings`.
        max_pixels: of a photo, see `regiontalk.photos.open_photo`.
        seed: of everything random.
        stop_after: stop at this step as a kill would; None for the whole run.
    """

    backbone: str
    boxes: Path
    output: Path
    dim: Count = 512
    image_size: Count = 224
    epochs: Count = 4
    batch: Count = 48
    learning_rate: Positive = 1e-3
    backbone_learning_rate: NotNegative = 1e-4
    weight_decay: NotNegative = 0.02
    jitter: Annotated[float, number(0, 1)] = 0.0
    proposals: int = 19
    nms_iou: float = 0.7
    min_objectness: float = 0.02
    max_pixels: Count = MAX_PIXELS
    seed: Seed = 0
    stop_after: int | None = None


def train_vision(config: VisionConfig) -> Path:
    """Train or resume; returns the file of the finished weights (`vision.safetensors`)."""
    torch.manual_seed(config.seed)
    device = best_device()
    network = VisionNet(open_backbone(config.backbone, config.dim))
    require_whole_cells("image_size", config.image_size, network.backbone)
    settings = vision_settings(config, network)
    held_out, labels = split_photos(read_box_labels(config.boxes))
    names = class_names(
        labels, frozenset(word for name in labels.counts for word in tokenise(name))
    )
    photos = NamedPhotos(labels, names, config.batch, config.seed, config.jitter, config.max_pixels)
    measured = NamedPhotos(held_out, names, config.batch, config.seed, max_pixels=config.max_pixels)
    # Class names supervise the features through a linear readout, which is dropped: the pack keeps
    # map and proposals.
    readout = nn.Linear(settings.feature_dim, len(photos.names))
    whole = nn.ModuleDict({"vision": network, "names": readout}).to(device)

    def losses(batch: NamedBatch) -> dict[str, Tensor]:
        freeze_normalisation(network.backbone)  # type: ignore[arg-type]
        feature_map = network.see(batch.pixels, device)
        scores = readout(read_map(feature_map, torch.from_numpy(batch.weights).to(device)))
        present, overlap = (
            torch.from_numpy(each).to(device) for each in (batch.mask, batch.overlap)
        )
        parts = {
            "naming": naming_loss(scores, present, overlap),
            **network.box_losses(feature_map, batch.boxes),
        }
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def score(batch: NamedBatch) -> dict[str, float]:
        found = {name: float(value) for name, value in losses(batch).items()}
        boxes, logits = network.proposals(network.see(batch.pixels, device).float())
        return found | {"box_recall": 100 * box_recall(boxes, logits, batch.boxes)}

    def validate(rehearsal: bool) -> dict[str, float]:
        scores = [
            score(measured.batch(step, settings)) for step in range(1 if rehearsal else DEV_BATCHES)
        ]
        return {name: float(np.mean([each[name] for each in scores])) for name in scores[0]}

    steps_of_epoch = max(1, len(labels) // config.batch)
    task = Task(
        network=whole,
        optimiser=make_optimiser("adamw", parameters(network, readout, config)),
        steps=steps_of_epoch * config.epochs,
        learning_rate=one_cycle(steps_of_epoch * config.epochs),
        batch=lambda step: photos.batch(step, settings),
        losses=losses,
        validate=validate,
        validate_every=steps_of_epoch,
        clip=None,
        run=identity(config),
    )
    reached = train(task, config.output, config.stop_after)
    if reached == task.steps:
        typical = prepared(labels.photos, config.image_size, config.max_pixels)
        save_vision(config.output, network, settings, typical)
    return config.output / WEIGHTS


def split_photos(labels: BoxLabels) -> tuple[BoxLabels, BoxLabels]:
    """Split off the held-out photos, the same for every seed: held-out and training photos.

    Raises:
        DataError: if there are none to train on.
    """
    if len(labels) <= HELD_OUT:
        raise DataError(
            f"{labels.file}: {len(labels)} photos, of which {HELD_OUT} are held out; give it more"
        )
    order = np.random.default_rng(0).permutation(len(labels))
    return labels.some(order[:HELD_OUT]), labels.some(order[HELD_OUT:])


def parameters(
    network: VisionNet, readout: nn.Module, config: VisionConfig
) -> list[dict[str, Any]]:
    """Optimiser groups at two rates: pretrained weights need smaller steps than new ones."""
    pretrained = network.backbone.pretrained
    if config.backbone_learning_rate == 0:
        pretrained.requires_grad_(False)
    old = {id(each) for each in pretrained.parameters()}
    new = [each for each in (*network.parameters(), *readout.parameters()) if id(each) not in old]
    groups = parameter_groups(new, config.learning_rate, config.weight_decay)
    return groups + parameter_groups(
        pretrained.parameters(), config.backbone_learning_rate, config.weight_decay
    )


def vision_settings(config: VisionConfig, network: VisionNet) -> VisionSettings:
    return VisionSettings(
        size=config.image_size,
        side=config.image_size // network.backbone.stride,
        feature_dim=network.backbone.dim,
        proposals=config.proposals,
        nms_iou=config.nms_iou,
        min_objectness=config.min_objectness,
    )
