"""Shared by all evaluations: progress, bootstrap intervals, and rounding.

The bootstrap (Efron 1979) estimates how much numbers vary with the sample of photos. Photos are
drawn with replacement, each with all its questions: those about one photo are not independent, and
drawing them one by one would make intervals too narrow.

Axis names: N photos, Q questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

CONFIDENCE = 95
"""Confidence level of intervals, in percent."""

_DIGITS = 4


class Progress(Protocol):
    """Progress reports of an evaluation."""

    def expect(self, total: int, what: str) -> None:
        """Starts a stage with a number of steps."""

    def advance(self, done: int) -> None:
        """Reports that more steps are done."""


class Silent:
    """Progress that is not shown."""

    def expect(self, total: int, what: str) -> None:
        """Does nothing."""

    def advance(self, done: int) -> None:
        """Does nothing."""


SILENT = Silent()


@dataclass(frozen=True)
class Reporting:
    """Folds and bootstrap of an evaluation.

    Attributes:
        folds: of a retrieval: the photos are cut, in their order, into folds of equal size, and the
            numbers averaged.
        samples: of the bootstrap, for 95 % intervals; 0 for none.
        seed: of the bootstrap.
    """

    folds: int = 1
    samples: int = 0
    seed: int = 0


def draw(photos: int, generator: np.random.Generator) -> np.ndarray:
    """A bootstrap sample of N photos: how often each is drawn with replacement, (N,) integers."""
    return np.bincount(generator.integers(photos, size=photos), minlength=photos)


def draws(photo_of_question: np.ndarray, samples: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Bootstrap samples of photos, as the weight of each question.

    Args:
        photo_of_question: (Q,) the photo of each; photos without a question are not drawn.
        samples: number of samples, at least 1.
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
    """Percentile interval that holds 95 % of the samples' values: `[low, high]`."""
    tail = (1 - CONFIDENCE / 100) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return [float(low), float(high)]


def interval_words(reporting: Reporting) -> str:
    """Description of the intervals, for the signature."""
    return (
        f"{CONFIDENCE} %, percentiles of {reporting.samples} bootstrap samples of photos, "
        f"seed {reporting.seed}"
    )


def printed(signature: Mapping[str, Any], **numbers: Any) -> dict[str, Any]:
    """The object that `--json` prints: numbers that are not None, rounded, and the signature."""
    found = {name: rounded(value) for name, value in numbers.items() if value is not None}
    return found | {"signature": dict(signature)}


def rounded(value: Any) -> Any:
    """Rounds numbers, nested ones in dictionaries and lists too, to the printed digits."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value if isinstance(value, str) else round(value, _DIGITS)
