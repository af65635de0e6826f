"""ROUGE-L (Lin 2004) as coco-caption computes it: the longest common subsequence, recall weighing more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regiontalk.evaluation.captions.ngrams import Words

_BETA = 1.2


def rouge_l(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """ROUGE-L of each caption, (N,), 0..1.

    Precision and recall are the best over the references, each on its own; then F = (1 + b^2) P R / (R + b^2 P) with
    b = 1.2. A caption or a reference without words matches nothing.

    >>> rouge_l([["a", "dog", "runs"]], [[["a", "dog", "sleeps"], ["the", "dog", "runs", "fast"]]]).round(4)
    array([0.6667])
    """
    pairs = zip(candidates, references, strict=True)
    return np.array([_f_measure(candidate, truths) for candidate, truths in pairs], np.float64)


def _f_measure(candidate: Words, truths: Sequence[Words]) -> float:
    common = common_lengths(candidate, truths)
    if not any(common):
        return 0.0
    precision = max(common) / len(candidate)
    recall = max(length / len(truth) for length, truth in zip(common, truths, strict=True) if length)
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def common_lengths(candidate: Words, truths: Sequence[Words]) -> list[int]:
    """Length of the longest common subsequence with each reference.

    Each bit of a number is a word of the candidate, so that a row of the usual table is a few operations on a number
    (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
    """
    places: dict[str, int] = {}
    for at, word in enumerate(candidate):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(candidate)) - 1
    lengths = []
    for truth in truths:
        row = full  # a 0 where the table's row grows by one
        for word in truth:
            if here := row & places.get(word, 0):
                row = (row + here | row - here) & full
        lengths.append(len(candidate) - row.bit_count())
    return lengths
