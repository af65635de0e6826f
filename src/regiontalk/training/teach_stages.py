"""Stages of `regiontalk teach`: tuning of the alignment, then of captioners, on stored regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from regiontalk.errors import DataError
from regiontalk.evaluation.retrieval.metric import retrieval
from regiontalk.language import Vocabulary
from regiontalk.settings import CaptionerSettings, PackSettings
from regiontalk.training.alignment_net import AlignmentNet
from regiontalk.training.batches import CaptionedPhotos, mixture
from regiontalk.training.caption_sources import Described, contexts_of
from regiontalk.training.captioner_config import CaptionerConfig
from regiontalk.training.captioner_data import CaptionerData, HeldOut, References
from regiontalk.training.captioner_net import folded_captioner
from regiontalk.training.config import Schedule
from regiontalk.training.loop import SCHEDULES, Task, best_device, make_optimiser, parameter_groups
from regiontalk.training.losses import named_numbers, ranking_loss, score_pairs
from regiontalk.training.regions import CachedFeatures
from regiontalk.training.sentences import PhraseEdges, Snippets, infer_snippets, pad_ids
from regiontalk.training.teach_photos import StoredPhotos, without_shared
from regiontalk.training.train_alignment import Batch
from regiontalk.training.train_captioner import STATISTICS, CaptionerRun
from regiontalk.training.tuning import (
    WORD_AXES,
    Choice,
    Goodness,
    captioner_network,
    standardise_captioner,
    tune,
)

if TYPE_CHECKING:
    from regiontalk.training.teach import TeachConfig

CLIP, AVERAGING = 5.0, 0.9
"""Of all stages: bound on each element of the gradient; decay of the EMA, which is evaluated."""
SCHEDULE: Schedule = "constant"
RECALLS = ("image_to_text_r1", "image_to_text_r5", "text_to_image_r1", "text_to_image_r5")
HELD_OUT = "held_out"
MIN_WORDS = 2
"""Least words of a phrase that the region captioner learns."""


class AlignmentTeaching:
    """The stage that tunes the pack's alignment `net`, which is standardised."""

    def __init__(
        self,
        config: TeachConfig,
        net: AlignmentNet,
        taught: StoredPhotos,
        held_out: StoredPhotos,
        settings: PackSettings,
    ) -> None:
        self.config, self.device = config, best_device()
        self.net, self.score, self.vision = (
            net.to(self.device),
            settings.alignment.score,
            settings.vision,
        )
        self.taught, self.held_out = taught.sentences, held_out.sentences
        self.sources = [CachedFeatures(each.store, self.device) for each in (taught, held_out)]
        self.order = CaptionedPhotos(self.taught, config.batch, 1, config.seed)
        texts = np.array([ids.tobytes() for ids in self.taught.ids], object)
        _, self.caption_number = np.unique(texts, return_inverse=True)

    def tune(self, folder: Path, run: str, known: int) -> float:
        """Tune the network, or load the outcome of an earlier call; it is on the CPU then.

        All words after the first `known` are new. Returns the share of the tuned weights in the
        mean.
        """
        torch.manual_seed(self.config.seed)
        choice = Choice(
            recall_goodness, recall_goodness, self.config.patience, {"words.embedding": 0}, known
        )
        share = tune(self.task(run), folder, choice)
        self.net.cpu()
        return share

    def task(self, run: str) -> Task:
        config = self.config
        steps = self.order.epoch_steps * config.epochs
        return Task(
            network=self.net,
            optimiser=make_optimiser(
                "adamw", parameter_groups(self.net.parameters(), config.learning_rate, 0.0)
            ),
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
        regions = self.sources[0].load(photos, None, self.vision)
        # By text: no photo is a negative of a caption that it has as well
        alike = torch.from_numpy(self.caption_number[rows[0]])
        return Batch(regions, 0, ids, mask, alike, None)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        features, present = self.sources[0].features(batch.regions)
        ids, mask, alike = (each.to(self.device) for each in (batch.ids, batch.mask, batch.photos))
        regions = self.net.regions(features)
        return {
            "loss": ranking_loss(
                self.net, regions, present, (ids, mask), alike, self.score, "info_nce"
            )
        }

    def validate(self, rehearsal: bool) -> dict[str, float]:
        """Recalls and ranks on the held-out photos, few enough for the rehearsal too."""
        scores, photo_of = score_pairs(
            self.net, self.sources[1], self.held_out, self.score, self.device, self.vision
        )
        captions = [ids.tobytes() for ids in self.held_out.ids]
        return named_numbers(retrieval(without_shared(scores, photo_of, captions), photo_of))


@dataclass(frozen=True)
class Lesson:
    """Training and held-out data of a captioner.

    Attributes:
        about: "photo" or "region".
        photos, texts: to train on, and held out.
        vocabulary: V words, the new ones included.
        known: number of words that are not new.
    """

    about: str
    photos: tuple[StoredPhotos, StoredPhotos]
    texts: tuple[Snippets, Snippets]
    vocabulary: Vocabulary
    known: int

    def data(self, attention: bool, seed: int) -> CaptionerData:
        """The data in the form of a captioner run, with or without attention."""
        taught, held_out = (
            Described(texts, [photos.store], self.about, attention)
            for texts, photos in zip(self.texts, self.photos, strict=True)
        )
        return CaptionerData(
            vocabulary=self.vocabulary,
            names=None,
            sources=(taught,),
            rows=mixture([len(taught.ids)], [1.0], seed),
            text=None,
            references=References([], (), np.zeros(1, np.int64)),
            dev=(HeldOut(HELD_OUT, held_out, self.photos[1].words),),
        )


def region_texts(
    net: AlignmentNet,
    photos: tuple[StoredPhotos, StoredPhotos],
    vocabulary: Vocabulary,
    beta: float,
) -> tuple[Snippets, Snippets] | None:
    """Snippets about regions that the alignment infers from the captions of both splits.

    Returns:
        Those of taught and held-out photos; None where either has no phrase of `MIN_WORDS` words.
    """
    edges = PhraseEdges.of(photos[0].sentences.ids, vocabulary)
    try:
        taught, held_out = (
            infer_snippets(net, each.store, each.sentences, edges, beta, MIN_WORDS)
            for each in photos
        )
    except DataError:
        return None
    return taught, held_out


def teach_captioner(
    config: TeachConfig,
    lesson: Lesson,
    tensors: Mapping[str, np.ndarray],
    settings: CaptionerSettings,
    folder: Path,
    run: str,
) -> tuple[dict[str, np.ndarray], float]:
    """Tune a captioner of a pack, or load the outcome of an earlier call.

    Args:
        tensors, settings: the captioner's, with rows for the new words.

    Returns:
        Its tensors as a pack holds them, and the share of the tuned weights in the mean.
    """
    torch.manual_seed(config.seed)
    data = lesson.data(settings.attention > 0, config.seed)
    (taught,) = data.sources
    network = captioner_network(tensors, settings.cell, config.dropout)
    some = range(0, len(taught.ids), max(1, len(taught.ids) // STATISTICS))
    standardise_captioner(network, contexts_of([taught.glance(row, None) for row in some]))
    captioner = CaptionerRun(
        run_config(config, lesson.about, settings, folder), best_device(), data, network
    )
    choice = Choice(
        step=loss_goodness,
        share=cider_goodness if lesson.about == "photo" else loss_goodness,
        patience=config.patience,
        words={name: axis for name, axis in WORD_AXES.items() if name in tensors},
        known=lesson.known,
    )
    share = tune(replace(captioner.task(), run=run), folder, choice)
    return folded_captioner(network.state_dict()), share


def run_config(
    config: TeachConfig, about: str, settings: CaptionerSettings, folder: Path
) -> CaptionerConfig:
    """Settings of a captioner run whose data and first weights do not come from files."""
    return CaptionerConfig(
        data=((config.data, 1.0),),
        dev=(config.data,),
        about=about,  # type: ignore[arg-type]
        vision=folder,
        alignment=folder,
        regions=folder,
        output=folder,
        cell=settings.cell,  # type: ignore[arg-type]
        hidden=settings.hidden,
        embedding=settings.embedding,
        attention=settings.attention,
        dropout=config.dropout,
        learning_rate=config.learning_rate,
        weight_decay=0.0,
        batch=config.batch,
        epochs=config.epochs,
        clip=CLIP,
        schedule=SCHEDULE,
        averaging=AVERAGING,
        longest=settings.max_words,
        seed=config.seed,
    )


def recall_goodness(numbers: Mapping[str, float]) -> Goodness:
    """The mean of the recalls; ties are broken by the smaller mean ranks."""
    return fmean(numbers[name] for name in RECALLS), -numbers["image_to_text_mean_rank"] - numbers[
        "text_to_image_mean_rank"
    ]


def loss_goodness(numbers: Mapping[str, float]) -> Goodness:
    """The smaller loss."""
    return (-numbers[f"{HELD_OUT}_loss"],)


def cider_goodness(numbers: Mapping[str, float]) -> Goodness:
    """CIDEr of generated captions; ties are broken by the smaller loss."""
    return numbers[f"{HELD_OUT}_cider"], -numbers[f"{HELD_OUT}_loss"]
