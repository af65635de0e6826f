"""The score S_kl of photo k and sentence l (Eq. 7, 8), and each region's and word's share in it.

Axis names: N photos, M regions, L sentences, T words, P words of several sentences one after the
other, h dimensions of the shared space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from regiontalk.alignment.distinct import Distinct, key_of
from regiontalk.errors import PackError

Kind = Literal["max", "sum", "mean"]

FORMULAS: dict[Kind, str] = {"max": "Eq. 8", "sum": "Eq. 7", "mean": "Eq. 8 / words"}
"""What each kind is in the paper. "mean" is not there: Eq. 8 divided by the sentence's number of
words."""

TILE = 1024
"""Regions and words multiplied at a time: enough for the matrix product's full speed, and its
result, 4 MB, stays in the processor's caches for the maximum that follows."""

_LOWEST = np.float32(-np.inf)
_DIGITS = 3


def score_matrix(
    region_vectors: np.ndarray,
    region_counts: np.ndarray,
    word_vectors: np.ndarray,
    word_counts: np.ndarray,
    kind: Kind = "max",
    tile: int = TILE,
) -> np.ndarray:
    """Scores every photo with every sentence.

    "max" is Eq. 8, S_kl = Σ_t max_i v_i·s_t; "sum" is Eq. 7, S_kl = Σ_t Σ_i max(0, v_i·s_t); "mean"
    is Eq. 8 divided by the sentence's number of words, which ranks photos for a sentence as "max"
    does, and sentences for a photo whatever their lengths. Raw dot products: no vector is
    normalised. Padding takes no part, whatever it holds. Equal photos have equal scores, and so
    have equal sentences.

    Args:
        region_vectors: (N, M, h), v_i, the regions of photo k in its first `region_counts[k]` rows.
        region_counts: (N,) integers in 1..M.
        word_vectors: (L, T, h), s_t, the words of sentence l in its first `word_counts[l]` rows.
        word_counts: (L,) integers in 1..T.
        kind: "max", "sum" or "mean".
        tile: regions and words that are multiplied at a time, at least a photo's and a sentence's.
            It bounds the memory beyond the result to about tile² numbers and changes nothing but
            the rounding.

    Returns:
        (N, L) float32, the higher the better.

    Raises:
        ValueError: if shapes or counts disagree, or `kind` or `tile` is not one of those above.

    >>> v = np.array([[[1.0, 0.0], [0.0, 2.0]]], np.float32)  # one photo, two regions
    >>> s = np.array([[[3.0, 1.0], [-1.0, -1.0]]], np.float32)  # one sentence, two words
    >>> float(score_matrix(v, np.array([2]), s, np.array([2]))[0, 0])  # max(3, 2) + max(-1, -2)
    2.0
    >>> float(score_matrix(v, np.array([2]), s, np.array([2]), kind="sum")[0, 0])  # 3 + 2 + 0 + 0
    5.0
    >>> float(score_matrix(v, np.array([2]), s, np.array([2]), kind="mean")[0, 0])  # (3 - 1) / 2
    1.0
    """
    _check("region", region_vectors, region_counts)
    _check("word", word_vectors, word_counts)
    if region_vectors.shape[2] != word_vectors.shape[2]:
        raise ValueError(
            f"regions have {region_vectors.shape[2]} dimensions and words {word_vectors.shape[2]}"
        )
    sentences = [words[:count] for words, count in zip(word_vectors, word_counts, strict=True)]
    return score_sentences(region_vectors, region_counts, sentences, kind, tile)


def score_sentences(
    region_vectors: np.ndarray,
    region_counts: np.ndarray,
    sentences: Sequence[np.ndarray],
    kind: Kind = "max",
    tile: int = TILE,
) -> np.ndarray:
    """As `score_matrix`, of sentences that are not padded.

    One of 500 words makes no other as long in memory. Equal photos have equal scores, and so have
    equal sentences, whatever the tile: they are scored once.

    Args:
        region_vectors, region_counts, kind, tile: as in `score_matrix`.
        sentences: L arrays (T, h), s_t, at least one word each.

    Returns:
        (N, L) float32.

    Raises:
        ValueError: if `kind` or `tile` is not one of those that there are.
    """
    scorer = TileScorer(kind)
    real = (vectors[:count] for vectors, count in zip(region_vectors, region_counts, strict=True))
    # Matrix products round differently by position: duplicates are scored once, so that ties are
    # exact ties.
    photos, said = (
        Distinct(key_of(each) for each in real),
        Distinct(key_of(each) for each in sentences),
    )
    if photos.repeats:
        region_vectors, region_counts = region_vectors[photos.first], region_counts[photos.first]
    counts = np.array([len(sentences[each]) for each in said.first], np.int64)
    photo_tiles = tiles_of_photos(len(region_vectors), region_vectors.shape[1], tile)
    scores = np.empty((len(photos), len(said)), np.float32)
    for part in tiles_of_rows(counts, tile):
        words = np.concatenate([sentences[each] for each in said.first[part]])  # (P, h)
        for rows in photo_tiles:
            scores[rows, part] = scorer(
                region_vectors[rows], region_counts[rows], words, counts[part]
            )
    return scores[np.ix_(photos.number, said.number)] if photos.repeats or said.repeats else scores


