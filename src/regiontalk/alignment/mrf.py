"""Word-region alignment by a chain MRF with exact inference (Eq. 10 to 12).

Axis names: M regions, T words, h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regiontalk.alignment.certainty import FOUND, phrase_probability, probability
from regiontalk.alignment.score import Kind, products, score_of_products
from regiontalk.errors import ConfigError
from regiontalk.language.tokenise import FUNCTION_WORDS
from regiontalk.settings import MOST_BETA
from regiontalk.structures import Alignment, Phrase, Regions, Sentence

LEAST_OBJECTNESS = 1e-3
"""Floor of objectness, so that its logarithm is finite and no region is ruled out."""


def viterbi(unary: np.ndarray, beta: float) -> tuple[np.ndarray, float]:
    """MAP of the chain MRF over regions (Eq. 10 to 12).

    Finds the best region for each word, with a reward β for staying on one. Maximises
    Σ_j unary[j, a_j] + Σ_j β·1[a_j = a_{j+1}]. (The paper prints a minimum; both terms are
    rewards.) Exact, in O(T M): the best transition is to the same region or to the overall best
    one, so pairs of regions are not enumerated.

    Args:
        unary: (T, M) finite, ψ_U(a_j = i), see `unary_potentials`; T and M at least 1.
        beta: β, from 0 to `MOST_BETA`, in units of `unary`.

    Returns:
        The path a, (T,) int64, and the maximum itself. Ties are broken in lexicographic order: the
        lowest region for the first word, then for the second, and so on.

    Raises:
        ConfigError: if `beta` is negative or above `MOST_BETA`.
        ValueError: if `unary` is empty, not a matrix or not finite.

    >>> viterbi(np.array([[2.0, 0.0], [0.0, 1.0]]), beta=0.5)
    (array([0, 1]), 3.0)
    >>> viterbi(np.array([[2.0, 0.0], [0.0, 1.0]]), beta=1.5)
    (array([0, 0]), 3.5)
    """
    if not 0 <= beta <= MOST_BETA:
        raise ConfigError(f"beta must be a number from 0 to {MOST_BETA:,.0f}, not {beta}")
    unary = np.asarray(unary, dtype=np.float64)
    if unary.ndim != 2 or unary.size == 0 or not np.isfinite(unary).all():
        raise ValueError(
            "unary must be a finite matrix (T, M) with T and M at least 1, "
            f"found shape {unary.shape}"
        )

    # Backwards, so that ties can be broken forwards: best[j, i] is the maximum over words j to
    # T - 1 if a_j = i.
    best = unary.copy()
    for j in range(len(unary) - 2, -1, -1):
        # Potts model: the best change is to the overall best, so a step is O(M) and not O(M²).
        best[j] += np.maximum(best[j + 1] + beta, best[j + 1].max())
    path = np.empty(len(unary), dtype=np.int64)
    path[0] = best[0].argmax()
    for j in range(1, len(unary)):
        onwards = best[j].copy()
        onwards[path[j - 1]] += beta
        path[j] = onwards.argmax()  # the first of equals
    return path, float(best[0, path[0]])


def unary_potentials(
    products: np.ndarray, objectness: np.ndarray, weight: float = 0.0
) -> np.ndarray:
    """ψ_U of Eq. 11 with a weighted objectness prior: v_i·s_j + w log o_i.

    The paper's ψ_U has no o_i. With exp(v_i·s_j) as a word's odds for a region, o_i is the region's
    prior odds.

    Args:
        products: (T, M), v_i·s_j.
        objectness: (M,), o_i in 0..1; 1 for the whole photo and for given boxes.
        weight: w, at least 0.

    >>> unary_potentials(np.array([[1.0, 1.5]]), np.array([1.0, 0.5]), weight=1.0).round(2).tolist()
    [[1.0, 0.81]]
    """
    potentials: np.ndarray = products + weight * np.log(np.maximum(objectness, LEAST_OBJECTNESS))
    return potentials


def phrases(
    words: Sequence[str],
    path: np.ndarray,
    unary: np.ndarray,
    boxes: np.ndarray,
    odds: Sequence[float | None] | None = None,
) -> tuple[Phrase, ...]:
    """Cuts a sentence into the maximal runs of words that share a region.

    Args:
        words: T words.
        path: (T,) integers, the region a_j of each word.
        unary: (T, M), ψ_U.
        boxes: (M, 4), xyxy in pixels of the original photo.
        odds: for each word the log-odds of being shown, None for words that name nothing; None
            without calibration.

    Returns:
        The phrases in order; together they cover the sentence. A phrase's score is the sum of its
        words' scores.
    """
    return tuple(
        _phrase(words, start, end, int(path[start]), unary, boxes, odds)
        for start, end in runs(path)
    )


def runs(path: np.ndarray) -> list[tuple[int, int]]:
    """The maximal runs of equal values, as (start, end), end exclusive."""
    changes = (np.flatnonzero(np.diff(path)) + 1).tolist()
    return list(zip([0, *changes], [*changes, len(path)], strict=True))


def align(
    regions: Regions,
    sentence: Sentence,
    beta: float,
    kind: Kind = "max",
    odds: Sequence[float | None] | None = None,
    objectness: float = 0.0,
) -> Alignment:
    """Aligns each word of a sentence with a region of a photo.

    Args:
        regions: the photo's, with v_i (M, h).
        sentence: with s_t (T, h).
        beta: β, at least 0, in units of v_i·s_t; with 0 the words are independent, a large one
            keeps the sentence on one region.
        kind: of the alignment's `score`; it changes nothing else.
        odds: as in `phrases`.
        objectness: the weight of `unary_potentials`.

    Returns:
        The alignment. Its `score` is `score_matrix`'s S_kl over the main regions, less the hubness
        of both; neither β nor objectness changes it.

    Raises:
        ConfigError: if `beta` is negative or above `MOST_BETA`.
        PackError: if the vectors are so long that a product is not finite.
        ValueError: if regions and words differ in h.
    """
    if regions.vectors.shape[1] != sentence.vectors.shape[1]:
        raise ValueError(
            f"regions have {regions.vectors.shape[1]} dimensions and words "
            f"{sentence.vectors.shape[1]}: both must come from one pack"
        )
    found = products(sentence.vectors, regions.vectors)  # (T, M)
    unary = unary_potentials(found, regions.scores, objectness)
    path, _ = viterbi(unary, beta)
    score = (
        score_of_products(found[:, : len(regions) - regions.extra], kind)
        - regions.hubness
        - sentence.hubness
    )
    return aligned(regions, sentence, float(beta), score, path, unary, odds)


def aligned(
    regions: Regions,
    sentence: Sentence,
    beta: float,
    score: float,
    path: np.ndarray,
    unary: np.ndarray,
    odds: Sequence[float | None] | None = None,
) -> Alignment:
    """Builds an `Alignment` from a known path; arguments as of `Alignment` and `phrases`."""
    shown = (
        ()
        if odds is None
        else tuple(None if each is None else probability([each]) for each in odds)
    )
    return Alignment(
        regions=regions,
        sentence=sentence,
        beta=beta,
        score=score,
        word_regions=path,
        unary=unary,
        phrases=phrases(sentence.words, path, unary, regions.boxes_xyxy, odds),
        word_sure=shown,
        sure=probability([each for each in odds or () if each is not None]),
    )


def _phrase(
    words: Sequence[str],
    start: int,
    end: int,
    region: int,
    unary: np.ndarray,
    boxes: np.ndarray,
    odds: Sequence[float | None] | None,
) -> Phrase:
    x0, y0, x1, y1 = (float(value) for value in boxes[region])
    score = float(unary[start:end, region].sum())
    text = " ".join(words[start:end])
    if odds is None:
        names_something = any(word not in FUNCTION_WORDS for word in words[start:end])
        return Phrase(text, start, end, region, (x0, y0, x1, y1), score, found=names_something)
    sure = phrase_probability(odds[start:end])
    return Phrase(
        text, start, end, region, (x0, y0, x1, y1), score, sure, sure is not None and sure >= FOUND
    )
