"""How close written captions are to human ones: corpus BLEU as coco-caption computes it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

_ORDERS = 4

# coco-caption's, so that 0 of 0 n-grams is a number and published scores come out to their last digit.
_TINY = 1e-15
_SMALL = 1e-9

Ngrams = Counter[tuple[str, ...]]


def bleu(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> dict[str, float]:
    """Corpus BLEU-1 to BLEU-4 (Papineni et al. 2002), equal to coco-caption's with its default, closest length.

    BLEU-n is the geometric mean of the clipped precisions of 1-grams to n-grams over the whole corpus, times the
    brevity penalty exp(1 - r/c) where the captions' length c falls short of r, the sum over captions of the length of
    the closest reference (of two equally close ones the shorter). Nothing is normalised here: give words as `tokenise`
    makes them, for candidates and references alike.

    Args:
        candidates: a caption's words for each photo; may be empty.
        references: for each photo one or more human captions.

    Returns:
        `{"bleu1", "bleu2", "bleu3", "bleu4"}` in percent, 0..100.

    Raises:
        ValueError: if there is no candidate, the lengths differ, or a photo has no reference.

    >>> scores = bleu([["a", "dog", "runs"]], [[["a", "dog", "sleeps"], ["the", "dog", "runs", "fast"]]])
    >>> round(scores["bleu1"], 2), round(scores["bleu2"], 2)
    (100.0, 100.0)
    """
    if not candidates or len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} candidates need as many lists of references, found {len(references)}")
    if not all(references):
        raise ValueError("every candidate needs at least one reference")
    correct, guessed = [0] * _ORDERS, [0] * _ORDERS
    length = reference_length = 0
    for candidate, truths in zip(candidates, references, strict=True):
        length += len(candidate)
        reference_length += min((abs(len(truth) - len(candidate)), len(truth)) for truth in truths)[1]
        for order in range(1, _ORDERS + 1):
            guessed[order - 1] += max(0, len(candidate) - order + 1)
            correct[order - 1] += _matches(candidate, truths, order)
    penalty = _brevity_penalty(length, reference_length)
    product, scores = 1.0, {}
    for order in range(1, _ORDERS + 1):
        product *= (correct[order - 1] + _TINY) / (guessed[order - 1] + _SMALL)
        scores[f"bleu{order}"] = 100 * penalty * product ** (1 / order)
    return scores


def _matches(candidate: Sequence[str], truths: Sequence[Sequence[str]], order: int) -> int:
    """n-grams of the candidate that a reference has too, each at most as often as the reference that has most."""
    most = Counter[tuple[str, ...]]()
    for truth in truths:
        most |= _ngrams(truth, order)
    return (_ngrams(candidate, order) & most).total()


def _ngrams(words: Sequence[str], order: int) -> Ngrams:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def _brevity_penalty(length: int, reference_length: int) -> float:
    ratio = (length + _TINY) / (reference_length + _SMALL)
    return math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