def products(words: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """v_i · s_t of words (T, h), or one word (h,), with regions (M, h): (T, M), or (M,).

    Raises:
        PackError: if one is not finite: a foreign pack's vectors are, their products may not be.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found: np.ndarray = words @ regions.T
    if not np.isfinite(found).all():
        raise PackError(
            "a word's and a region's vectors have a product that is not finite. Take another pack."
        )
    return found


def score_of_products(products: np.ndarray, kind: Kind = "max") -> float:
    """S_kl of one photo and one sentence, as in `score_matrix`.

    Args:
        products: (T, M), v_i·s_t of each word with each region; T and M at least 1.
        kind: "max", "sum" or "mean".

    Raises:
        ValueError: if `kind` is none of them.

    >>> score_of_products(np.array([[3.0, 2.0], [-1.0, -2.0]]), "mean")
    1.0
    """
    _check_kind(kind)
    if kind == "sum":
        return float(np.maximum(products, 0).sum())
    total = float(products.max(axis=1).sum())
    return total / len(products) if kind == "mean" else total


class TileScorer:
    """Scores a tile of photos with a tile of sentences.

    The large arrays in between are used again for the next tile.

    Args:
        kind: "max" (Eq. 8), "sum" (Eq. 7) or "mean" (Eq. 8 / words).

    Raises:
        ValueError: if `kind` is none of them.
    """

    def __init__(self, kind: Kind) -> None:
        _check_kind(kind)
        self._kind = kind
        self._products, self._per_word = np.empty(0, np.float32), np.empty(0, np.float32)

    def __call__(
        self,
        region_vectors: np.ndarray,
        region_counts: np.ndarray,
        words: np.ndarray,
        word_counts: np.ndarray,
    ) -> np.ndarray:
        """Scores n photos with l sentences.

        Args:
            region_vectors, region_counts: (n, M, h) and (n,), as in `score_matrix`.
            words: (P, h), the words of the l sentences one after the other.
            word_counts: (l,) how many of them each sentence has, at least one; together P.

        Returns:
            (n, l) float32.
        """
        photos, most, dim = region_vectors.shape
        self._products = _at_least(self._products, photos * most * len(words))
        self._per_word = _at_least(self._per_word, photos * len(words))
        # products: (n, M, P)
        products = self._products[: photos * most * len(words)].reshape(photos, most, len(words))
        per_word = self._per_word[: photos * len(words)].reshape(photos, len(words))  # (n, P)
        flat = region_vectors.reshape(photos * most, dim).astype(np.float32, copy=False)
        # Padding may hold anything: its products are replaced below
        with np.errstate(invalid="ignore", over="ignore"):
            np.matmul(
                flat,
                words.astype(np.float32, copy=False).T,
                out=products.reshape(photos * most, len(words)),
            )
        self._over_regions(products, np.arange(most) >= region_counts[:, None], per_word)
        # reduceat sums each sentence's words without padding them to one length.
        scores: np.ndarray = np.add.reduceat(per_word, np.cumsum(word_counts) - word_counts, axis=1)
        if self._kind == "mean":
            scores /= word_counts.astype(np.float32)
        return scores

    def _over_regions(
        self, products: np.ndarray, padding: np.ndarray, per_word: np.ndarray
    ) -> None:
        """Reduces `products` (n, M, P) over regions into each word's part of a score, (n, P).

        Overwrites `products` and writes to `per_word`. Regions are the middle axis, so that the
        maximum runs over whole rows of words at a time. Padding, (n, M), gets the lowest value
        before the maximum and zero before the sum. Zero before the maximum would turn a true
        maximum of -0.5 into 0.
        """
        if self._kind == "sum":
            products[padding] = 0
            np.maximum(products, 0, out=products)
            np.add.reduce(products, axis=1, out=per_word)
        else:
            products[padding] = _LOWEST
            np.maximum.reduce(products, axis=1, out=per_word)


def tiles_of_photos(photos: int, regions: int, tile: int = TILE) -> list[slice]:
    """Cuts N photos of at most M regions into runs of about `tile` regions, a photo at least.

    Raises:
        ValueError: if `tile` is below 1.
    """
    if tile < 1:
        raise ValueError(f"tile must be at least 1, not {tile}")
    step = max(1, tile // max(1, regions))
    return [slice(start, min(start + step, photos)) for start in range(0, photos, step)]


def tiles_of_rows(counts: np.ndarray, tile: int = TILE) -> Iterator[slice]:
    """Cuts sentences of so many words, or photos of so many regions, (L,), into runs.

    A run has at most `tile` of these, a sentence or photo at least.
    """
    ends = np.cumsum(counts)
    start = 0
    while start < len(ends):
        before = ends[start] - counts[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + tile, side="right")))
        yield slice(start, stop)
        start = stop


def pad(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stacks L arrays (t, h) of different lengths, zeros after each.

    Returns:
        (L, T, h) float32 with T the greatest t, and the lengths, (L,) int64.

    Raises:
        ValueError: if there is no array, or they differ in h.
    """
    if not arrays:
        raise ValueError("there is nothing to pad")
    widths = {array.shape[1:] for array in arrays}
    if len(widths) != 1 or arrays[0].ndim != 2:
        raise ValueError(f"arrays to pad must be (t, h) with one h, found {sorted(widths)} after t")
    counts = np.array([len(array) for array in arrays], dtype=np.int64)
    padded = np.zeros((len(arrays), int(counts.max()), arrays[0].shape[1]), np.float32)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded, counts


def _at_least(buffer: np.ndarray, size: int) -> np.ndarray:
    """The buffer, or a new one if it is too small."""
    return buffer if len(buffer) >= size else np.empty(size, np.float32)


def _check_kind(kind: str) -> None:
    if kind not in FORMULAS:
        known = ", ".join(f'"{each}" ({formula})' for each, formula in FORMULAS.items())
        raise ValueError(f"kind must be one of {known}, not {kind!r}")


def _check(name: str, vectors: np.ndarray, counts: np.ndarray) -> None:
    if vectors.ndim != 3:
        raise ValueError(f"{name}_vectors must have three axes, found shape {vectors.shape}")
    if counts.shape != vectors.shape[:1] or not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(
            f"{name}_counts must be {len(vectors)} integers, found {counts.dtype} {counts.shape}"
        )
    if len(counts) and not (counts.min() >= 1 and counts.max() <= vectors.shape[1]):
        raise ValueError(
            f"{name}_counts must lie in 1..{vectors.shape[1]}, found {counts.min()}..{counts.max()}"
        )


# Learned magnitudes: a score adds raw dot products v_i·s_t, none of them normalised, and |v_i·s_t|
# ≤ ‖v_i‖ ‖s_t‖: a word or a region with a short vector can hardly move a score, whatever it meets.


def lengths_of(vectors: np.ndarray) -> np.ndarray:
    """Euclidean lengths ‖v_i‖ of regions, or ‖s_t‖ of words, in units of the shared space.

    Args:
        vectors: (N, h), any float type.

    Returns:
        (N,) float64, not negative.

    >>> lengths_of(np.array([[3, 4], [0, 0]], np.float32)).tolist()
    [5.0, 0.0]
    """
    found: np.ndarray = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return found


def longest(lengths: np.ndarray, k: int | None = None) -> np.ndarray:
    """The rows of the k longest vectors, the longest first; of equal ones the first row first.

    Args:
        lengths: (N,).
        k: at least 1; None, or more than N, for all.

    Returns:
        (min(k, N),) int64.

    >>> longest(np.array([2.0, 5.0, 5.0, 1.0]), 3).tolist()
    [1, 2, 0]
    """
    return np.argsort(-lengths, kind="stable")[:k]


def shortest(lengths: np.ndarray, k: int | None = None) -> np.ndarray:
    """The same for the shortest, the shortest first; of equal ones the first row first, too."""
    return np.argsort(lengths, kind="stable")[:k]


def decimals(lengths: np.ndarray) -> int:
    """Decimals that show the longest of some vectors with three digits, whatever the space's scale.

    >>> [decimals(np.array([longest, 0.01])) for longest in (0.0123, 1.23, 123.0, 12300.0)]
    [4, 2, 0, 0]
    """
    top = float(lengths.max())
    return max(0, _DIGITS - 1 - math.floor(math.log10(top))) if top > 0 else _DIGITS - 1
