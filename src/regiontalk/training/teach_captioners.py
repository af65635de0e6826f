"""`regiontalk teach`, second and third stage: the captioners of photos and of regions learn from stored regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from regiontalk.errors import DataError
from regiontalk.language import Vocabulary
from regiontalk.settings import CaptionerSettings
from regiontalk.training.alignment_net import AlignmentNet
from regiontalk.training.batches import mixture
from regiontalk.training.caption_sources import Described, contexts_of
from regiontalk.training.captioner_data import CaptionerData, HeldOut, References
from regiontalk.training.captioner_net import folded_captioner
from regiontalk.training.loop import best_device
from regiontalk.training.new_words import WORD_AXES
from regiontalk.training.pack_networks import captioner_network, standardise_captioner
from regiontalk.training.sentences import PhraseEdges, Snippets, infer_snippets
from regiontalk.training.taught_photos import StoredPhotos
from regiontalk.training.teach_alignment import AVERAGING, CLIP, SCHEDULE
from regiontalk.training.train_captioner import STATISTICS, CaptionerConfig, CaptionerRun
from regiontalk.training.tuning import Choice, Goodness, tune

if TYPE_CHECKING:
    from regiontalk.training.teach import TeachConfig

HELD_OUT = "held_out"
MIN_WORDS = 2
"""Of a phrase that the region captioner learns."""


@dataclass(frozen=True)
class Lesson:
    """What a captioner learns from.

    Attributes:
        about: "photo" or "region".
        photos, texts: taught and held out.
        vocabulary: V words, the new ones included.
        known: how many of them are not new.
    """

    about: str
    photos: tuple[StoredPhotos, StoredPhotos]
    texts: tuple[Snippets, Snippets]
    vocabulary: Vocabulary
    known: int

    def data(self, attention: bool, seed: int) -> CaptionerData:
        """The same for a run of a captioner, which attends to regions or does not."""
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
    net: AlignmentNet, photos: tuple[StoredPhotos, StoredPhotos], vocabulary: Vocabulary, beta: float
) -> tuple[Snippets, Snippets] | None:
    """What the alignment makes of the captions of taught and of held-out photos: phrases about regions.

    Returns:
        Both; None where the captions of either have no phrase of `MIN_WORDS` words.
    """
    edges = PhraseEdges.of(photos[0].sentences.ids, vocabulary)
    try:
        taught, held_out = (infer_snippets(net, each.store, each.sentences, edges, beta, MIN_WORDS) for each in photos)
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
    """Teach a captioner of a pack, or take what it was taught before.

    Args:
        config: of the teaching.
        lesson: what it learns from.
        tensors, settings: the captioner's, with room for the new words.
        folder, run: of the stage.

    Returns:
        Its tensors as a pack holds them, and the share of what was learnt in the mix.
    """
    torch.manual_seed(config.seed)
    data = lesson.data(settings.attention > 0, config.seed)
    (taught,) = data.sources
    network = captioner_network(tensors, settings.cell, config.dropout)
    some = range(0, len(taught.ids), max(1, len(taught.ids) // STATISTICS))
    standardise_captioner(network, contexts_of([taught.glance(row, None) for row in some]))
    captioner = CaptionerRun(run_config(config, lesson.about, settings, folder), best_device(), data, network)
    choice = Choice(
        step=loss_goodness,
        share=cider_goodness if lesson.about == "photo" else loss_goodness,
        patience=config.patience,
        words={name: axis for name, axis in WORD_AXES.items() if name in tensors},
        known=lesson.known,
    )
    share = tune(replace(captioner.task(), run=run), folder, choice)
    return folded_captioner(network.state_dict()), share


def run_config(config: TeachConfig, about: str, settings: CaptionerSettings, folder: Path) -> CaptionerConfig:
    """The settings of a captioner's run whose data and first weights come from elsewhere than from files."""
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
        schedule=SCHEDULE,  # type: ignore[arg-type]
        averaging=AVERAGING,
        longest=settings.max_words,
        seed=config.seed,
    )


def loss_goodness(numbers: Mapping[str, float]) -> Goodness:
    """The smaller loss."""
    return (-numbers[f"{HELD_OUT}_loss"],)


def cider_goodness(numbers: Mapping[str, float]) -> Goodness:
    """CIDEr of what is written; where it is the same, the smaller loss."""
    return numbers[f"{HELD_OUT}_cider"], -numbers[f"{HELD_OUT}_loss"]
