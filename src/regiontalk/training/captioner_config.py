"""Settings of `regiontalk train captioner`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from regiontalk.photos import MAX_PIXELS
from regiontalk.settings import HEADS, Section, whole
from regiontalk.training.config import (
    Count,
    NotNegative,
    Optimiser,
    Positive,
    Schedule,
    Seed,
    Share,
)


@dataclass(frozen=True)
class CaptionerConfig(Section):
    """Settings of a captioner run.

    Attributes:
        data: (path, passes) pairs: captioned photos with a train split, and passes over them per
            epoch, possibly fractional.
        dev: captioned photos with a dev split, on each of which captions are scored.
        about: "photo" learns whole captions, "region" the snippets that the alignment inferred.
        vision: folder of the finished run whose vision network the pack will hold.
        alignment: folder of a finished alignment run: its vocabulary, and for regions its vectors.
        regions: folder of the region stores of that vision network, created where missing.
        output: folder of the run.
        start: folder of a finished captioner run of the same sizes to start from; None for random
            weights.
        loss: "likelihood" of human captions, Eq. 15; "reward" is self-critical training on CIDEr-D
            (photos only).
        samples: captions sampled for each photo of a batch with loss = "reward", at least 2.
        cell: "rnn" is the paper's Eq. 14.
        hidden, embedding: H and d.
        attention: A, dimensions of the attention over a photo's regions (photos only); 0 for the
            paper's captioner.
        dropout: rate, everywhere but in the recurrence.
        photo_dropout: share of captions whose whole photo is masked, so that only its regions are
            seen.
        optimiser: the paper's is "rmsprop".
        learning_rate, weight_decay, batch, epochs, clip: clip bounds every element of the gradient.
            A batch is of captions, with loss = "reward" of photos.
        schedule, averaging: as for the alignment.
        longest: captions are truncated to this many words in training and sampling; truncated ones
            have no END target.
        beta, min_words: how captions are cut into snippets (regions only).
        boxes: file of box labels; None for none. With about = "region" they are learnt beside
            snippets; with attention they supervise it.
        boxes_share: passes over them per epoch (regions only).
        looking_weight: weight of the attention supervision, a loss at words that name a box.
        absent_weight: penalty in a caption's reward for each object that it names and that is
            neither among the photo's boxes nor in a human caption of it; CIDEr-D is a number in
            0..10.
        text: captions without photos, one a line, whose context is composed of boxes with the names
            that they hold; None for none.
        text_steps: pretraining steps on these alone.
        text_share: number of them added to every later batch, as a share of its captions.
        views: random views of each training photo whose features are stored beside its own (photos
            only).
        limit, max_pixels, seed, stop_after: as for the alignment.
    """

    data: tuple[tuple[Path, Positive], ...]
    dev: tuple[Path, ...]
    about: Literal["photo", "region"]
    vision: Path
    alignment: Path
    regions: Path
    output: Path
    start: Path | None = None
    loss: Literal["likelihood", "reward"] = "likelihood"
    samples: Count = 5
    cell: Literal["rnn", "gru", "lstm"] = "gru"
    hidden: Count = 512
    embedding: Count = 256
    attention: Annotated[int, whole(0, 16384)] = 0
    dropout: Share = 0.4
    photo_dropout: Share = 0.0
    optimiser: Optimiser = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    batch: Count = 100
    epochs: Count = 10
    clip: Positive = 5.0
    schedule: Schedule = "one_cycle"
    averaging: Share = 0.0
    longest: Count = 20
    beta: NotNegative = 1.0
    min_words: Count = 2
    boxes: Path | None = None
    boxes_share: Positive = 1.0
    looking_weight: NotNegative = 0.0
    absent_weight: NotNegative = 0.0
    text: Path | None = None
    text_steps: Annotated[int, whole(0, 10**9)] = 0
    text_share: Share = 0.0
    views: Annotated[int, whole(0, 100)] = 0
    limit: Count | None = None
    max_pixels: Count = MAX_PIXELS
    seed: Seed = 0
    stop_after: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data or not self.dev:
            raise ValueError("data and dev: at least one dataset each")
        if self.attention % HEADS:
            raise ValueError(
                f"attention: expected a multiple of {HEADS}, its number of heads, "
                f"found {self.attention}"
            )
        if self.attention and self.about != "photo":
            raise ValueError('attention needs about = "photo"')
        if self.views and self.about != "photo":
            raise ValueError('views needs about = "photo"')
        if self.loss == "reward" and (
            self.about != "photo" or self.start is None or self.samples < 2
        ):
            raise ValueError(
                'loss = "reward" needs about = "photo", samples of at least 2, '
                "and a run to start from"
            )
        for name in ("looking_weight", "text", "photo_dropout"):
            if getattr(self, name) and not self.attention:
                raise ValueError(f"{name} needs attention")
            if getattr(self, name) and self.loss == "reward":
                raise ValueError(f'{name} needs loss = "likelihood"')
        if self.absent_weight and self.loss != "reward":
            raise ValueError('absent_weight needs loss = "reward"')
        for name in ("looking_weight", "absent_weight", "text"):
            if getattr(self, name) and self.boxes is None:
                raise ValueError(f"{name} needs boxes")
        if self.text is None and (self.text_steps or self.text_share):
            raise ValueError("text_steps and text_share need text")
