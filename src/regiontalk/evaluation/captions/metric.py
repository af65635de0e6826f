"""Caption metrics: BLEU, ROUGE-L and CIDEr, equal to coco-caption's.

Nothing is normalised here: give words as `ptb_tokenise` or `tokenise` makes them, for candidates
and references alike. Every function takes N candidates, each a sequence of words (may be empty),
and for each photo one or more references. Axis names: N photos with a candidate each, B bootstrap
samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regiontalk.evaluation.captions.ngrams import (
    ORDERS,
    BleuCounts,
    DocumentFrequencies,
    Words,
    bleu_counts,
    cider,
    count_both,
)
from regiontalk.evaluation.results import interval, printed

BLEU_NAMES = tuple(f"bleu{order}" for order in range(1, ORDERS + 1))
NAMES = (*BLEU_NAMES, "rouge_l", "cider", "cider_d", "cider_plain")
"""The scores, see `CorpusScores`."""

_SAMPLES_AT_ONCE = 64
_BETA = 1.2


@dataclass(frozen=True, slots=True)
class CorpusScores:
    """Scores of a set of captions, in percent: BLEU, ROUGE-L 0..100, CIDEr 0..1000.

    Attributes:
        bleu1, bleu2, bleu3, bleu4: of the corpus, not a mean over captions.
        rouge_l: mean over captions, as those below.
        cider: what coco-caption prints as CIDEr, and that is CIDEr-D: `cider_d` is the same number.
        cider_d: with clipping and length penalty.
        cider_plain: without them.
        java_metrics: METEOR and SPICE by name, those that were measured.
    """

    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    rouge_l: float
    cider: float
    cider_d: float
    cider_plain: float
    java_metrics: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    def by_name(self) -> dict[str, float]:
        """All scores by name: `NAMES`, and the metrics in Java."""
        return {name: getattr(self, name) for name in NAMES} | dict(self.java_metrics)


@dataclass(frozen=True, slots=True)
class CaptionResult:
    """Scores of a set of captions with a signature.

    Attributes:
        scores: of all captions together, in percent.
        interval: `[low, high]` of each of `NAMES`; empty without a bootstrap.
        signature: settings and origin of the numbers.
    """

    scores: CorpusScores
    interval: Mapping[str, list[float]]
    signature: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        return printed(
            self.signature, **self.scores.by_name(), interval=dict(self.interval) or None
        )


@dataclass(frozen=True)
class CaptionScores:
    """Scores of N captions, of each and of the corpus.

    Attributes:
        bleu: additive counts, which give BLEU of any set of the captions.
        means: the other scores of each caption, (N,) in percent by name; the corpus has their mean.
    """

    bleu: BleuCounts
    means: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.bleu.length)

    def corpus(self) -> CorpusScores:
        """Scores of the corpus."""
        together = self._of_sets(np.ones((1, len(self))))
        return CorpusScores(*(float(together[name][0]) for name in NAMES))

    def each(self) -> dict[str, np.ndarray]:
        """All scores of each caption, (N,) in percent by name.

        A caption's own BLEU-4 is 0 where no 4-gram fits.
        """
        return dict(zip(BLEU_NAMES, 100 * self.bleu.scores().T, strict=True)) | self.means

    def intervals(self, samples: int, seed: int = 0) -> dict[str, list[float]]:
        """`interval` of each corpus score, `[low, high]`, by the bootstrap over photos.

        CIDEr's document frequencies stay those of all photos.

        Args:
            samples: B, at least 1; each draws N photos with replacement.
            seed: of the draws.
        """
        random = np.random.default_rng(seed)
        drawn = []
        for start in range(0, samples, _SAMPLES_AT_ONCE):
            rows = min(_SAMPLES_AT_ONCE, samples - start)
            weights = random.multinomial(len(self), np.full(len(self), 1 / len(self)), rows)
            drawn.append(self._of_sets(weights.astype(np.float64)))
        return {name: interval(np.concatenate([each[name] for each in drawn])) for name in drawn[0]}

    def _of_sets(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Corpus scores of B sets of captions with multiplicities (B, N): (B,) by name."""
        bleu = 100 * self.bleu.summed(weights).scores().T
        means = {name: weights @ each / weights.sum(axis=1) for name, each in self.means.items()}
        return dict(zip(BLEU_NAMES, bleu, strict=True)) | means


def score_captions(
    candidates: Sequence[Words],
    references: Sequence[Sequence[Words]],
    document_frequencies: DocumentFrequencies | None = None,
) -> CaptionScores:
    """Scores captions by all metrics.

    Args:
        candidates: a caption's words for each photo.
        references: for each photo one or more human captions.
        document_frequencies: CIDEr's; None for those of the references. With one photo these make
            CIDEr 0.

    Raises:
        ValueError: if there is no candidate, the lengths differ, or a photo has no reference.
    """
    _check(candidates, references)
    mine, theirs = count_both(candidates, references)
    both = cider(references, mine, theirs, document_frequencies)
    means = {
        "rouge_l": 100 * rouge_l(candidates, references),
        "cider": 100 * both.d,
        "cider_d": 100 * both.d,
        "cider_plain": 100 * both.plain,
    }
    return CaptionScores(bleu_counts(candidates, references, mine, theirs), means)


def caption_scores(
    candidates: Sequence[Words],
    references: Sequence[Sequence[Words]],
    document_frequencies: DocumentFrequencies | None = None,
) -> CorpusScores:
    """Scores of the corpus; see `score_captions`.

    >>> scores = caption_scores([["a", "dog"], ["a", "cat"]], [[["a", "dog"]], [["the", "cat"]]])
    >>> round(scores.bleu1, 1), round(scores.rouge_l, 1), round(scores.cider_d, 1)
    (75.0, 75.0, 312.5)
    """
    return score_captions(candidates, references, document_frequencies).corpus()


def rouge_l(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """ROUGE-L of each caption, (N,), 0..1.

    Precision and recall are the best over the references, each on its own; then F = (1 + b^2) P R /
    (R + b^2 P) with b = 1.2. A caption or a reference without words matches nothing.

    >>> references = [["a", "dog", "sleeps"], ["the", "dog", "runs", "fast"]]
    >>> rouge_l([["a", "dog", "runs"]], [references]).round(4)
    array([0.6667])
    """
    pairs = zip(candidates, references, strict=True)
    return np.array([_f_measure(candidate, truths) for candidate, truths in pairs], np.float64)


def _check(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> None:
    if not candidates or len(candidates) != len(references):
        raise ValueError(
            f"{len(candidates)} candidates need as many lists of references, "
            f"found {len(references)}"
        )
    if not all(references):
        raise ValueError("every candidate needs at least one reference")


def _f_measure(candidate: Words, truths: Sequence[Words]) -> float:
    common = common_lengths(candidate, truths)
    if not any(common):
        return 0.0
    precision = max(common) / len(candidate)
    recall = max(
        length / len(truth) for length, truth in zip(common, truths, strict=True) if length
    )
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def common_lengths(candidate: Words, truths: Sequence[Words]) -> list[int]:
    """Length of the longest common subsequence (LCS) with each reference.

    Bit-parallel: each bit of an integer is a word of the candidate, so that a row of the dynamic
    programming table is a few operations on it (Hyyrö 2004, "Bit-parallel LCS-length computation
    revisited").
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
