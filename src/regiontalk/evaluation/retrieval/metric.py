"""Retrieval metrics, image to text and text to image.

Recall at k, median and mean rank, bootstrap intervals. Axis names: N photos, L sentences, F folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np

from regiontalk.errors import ConfigError
from regiontalk.evaluation.results import (
    Progress,
    Reporting,
    draw,
    interval,
    interval_words,
    printed,
)
from regiontalk.evaluation.retrieval.ranks import MatrixScores, Ranks, Scores, rank
from regiontalk.evaluation.signature import TIES

WAYS = ("image_to_text", "text_to_image")

Fold: TypeAlias = tuple[slice, np.ndarray, np.ndarray]
"""Its photos, its sentences, and the photo of each of these, counted within the fold."""


@dataclass(frozen=True, slots=True)
class WayScores:
    """Recalls and ranks of one direction.

    Attributes:
        r1, r5, r10: recall at 1, 5 and 10, in percent.
        median_rank: the plain median of the ranks, from 1; halves are possible.
        mean_rank: from 1.
    """

    r1: float
    r5: float
    r10: float
    median_rank: float
    mean_rank: float


NAMES = tuple(each.name for each in fields(WayScores))


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """Recalls and ranks of both directions."""

    image_to_text: WayScores
    text_to_image: WayScores

    @property
    def rsum(self) -> float:
        """The sum of the six recalls, 0..600: one number to compare systems by."""
        ways = (self.image_to_text, self.text_to_image)
        return sum(recall for way in ways for recall in (way.r1, way.r5, way.r10))


@dataclass(frozen=True, slots=True)
class RetrievalIntervals:
    """`[low, high]` of each number: by the names of `WayScores`, and of the sum of recalls."""

    image_to_text: Mapping[str, list[float]]
    text_to_image: Mapping[str, list[float]]
    rsum: list[float]


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """Scores of a retrieval with a signature.

    Attributes:
        scores: recalls in percent and ranks, averaged over folds.
        interval: of each score; None without a bootstrap.
        signature: settings and origin of the numbers.
    """

    scores: RetrievalScores
    interval: RetrievalIntervals | None
    signature: Mapping[str, Any]

    @classmethod
    def of(
        cls, folds: Sequence[Ranks], signature: dict[str, Any], reporting: Reporting
    ) -> RetrievalResult:
        """The result of a retrieval: numbers, intervals and signature.

        Args:
            folds: the ranks in each fold, or in the whole set alone.
            signature: of what was ranked, and by what.
            reporting: the bootstrap; the folds are done.
        """
        size = len(folds[0].photos)
        how = {
            "ties": TIES,
            "folds": "1"
            if len(folds) == 1
            else f"average of {len(folds)} of {size} photos each, in order",
        }
        intervals = None
        if reporting.samples:
            intervals = bootstrap(folds, reporting.samples, reporting.seed)
            how["interval"] = interval_words(reporting)
        return cls(numbers(folds), intervals, signature | how)

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        numbers = asdict(self.scores) | {"rsum": self.scores.rsum}
        interval = None if self.interval is None else asdict(self.interval)
        return printed(self.signature, **numbers, interval=interval)


def retrieval(scores: np.ndarray, photo_of_sentence: np.ndarray) -> RetrievalScores:
    """Ranks every sentence for every photo and the other way round.

    A photo's rank is that of its closest ground truth: the best ranked of its own sentences, with
    only negatives counted before it. A sentence's rank is its own photo's rank among all N. Ranks
    start at 1. Ties are broken pessimistically.

    Args:
        scores: (N, L), finite, photos by sentences, the higher the better.
        photo_of_sentence: (L,) integers in 0..N-1, the photo that each sentence was written for.
            Every photo has at least one.

    Raises:
        ValueError: if the shapes disagree, a score is not finite or a photo has no sentence.

    Two photos and three sentences, the last two of photo 1. Photo 0 prefers a sentence of photo 1
    to its own (rank 2); photo 1's best sentence leads (rank 1). Sentence 2 scores alike on both
    photos, so its rank is 2.

    >>> result = retrieval(np.array([[0.5, 0.1, 0.7], [0.2, 0.9, 0.7]]), np.array([0, 1, 1]))
    >>> result.image_to_text
    WayScores(r1=50.0, r5=100.0, r10=100.0, median_rank=1.5, mean_rank=1.5)
    >>> round(result.text_to_image.r1, 1)
    66.7
    """
    return numbers([rank(MatrixScores(np.asarray(scores), np.asarray(photo_of_sentence)))])


def numbers(folds: Sequence[Ranks]) -> RetrievalScores:
    """Recalls, median and mean rank both ways, averaged over folds.

    Args:
        folds: the ranks of each fold, or of the whole set alone.
    """
    return _average(
        [_Weighable(fold).numbers(np.ones(len(fold.photos), np.int64)) for fold in folds]
    )


def bootstrap(folds: Sequence[Ranks], samples: int, seed: int = 0) -> RetrievalIntervals:
    """Percentile bootstrap intervals of the numbers over photos.

    Photos are drawn with replacement, each together with its sentences, and within their fold. The
    gallery stays the same: the interval is about the choice of queries, not about the size of the
    gallery.

    Args:
        folds: as in `numbers`.
        samples: number of samples, at least 1.
        seed: of the draws.

    Returns:
        The middle 95 % of the samples' values.

    Raises:
        ValueError: if `samples` is below 1.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    generator = np.random.default_rng(seed)
    weighable = [_Weighable(fold) for fold in folds]
    drawn = [
        _average([fold.numbers(draw(fold.photos, generator)) for fold in weighable])
        for _ in range(samples)
    ]

    def of(ways: Sequence[WayScores]) -> dict[str, list[float]]:
        return {name: interval([getattr(way, name) for way in ways]) for name in NAMES}

    return RetrievalIntervals(
        of([each.image_to_text for each in drawn]),
        of([each.text_to_image for each in drawn]),
        interval([each.rsum for each in drawn]),
    )


