"""Settings of `regiontalk train alignment`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from regiontalk.photos import MAX_PIXELS
from regiontalk.settings import Section, number, whole
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
class AlignmentConfig(Section):
    """Settings of an alignment run.

    Attributes:
        data: (path, passes) pairs: captioned photos with a train split, and passes over them per
            epoch, possibly fractional. Each batch is from one dataset.
        dev: captioned photos with a dev split; recalls are measured on each.
        vision: folder of a finished vision run.
        output: folder of the run.
        regions: folder of the region stores of that vision network, created where missing.
        start: folder of an alignment run to start from, whose vocabulary and sizes this run keeps;
            None for random weights.
        word_vectors: word2vec or GloVe text file that initialises the word embeddings; None for
            random ones.
        placed_vectors: word2vec or GloVe text file of any dimension, projected into the embedding
            space by a learnt matrix W_g, so that words absent from the captions are embedded too
            (without `start`); None for none.
        forget: share of the words with such a vector that are embedded by it alone in training.
        train_word_vectors: False freezes the word embeddings, as in the paper.
        min_count: words with fewer occurrences in training captions are unknown (without `start`).
        longest: captions are truncated to this many words.
        embedding, hidden, dim: d, H and h of Eq. 1 to 6 (without `start`).
        cell: of the words network (without `start`): "rnn" is the paper's, "gru" its gated kind.
        recurrent: False fixes W_f and W_b at zero, so that each word is encoded independently.
        dropout: rate, everywhere but in the recurrence.
        score: "max" is Eq. 8, "sum" is Eq. 7, "mean" is Eq. 8 divided by the number of words.
        loss: "margin" is Eq. 9, "hard_negative" Eq. 9 with the hardest negatives only, "info_nce"
            the cross-entropy of each positive among its negatives.
        optimiser, learning_rate, weight_decay, epochs, clip: clip bounds every element of the
            gradient.
        schedule: learning-rate schedule after linear warm-up: "one_cycle" decays to 0 along a half
            cosine, "constant" does not decay, "trapezoid" is constant and then decays linearly to
            0.
        averaging: decay of the weights' exponential moving average (EMA), which is evaluated and
            saved; 0 for the last weights.
        batch: photos in a batch.
        captions: captions per photo in a batch. They share one forward pass of the vision network,
            which pays where the backbone is fine-tuned, and are negatives of all other photos in
            the batch.
        vision_learning_rate: of the backbone; 0 freezes it and reads its features from a store.
        sizes: (pixels, epochs) pairs: progressive resizing while the backbone is fine-tuned, one
            photo size after the other instead of `epochs`; the last is the pack's. Empty keeps the
            vision run's size. Larger photos separate small objects better, and each forward pass
            takes longer.
        views: random views of each training photo whose features are stored beside its own, if the
            backbone is fixed: each step draws the photo or one of its views at random.
        smallest_view: smallest random crop, as a share of a photo's sides, while the backbone is
            fine-tuned.
        jitter: colour jitter: largest relative change of the brightness, contrast and colour of a
            view, likewise.
        word_dropout: share of the words that are replaced by UNKNOWN in training.
        boxes: file of box labels (`regiontalk.training.box_labels.read_box_labels`), learnt beside
            the captions; None for none. While the backbone is fine-tuned, its proposals are trained
            on these boxes and not on the regions that the run began with; with a fixed backbone,
            the boxes' features come from a store.
        named_photos: labelled photos in a batch, at most.
        naming_weight: weight of `naming_loss` beside the ranking loss.
        validate_epochs: epochs between evaluations on dev; each runs the networks on all its
            photos.
        limit: only the first photos of each split, for trials.
        max_pixels: of a photo, see `regiontalk.photos.open_photo`.
        seed: of everything random.
        stop_after: stop at this step as a kill would; None for the whole run.
    """

    data: tuple[tuple[Path, Positive], ...]
    dev: tuple[Path, ...]
    vision: Path
    output: Path
    regions: Path
    start: Path | None = None
    word_vectors: Path | None = None
    train_word_vectors: bool = True
    placed_vectors: Path | None = None
    forget: Share = 0.15
    min_count: Count = 5
    longest: Count = 24
    embedding: Count = 300
    hidden: Count = 512
    dim: Count = 512
    cell: Literal["rnn", "gru"] = "rnn"
    recurrent: bool = True
    dropout: Share = 0.3
    score: Literal["max", "sum", "mean"] = "max"
    loss: Literal["margin", "hard_negative", "info_nce"] = "info_nce"
    optimiser: Optimiser = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    batch: Count = 100
    captions: Count = 1
    epochs: Count = 8
    clip: Positive = 5.0
    schedule: Schedule = "one_cycle"
    averaging: Share = 0.0
    vision_learning_rate: NotNegative = 0.0
    sizes: tuple[tuple[int, int], ...] = ()
    views: Annotated[int, whole(0, 100)] = 0
    smallest_view: Annotated[float, number(0.1, 1)] = 0.75
    jitter: Share = 0.0
    word_dropout: Share = 0.0
    boxes: Path | None = None
    named_photos: Count = 32
    naming_weight: NotNegative = 0.5
    validate_epochs: Count = 1
    limit: Count | None = None
    max_pixels: Count = MAX_PIXELS
    seed: Seed = 0
    stop_after: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell != "rnn" and not self.recurrent:
            raise ValueError('recurrent = false needs cell = "rnn"')
        if self.start is not None and self.word_vectors is not None:
            raise ValueError(
                "word_vectors are for a run from random weights; leave out start or word_vectors"
            )
        if not self.data or not self.dev:
            raise ValueError("data and dev: at least one dataset each")
        for name in ("sizes", "smallest_view", "jitter"):
            if self.vision_learning_rate <= 0 and getattr(self, name) != getattr(type(self), name):
                raise ValueError(
                    f"{name} is for a backbone that is tuned: give a vision_learning_rate above 0"
                )
        if self.views and self.vision_learning_rate > 0:
            raise ValueError(
                "views are kept of a backbone that is fixed; "
                "leave out views or vision_learning_rate"
            )
        if any(epochs < 1 for _, epochs in self.sizes):
            raise ValueError("sizes: at least one epoch at each size")
