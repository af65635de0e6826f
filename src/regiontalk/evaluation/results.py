"""What all evaluations share: progress, and numbers as they are printed.

Rounded, with intervals by the bootstrap. The bootstrap (Efron 1979) says how far numbers would move
with other photos. Photos are drawn with replacement, each together with all that was asked of it:
questions about one photo are not independent, and drawing them one by one would make intervals too
narrow.

Axis names: N photos, Q questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

CONFIDENCE = 95
"""Percent of the samples that an interval holds."""

_DIGITS = 4


class Progress(Protocol):
    """Shows how far an evaluation is."""

    def expect(self, total: int, what: str) -> None:
        """So many are to be done."""

    def advance(self, done: int) -> None:
        """That many more are done."""


class Silent:
    """Progress that nobody watches."""

    def expect(self, total: int, what: str) -> None:
        """Says nothing."""

    def advance(self, done: int) -> None:
        """Says nothing."""


SILENT = Silent()


@dataclass(frozen=True)
class Reporting:
    """How an evaluation's results become numbers.

    Attributes:
        folds: of a retrieval: the photos are cut, in their order, into so many of equal size, and
            the numbers averaged.
        samples: of the bootstrap, for 95 % intervals; 0 for none.
        seed: of the bootstrap.
    """

    folds: int = 1
    samples: int = 0
    seed: int = 0


def draw(photos: int, generator: np.random.Generator) -> np.ndarray:
    """How often each photo is drawn, (N,) integers, when N are drawn with replacement."""
    return np.bincount(generator.integers(photos, size=photos), minlength=photos)


def draws(photo_of_question: np.ndarray, samples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each question counts in each of some samples of the photos.

    Args:
        photo_of_question: (Q,) which photo each is about; photos that no question is about are not
            drawn.
        samples: how often all photos are drawn, at least 1.
        seed: of the draws.

    Yields:
        (Q,) integers.

    Raises:
        ValueError: if `samples` is below 1.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    photos, rows = np.unique(photo_of_question, return_inverse=True)
    generator = np.random.default_rng(seed)
    for _ in range(samples):
        yield draw(len(photos), generator)[rows]


def interval(values: Sequence[float] | np.ndarray) -> list[float]:
    """The middle 95 % of what the samples gave: `[low, high]`."""
    tail = (1 - CONFIDENCE / 100) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return [float(low), float(high)]


def interval_words(reporting: Reporting) -> str:
    """What the intervals are, for the signature."""
    return (
        f"{CONFIDENCE} %, percentiles of {reporting.samples} bootstrap samples of photos, "
        f"seed {reporting.seed}"
    )


def rounded(value: Any) -> Any:
    """Numbers, also those inside of dictionaries and lists, to the digits that are printed."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(value, _DIGITS)