def cut_folds(photo_of_sentence: np.ndarray, photos: int, folds: int) -> list[Fold]:
    """Cuts photos, in their order, into folds of equal size, each with the sentences of its photos.

    The average of five folds of 1,000 photos is what is known as "COCO 1K".

    Args:
        photo_of_sentence: (L,) the photo of each sentence.
        photos: N.
        folds: F; 1 is the whole set.

    Raises:
        ConfigError: if `folds` does not divide N.
    """
    if folds < 1 or photos % folds:
        problem = f"{photos} photos cannot be cut into {folds} folds of equal size"
        raise ConfigError(f"--folds {folds}: {problem}; give a number that divides {photos}")
    size = photos // folds
    sentences = [np.flatnonzero(photo_of_sentence // size == fold) for fold in range(folds)]
    return [
        (slice(fold * size, (fold + 1) * size), rows, photo_of_sentence[rows] - fold * size)
        for fold, rows in enumerate(sentences)
    ]


def rank_folds(
    parts: Sequence[Fold],
    scores_of: Callable[[slice, np.ndarray, np.ndarray], Scores],
    progress: Progress,
) -> list[Ranks]:
    """The ranks in each fold.

    Args:
        parts: of `cut_folds`.
        scores_of: gives the scores of a fold.

    Raises:
        ValueError: as `rank`.
    """
    progress.expect(
        sum((photos.stop - photos.start) * len(sentences) for photos, sentences, _ in parts),
        "scores",
    )
    return [rank(scores_of(*part), progress.advance) for part in parts]


class _Weighable:
    """Ranks sorted once, so that numbers under many bootstrap weights need no more sorting."""

    def __init__(self, ranks: Ranks) -> None:
        self.photos = len(ranks.photos)
        by_photo, by_sentence = np.argsort(ranks.photos), np.argsort(ranks.sentences)
        self._ways = (
            (ranks.photos[by_photo], by_photo),
            (ranks.sentences[by_sentence], ranks.photo_of_sentence[by_sentence]),
        )

    def numbers(self, weights: np.ndarray) -> RetrievalScores:
        """As `retrieval`, photo k and its sentences taken `weights[k]` times, (N,) integers."""
        return RetrievalScores(*(_numbers(ranks, weights[photos]) for ranks, photos in self._ways))


def _numbers(ranks: np.ndarray, weights: np.ndarray) -> WayScores:
    """Recalls, median and mean of sorted ranks with integer weights."""
    upto = np.cumsum(weights)
    total = int(upto[-1])

    def recall(k: int) -> float:
        within = int(np.searchsorted(ranks, k, side="right"))
        return 100 * int(upto[within - 1]) / total if within else 0.0

    middle = [
        ranks[np.searchsorted(upto, place, side="right")]
        for place in ((total - 1) // 2, total // 2)
    ]
    mean_rank = float(ranks @ weights) / total
    return WayScores(recall(1), recall(5), recall(10), float(np.mean(middle)), mean_rank)


def _average(folds: Sequence[RetrievalScores]) -> RetrievalScores:
    def of(ways: Sequence[WayScores]) -> WayScores:
        return WayScores(*(fmean(each) for each in zip(*map(astuple, ways), strict=True)))

    return RetrievalScores(
        of([fold.image_to_text for fold in folds]), of([fold.text_to_image for fold in folds])
    )
