"""The score S_kl of photo k and sentence l (Eq. 7 and 8).

Axis names: N photos, M regions, L sentences, T words, h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Kind = Literal["max", "sum"]

_LOWEST = np.float32(-np.inf)


def score_matrix(
    region_vectors: np.ndarray,
    region_counts: np.ndarray,
    word_vectors: np.ndarray,
    word_counts: np.ndarray,
    kind: Kind = "max",
    tile: int = 64,
) -> np.ndarray:
    """Scores every photo with every sentence.

    "max" is Eq. 8, S_kl = Σ_t max_i v_i·s_t; "sum" is Eq. 7, S_kl = Σ_t Σ_i max(0, v_i·s_t). Raw dot products: nothing
    is normalised. Padding takes no part, whatever it holds.

    Args:
        region_vectors: (N, M, h), v_i, the regions of photo k in its first `region_counts[k]` rows.
        region_counts: (N,) integers in 1..M.
        word_vectors: (L, T, h), s_t, the words of sentence l in its first `word_counts[l]` rows.
        word_counts: (L,) integers in 1..T.
        kind: "max" or "sum".
        tile: photos and sentences that are multiplied at a time. It bounds the memory to tile² M T numbers and changes
            nothing but the rounding.

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
    """
    if kind not in ("max", "sum"):
        raise ValueError(f'kind must be "max" (Eq. 8) or "sum" (Eq. 7), not {kind!r}')
    if tile < 1:
        raise ValueError(f"tile must be at least 1, not {tile}")
    _check("region", region_vectors, region_counts)
    _check("word", word_vectors, word_counts)
    if region_vectors.shape[2] != word_vectors.shape[2]:
        raise ValueError(f"regions have {region_vectors.shape[2]} dimensions and words {word_vectors.shape[2]}")

    scores = np.empty((len(region_vectors), len(word_vectors)), np.float32)
    for first in range(0, len(word_vectors), tile):
        sentences = slice(first, first + tile)
        words, starts = _without_padding(word_vectors[sentences], word_counts[sentences])
        for start in range(0, len(region_vectors), tile):
            photos = slice(start, start + tile)
            per_word = _score_words(region_vectors[photos], region_counts[photos], words, kind)
            scores[photos, sentences] = np.add.reduceat(per_word, starts, axis=1)
    return scores


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


def _score_words(regions: np.ndarray, counts: np.ndarray, words: np.ndarray, kind: Kind) -> np.ndarray:
    """What each of P words adds to the score of each photo: (N, P) float32.

    Padded regions get the lowest value before the maximum and zero before the sum. Zero before the maximum would turn
    a true maximum of -0.5 into 0.
    """
    photos, most, dim = regions.shape
    padding = np.arange(most) >= counts[:, None]  # (N, M)
    vectors = np.where(padding[:, :, None], np.float32(0), regions).astype(np.float32, copy=False)
    flat = vectors.reshape(photos * most, dim)
    products = (flat @ words.T).reshape(photos, most, len(words))  # (N, M, P)
    per_word: np.ndarray
    if kind == "sum":
        # Padded regions are zeros here, and so are their products.
        per_word = np.maximum(products, 0, out=products).sum(axis=1)
    else:
        products[padding] = _LOWEST
        per_word = products.max(axis=1)
    return per_word


def _without_padding(word_vectors: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words of all sentences one after the other, (P, h) float32, and where each sentence starts, (L,)."""
    real = np.arange(word_vectors.shape[1]) < counts[:, None]  # (L, T)
    starts = np.cumsum(counts) - counts
    return word_vectors[real].astype(np.float32, copy=False), starts


def _check(name: str, vectors: np.ndarray, counts: np.ndarray) -> None:
    if vectors.ndim != 3:
        raise ValueError(f"{name}_vectors must have three axes, found shape {vectors.shape}")
    if counts.shape != vectors.shape[:1] or not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(f"{name}_counts must be {len(vectors)} integers, found {counts.dtype} {counts.shape}")
    if len(counts) and not (counts.min() >= 1 and counts.max() <= vectors.shape[1]):
        raise ValueError(f"{name}_counts must lie in 1..{vectors.shape[1]}, found {counts.min()}..{counts.max()}")
