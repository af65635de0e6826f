"""`regiontalk teach`, first stage: the words network and the projection learn from stored regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from regiontalk.evaluation.retrieval.metric import retrieval
from regiontalk.settings import VisionSettings
from regiontalk.training.alignment_net import AlignmentNet
from regiontalk.training.batches import CaptionedPhotos
from regiontalk.training.dev_retrieval import named_numbers, score_pairs
from regiontalk.training.loop import SCHEDULES, Task, make_optimiser, parameter_groups
from regiontalk.training.losses import ranking_loss
from regiontalk.training.regions import CachedFeatures
from regiontalk.training.sentences import pad_ids
from regiontalk.training.taught_photos import StoredPhotos
from regiontalk.training.teach_measure import without_shared
from regiontalk.training.tuning import Choice, Goodness, tune

if TYPE_CHECKING:
    from regiontalk.training.teach import TeachConfig

CLIP, AVERAGING, SCHEDULE = 5.0, 0.9, "constant"
"""Of all stages: the gradient's bound; the share of the running mean, which is what is measured, that a step keeps."""
RECALLS = ("image_to_text_r1", "image_to_text_r5", "text_to_image_r1", "text_to_image_r5")


@dataclass(frozen=True)
class Batch:
    """K photos with a caption each: regions as the source loaded them, ids and mask (K, T), and numbers (K,) that are
    equal where captions are: no photo is wrong for a caption that it has as well."""

    regions: Any
    ids: Tensor
    mask: Tensor
    captions: Tensor


class AlignmentTeaching:
    """The parts of the stage.

    Args:
        config: of the teaching.
        net: the pack's alignment, standardised.
        taught, held_out: photos.
        score: the pack's kind of score.
        settings: of the pack's vision network.
        device: where it trains.
    """

    def __init__(
        self,
        config: TeachConfig,
        net: AlignmentNet,
        taught: StoredPhotos,
        held_out: StoredPhotos,
        score: str,
        settings: VisionSettings,
        device: str,
    ) -> None:
        self.config, self.net, self.score, self.settings, self.device = config, net.to(device), score, settings, device
        self.taught, self.held_out = taught.sentences, held_out.sentences
        self.sources = [CachedFeatures(each.store, device) for each in (taught, held_out)]
        self.order = CaptionedPhotos(self.taught, config.batch, 1, config.seed)
        texts = np.array([ids.tobytes() for ids in self.taught.ids], object)
        _, self.caption_number = np.unique(texts, return_inverse=True)

    def tune(self, folder: Path, run: str, known: int) -> float:
        """Learn, or take what was learnt before; the network has it then, on the CPU.

        Args:
            folder, run: of the stage.
            known: words that are not new.

        Returns:
            The share of what was learnt in the mix.
        """
        torch.manual_seed(self.config.seed)
        choice = Choice(recall_goodness, recall_goodness, self.config.patience, {"words.embedding": 0}, known)
        share = tune(self.task(run), folder, choice)
        self.net.cpu()
        return share

    def task(self, run: str) -> Task:
        config = self.config
        steps = self.order.epoch_steps * config.epochs
        return Task(
            network=self.net,
            optimiser=make_optimiser("adamw", parameter_groups(self.net.parameters(), config.learning_rate, 0.0)),
            steps=steps,
            learning_rate=SCHEDULES[SCHEDULE](steps),
            batch=self.batch,
            losses=self.losses,
            validate=self.validate,
            validate_every=self.order.epoch_steps,
            clip=CLIP,
            run=run,
            averaging=AVERAGING,
        )

    def batch(self, step: int) -> Batch:
        photos, rows = self.order.rows(step)
        ids, mask = pad_ids(self.taught.ids[row] for row in rows[0])
        regions = self.sources[0].load(photos, None, self.settings)
        return Batch(regions, ids, mask, torch.from_numpy(self.caption_number[rows[0]]))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        features, present = self.sources[0].features(batch.regions)
        ids, mask, captions = (each.to(self.device) for each in (batch.ids, batch.mask, batch.captions))
        regions = self.net.regions(features)
        return {"loss": ranking_loss(self.net, regions, present, (ids, mask), captions, self.score, "info_nce")}

    def validate(self, rehearsal: bool) -> dict[str, float]:
        """Recalls and ranks on the held-out photos, few enough to be rehearsed with."""
        scores, owners = score_pairs(self.net, self.sources[1], self.held_out, self.score, self.device, self.settings)
        captions = [ids.tobytes() for ids in self.held_out.ids]
        return named_numbers(retrieval(without_shared(scores, owners, captions), owners))


def recall_goodness(numbers: Mapping[str, float]) -> Goodness:
    """The mean of the recalls; where it is the same, the smaller mean ranks."""
    return fmean(numbers[name] for name in RECALLS), -numbers["image_to_text_mean_rank"] - numbers[
        "text_to_image_mean_rank"
    ]
