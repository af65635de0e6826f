"""How close written captions are to human ones: BLEU, ROUGE-L and CIDEr, equal to coco-caption's.

Nothing is normalised here: give words as `ptb_tokenise` or `tokenise` makes them, for candidates and references alike.
Every function takes N candidates, each a sequence of words (may be empty), and for each photo one or more references.
Axis names: N photos with a candidate each, B bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.evaluation.captions.bleu import BleuCounts, bleu_counts
from regiontalk.evaluation.captions.cider import DocumentFrequencies, cider
from regiontalk.evaluation.captions.ngrams import ORDERS, Words, count_both
from regiontalk.evaluation.captions.rouge import rouge_l
from regiontalk.evaluation.results import interval

BLEU_NAMES = tuple(f"bleu{order}" for order in range(1, ORDERS + 1))
NAMES = (*BLEU_NAMES, "rouge_l", "cider", "cider_d", "cider_plain")
"""The scores. `cider` is what coco-caption prints as CIDEr, and that is CIDEr-D: `cider_d` is the same number."""

_SAMPLES_AT_ONCE = 64


@dataclass(frozen=True)
class CaptionScores:
    """The scores of N captions, alone and together.

    Attributes:
        bleu: counts, from which BLEU of any set of the captions follows.
        means: the other scores of each caption, (N,) in percent by name; the corpus has their mean.
    """

    bleu: BleuCounts
    means: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.bleu.length)

    def corpus(self) -> dict[str, float]:
        """All scores of the captions together, in percent: BLEU and ROUGE-L 0..100, CIDEr 0..1000."""
        return {name: float(score[0]) for name, score in self._of_sets(np.ones((1, len(self)))).items()}

    def each(self) -> dict[str, np.ndarray]:
        """All scores of each caption, (N,) in percent by name. A caption's own BLEU-4 is 0 where no 4-gram fits."""
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
        """Corpus scores of sets of captions, weights (B, N) to (B,) by name."""
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
        document_frequencies: CIDEr's; None for those of the references. With one photo these make CIDEr 0.

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
) -> dict[str, float]:
    """All scores of the captions together, in percent, by the names of `NAMES`; see `score_captions`.

    >>> scores = caption_scores([["a", "dog"], ["a", "cat"]], [[["a", "dog"]], [["the", "cat"]]])
    >>> {name: round(scores[name], 1) for name in ("bleu1", "rouge_l", "cider_d")}
    {'bleu1': 75.0, 'rouge_l': 75.0, 'cider_d': 312.5}
    """
    return score_captions(candidates, references, document_frequencies).corpus()


def scores_of_each_caption(
    candidates: Sequence[Words],
    references: Sequence[Sequence[Words]],
    document_frequencies: DocumentFrequencies | None = None,
) -> dict[str, np.ndarray]:
    """All scores of each caption, (N,) in percent by name; see `score_captions`."""
    return score_captions(candidates, references, document_frequencies).each()


def bleu(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> dict[str, float]:
    """Corpus BLEU-1 to BLEU-4 (Papineni et al. 2002), equal to coco-caption's with its default, closest length.

    BLEU-n is the geometric mean of the clipped precisions of 1-grams to n-grams over the whole corpus, times the
    brevity penalty exp(1 - r/c) where the captions' length c falls short of r, the sum over captions of the length of
    the closest reference (of two equally close ones the shorter).

    Returns:
        `{"bleu1", "bleu2", "bleu3", "bleu4"}` in percent, 0..100.

    Raises:
        ValueError: if there is no candidate, the lengths differ, or a photo has no reference.

    >>> scores = bleu([["a", "dog", "runs"]], [[["a", "dog", "sleeps"], ["the", "dog", "runs", "fast"]]])
    >>> round(scores["bleu1"], 2), round(scores["bleu2"], 2)
    (100.0, 100.0)
    """
    _check(candidates, references)
    counts = bleu_counts(candidates, references, *count_both(candidates, references))
    scores = counts.summed(np.ones((1, len(candidates)))).scores()[0]
    return dict(zip(BLEU_NAMES, (100 * scores).tolist(), strict=True))


def _check(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> None:
    if not candidates or len(candidates) != len(references):
        raise ValueError(f"{len(candidates)} candidates need as many lists of references, found {len(references)}")
    if not all(references):
        raise ValueError("every candidate needs at least one reference")
