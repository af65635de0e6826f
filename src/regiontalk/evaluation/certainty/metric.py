"""Accuracy and expected calibration error of answers with probabilities.

The expected calibration error (Naeini et al. 2015; Guo et al. 2017, *On Calibration of Modern
Neural Networks*) is the mean distance, over answers put into bins by their probability, between a
bin's mean probability and its share of yes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

BINS = 10
"""Of equal width."""


@dataclass(frozen=True)
class Bin:
    """Answers of probability `low` to `high`.

    Their number, mean probability (`told`) and share of yes (`shown`).
    """

    low: float
    high: float
    questions: int
    told: float
    shown: float


@dataclass(frozen=True)
class CertaintyScores:
    """Accuracy and calibration over questions; shares in 0..1.

    Attributes:
        questions: how many; the correct answer of half of them is yes.
        accuracy: of "found" and "not found".
        accuracy_shown, accuracy_absent: of the questions whose answer is yes, and of the others.
        calibration_error: expected, over the bins.
        bins: that hold an answer.
    """

    questions: int
    accuracy: float
    accuracy_shown: float
    accuracy_absent: float
    calibration_error: float
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """The scores by name."""
        return asdict(self) | {"bins": [asdict(each) for each in self.bins]}


def certainty_scores(
    probabilities: np.ndarray, found: np.ndarray, shown: np.ndarray
) -> CertaintyScores:
    """Accuracy and expected calibration error of K answers.

    Args:
        probabilities: (K,).
        found: (K,) bool, the answers.
        shown: (K,) bool, the correct answers; both occur.

    >>> found, shown = np.array([True, True, False]), np.array([True, False, False])
    >>> scores = certainty_scores(np.array([0.9, 0.9, 0.1]), found, shown)
    >>> round(scores.accuracy, 3)
    0.667
    >>> round(scores.calibration_error, 3)  # (2 · |0.9 - 0.5| + 1 · |0.1 - 0|) / 3
    0.3
    """
    right = found == shown
    places = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    bins = tuple(
        Bin(
            place / BINS,
            (place + 1) / BINS,
            int(inside.sum()),
            float(probabilities[inside].mean()),
            float(shown[inside].mean()),
        )
        for place in range(BINS)
        if (inside := places == place).any()
    )
    error = sum(each.questions * abs(each.told - each.shown) for each in bins) / len(probabilities)
    return CertaintyScores(
        questions=len(probabilities),
        accuracy=float(right.mean()),
        accuracy_shown=float(right[shown].mean()),
        accuracy_absent=float(right[~shown].mean()),
        calibration_error=float(error),
        bins=bins,
    )
