"""Calibrated probabilities that words are shown (Platt scaling).

A word's evidence is max_i v_i·s of the word read alone, so that its sentence does not influence it.
Its log-odds are linear in the evidence (Platt 1999, *Probabilistic outputs for support vector
machines*), fitted on photos that nothing was trained on. Words that name something count, T of them
in a sentence or a phrase:

    P(shown) = σ(logit(prior) + Σ_t (slope · max_i v_i·s_t + offset) / √T)

The words of a sentence are not independent: with √T the sum stays calibrated, where T would make it
underconfident and 1 overconfident.

A generated caption was chosen because its words score high, so that they say little of whether it
is right. The probability that it names what is there and nothing else is a second logistic
regression, on the captioner's own log-probability; that of a caption of a region, which was hardly
chosen, a third one, on the log-odds of its two surest words.

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
"""Prior of what somebody says of a photo: as likely there as not."""
SEARCHED = 0.02
"""Prior of a search: captions of about every fiftieth photo name a given one of COCO's eighty kinds
of things."""
FOUND = 0.5
"""A phrase of at least this probability is found."""
UNLIKELY = 0.1
"""A search of which no result is surer than this found nothing that fits well."""

_SUREST = 2
"""Words of a region's caption that its evidence is taken from."""
_STEPS, _CONVERGED, _RIDGE = 100, 1e-9, 1e-6
_LEAST = 1e-9
"""Probabilities are clipped to `_LEAST` and 1 - `_LEAST`."""


def log_odds(evidence: np.ndarray | np.float64, settings: CertaintySettings) -> np.ndarray:
    """Of T words being shown, at even prior odds.  # (T,) nats

    Args:
        evidence: (T,) max_i v_i·s_t of each word read alone.
        settings: of the pack.
    """
    found: np.ndarray = settings.slope * np.asarray(evidence, np.float64) + settings.offset
    return found


def probability(odds: Sequence[float], prior: float = ASKED) -> float | None:
    """That words are shown, all together.

    Args:
        odds: of T words that name something, as `log_odds` gives them.
        prior: how likely it was before anybody looked, in 0..1.

    Returns:
        None without words.

    >>> [round(probability(odds), 2) for odds in ([0.0, 0.0], [2.0, 2.0, -4.0], [3.0])]
    [0.5, 0.5, 0.95]
    """
    if not odds:
        return None
    return _logistic(log_odds_of(prior) + sum(odds) / math.sqrt(len(odds)))


def at_prior(probability: float | None, prior: float) -> float | None:
    """A probability at the prior `ASKED`, moved to another prior.

    >>> round(at_prior(0.5, 0.02), 6), at_prior(None, 0.02)
    (0.02, None)
    """
    return None if probability is None else _logistic(log_odds_of(probability) + log_odds_of(prior))


def phrase_probability(odds: Sequence[float | None]) -> float | None:
    """That a phrase is shown, its words being those of one region.

    Of words that are not absent, if there are any.

    Args:
        odds: of each of its words; None for words that name nothing.
    """
    naming = [each for each in odds if each is not None]
    return probability([each for each in naming if _logistic(each) >= ABSENT] or naming)


def caption_probability(
    log_prob: float, odds: Sequence[float], settings: CertaintySettings
) -> float | None:
    """That a caption of a photo names what is there, and nothing else.

    No more than that its surest word is shown.

    Args:
        log_prob: of the caption, in nats.
        odds: of its words that name something, as `log_odds` gives them.
        settings: of the pack.

    Returns:
        0 without words, since it names nothing; None if the pack tells no such probability.
    """
    if not settings.caption_slope:
        return None
    if not odds:
        return 0.0
    return min(
        _logistic(settings.caption_slope * log_prob + settings.caption_offset), _logistic(max(odds))
    )


def region_caption_probability(odds: Sequence[float], settings: CertaintySettings) -> float | None:
    """The same of a caption of a region.

    Not bounded, since its words' odds are those of a whole photo.
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

    The log-odds of its two surest words of T, at least one, over √2 or √1.

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
        even: weigh both answers the same in all (balanced classes), or each question.

    Raises:
        ValueError: if only one answer occurs.

    >>> slope, offset = fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]))
    >>> slope > 0, round(abs(slope * 1.5 + offset), 3)
    (True, 0.0)
    """
    if not 0 < shown.sum() < len(shown):
        raise ValueError("expected questions of which some are answered by yes and some by no")
    spread = float(evidence.std()) or 1.0
    # inputs: (K, 2)
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
    """Logit of a probability, in nats, no further from 0 than that of `_LEAST`."""
    clipped = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(clipped / (1 - clipped))
