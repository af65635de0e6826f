"""Calibrated probabilities that words are shown (Platt scaling).

A word's evidence is max_i v_i·s of the word read alone, so that its sentence does not influence it.
Its log-odds are linear in the evidence (Platt 1999, *Probabilistic outputs for support vector
machines*), fitted on held-out photos. Words that name something count, T of them in a sentence or a
phrase:

    P(shown) = σ(logit(prior) + Σ_t (slope · max_i v_i·s_t + offset) / √T)

The words of a sentence are not independent: with √T the sum stays calibrated, where T would make it
underconfident and 1 overconfident.

The words of a generated caption are a biased sample, selected for their high scores, and their
evidence says little about whether the caption is correct. The probability that a photo's caption
names what is there and nothing else is therefore a second logistic regression, on the captioner's
own log-probability. Captions of regions are hardly selected by score: theirs is a third one, on the
log-odds of their two most probable words.

Axis names: T words, M regions, h dimensions of the shared space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from regiontalk.recurrence import sigmoid
from regiontalk.settings import CertaintySettings
from regiontalk.structures import ABSENT

ASKED = 0.5
"""Prior of a statement about a photo: even odds."""
SEARCHED = 0.02
"""Prior of a search: captions of about every fiftieth photo name a given one of COCO's 80
classes."""
FOUND = 0.5
"""Least probability of a phrase that is found."""
UNLIKELY = 0.1
"""A search whose best result has a lower probability found nothing that fits well."""

_SUREST = 2
"""Number of words of a region's caption, the most probable ones, that its evidence is taken
from."""
_STEPS, _CONVERGED, _RIDGE = 100, 1e-9, 1e-6
_LEAST = 1e-9
"""Probabilities are clipped to `_LEAST` and 1 - `_LEAST`."""


def log_odds(evidence: np.ndarray | np.float64, settings: CertaintySettings) -> np.ndarray:
    """Log-odds that each of T words is shown, at even prior odds: (T,) nats.

    Args:
        evidence: (T,) max_i v_i·s_t of each word read alone.
        settings: the pack's.
    """
    found: np.ndarray = settings.slope * np.asarray(evidence, np.float64) + settings.offset
    return found


def probability(odds: Sequence[float], prior: float = ASKED) -> float | None:
    """Probability that all words of a phrase or sentence are shown.

    Args:
        odds: log-odds of T words that name something, see `log_odds`.
        prior: probability before the photo is seen, in 0..1.

    Returns:
        None without words.

    >>> [round(probability(odds), 2) for odds in ([0.0, 0.0], [2.0, 2.0, -4.0], [3.0])]
    [0.5, 0.5, 0.95]
    """
    if not odds:
        return None
    return _logistic(log_odds_of(prior) + sum(odds) / math.sqrt(len(odds)))


def at_prior(probability: float | None, prior: float) -> float | None:
    """Moves a probability from the prior `ASKED` to another prior.

    >>> round(at_prior(0.5, 0.02), 6), at_prior(None, 0.02)
    (0.02, None)
    """
    return None if probability is None else _logistic(log_odds_of(probability) + log_odds_of(prior))


def phrase_probability(odds: Sequence[float | None]) -> float | None:
    """Probability that a phrase, a run of words on one region, is shown.

    Words less probable than `ABSENT` are left out, unless all are.

    Args:
        odds: log-odds of each of its words; None for words that name nothing.
    """
    naming = [each for each in odds if each is not None]
    return probability([each for each in naming if _logistic(each) >= ABSENT] or naming)


def caption_probability(
    log_prob: float, odds: Sequence[float], settings: CertaintySettings
) -> float | None:
    """Probability that a photo's caption names what is there, and nothing else.

    At most the probability of its most probable word.

    Args:
        log_prob: the caption's log-probability, in nats.
        odds: log-odds of its words that name something, see `log_odds`.
        settings: the pack's.

    Returns:
        0 if no word names something; None if the pack is not calibrated for captions.
    """
    if not settings.caption_slope:
        return None
    if not odds:
        return 0.0
    return min(
        _logistic(settings.caption_slope * log_prob + settings.caption_offset), _logistic(max(odds))
    )


def region_caption_probability(odds: Sequence[float], settings: CertaintySettings) -> float | None:
    """As `caption_probability`, for a caption of a region.

    Without the upper bound by its surest word.
    """
    if not settings.region_slope:
        return None
    return (
        _logistic(settings.region_slope * region_caption_evidence(odds) + settings.region_offset)
        if odds
        else 0.0
    )


def region_caption_evidence(odds: Sequence[float]) -> float:
    """Evidence for a region's caption, in nats.

    The sum of the log-odds of its two most probable words of T, at least one, over √2 or √1.

    >>> round(region_caption_evidence([-3.0, 1.0, 3.0]) * math.sqrt(2), 6)
    4.0
    >>> region_caption_evidence([2.0])
    2.0
    """
    best = sorted(odds)[-_SUREST:]
    return sum(best) / math.sqrt(len(best))


def fit(evidence: np.ndarray, shown: np.ndarray, even: bool = True) -> tuple[float, float]:
    """Logistic regression of answers on evidence: the slope, at least 0, and the offset.

    Args:
        evidence: (K,) of K questions.
        shown: (K,) bool, the answers; both occur.
        even: give both answers the same total weight (balanced classes), else each question the
            same.

    Raises:
        ValueError: if only one answer occurs.

    >>> slope, offset = fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]))
    >>> slope > 0, round(abs(slope * 1.5 + offset), 3)
    (True, 0.0)
    """
    if not 0 < shown.sum() < len(shown):
        raise ValueError("expected questions of which some are answered by yes and some by no")
    spread = float(evidence.std()) or 1.0
    # inputs: (K, 2); scaled, so that the ridge does not depend on the evidence's unit
    inputs = np.stack([evidence / spread, np.ones(len(evidence))], axis=1).astype(np.float64)
    weights = (
        np.where(shown, 0.5 / shown.sum(), 0.5 / (~shown).sum())
        if even
        else np.full(len(shown), 1 / len(shown))
    )
    line = np.zeros(2)
    # Newton's method; the ridge keeps it finite where the answers are separable
    for _ in range(_STEPS):
        predicted = sigmoid(inputs @ line)
        gradient = inputs.T @ (weights * (predicted - shown)) + _RIDGE * line
        curvature = (
            inputs * (weights * predicted * (1 - predicted))[:, None]
        ).T @ inputs + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        line -= step
        if np.abs(step).max() < _CONVERGED:
            break
    return max(float(line[0]), 0.0) / spread, float(line[1])


def _logistic(odds: float) -> float:
    return 0.5 * (1 + math.tanh(odds / 2))


def log_odds_of(probability: float) -> float:
    """Logit of a probability clipped by `_LEAST`, in nats."""
    clipped = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(clipped / (1 - clipped))
