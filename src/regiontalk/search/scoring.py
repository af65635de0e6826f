"""Exact scores of stored regions, a tile at a time, on all cores.

Axis names: P photos, R regions of all of them, M regions of a photo, T words, h dimensions of the
shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from regiontalk.alignment.score import Kind
from regiontalk.search.storage import decode, floats
from regiontalk.structures import Sentence
from regiontalk.vision.session import available_cpus

TILE_NUMBERS = 1 << 21
"""Elements of region vectors in a tile, 8 MB of float32: smaller tiles cost more in calls than they
gain in the caches."""

_SMALL_PRODUCT = 1 << 18
"""Multiply-adds up to which OpenBLAS computes a product on the calling core, without packing its
operands: packing costs as much as so narrow a product itself, and other cores have tiles of their
own."""

_TILES_A_TASK = 16


def photo_scores(
    vectors: np.ndarray,
    scales: np.ndarray,
    row_ends: np.ndarray,
    words: np.ndarray,
    threads: int | None = None,
) -> np.ndarray:
    """S of Eq. 8 for each photo: Σ_t max_i v_i·s_t, raw dot products.

    Args:
        vectors: (R, h) as stored, see `regiontalk.search.storage`.
        scales: (R,) for int8, else empty.
        row_ends: (P,) rising, the last R: photo p has the rows from `row_ends[p - 1]` to
            `row_ends[p]`, at least one.
        words: (T, h) float32, s_t; or the regions of another photo.
        threads: worker threads for tiles; None for as many as the process may use.

    Returns:
        (P,) float32.

    >>> v = np.array([[1, 0], [0, 2], [1, 1]], np.float32)  # photos of two regions and one
    >>> photo_scores(v, np.empty(0), np.array([2, 3]), np.array([[3, 1], [-1, -1]], np.float32))
    array([2., 2.], dtype=float32)
    """
    scores = np.empty(len(row_ends), np.float32)
    columns = np.ascontiguousarray(words.T, np.float32)  # (h, T)

    def score(photos: slice) -> None:
        rows = slice(_row(row_ends, photos.start), _row(row_ends, photos.stop))
        products = _products(vectors[rows], _part(scales, rows), columns)  # (rows, T)
        best = _best_of_each_photo(products, row_ends[photos] - rows.start)  # (photos, T)
        np.add.reduce(best, axis=1, out=scores[photos])

    _in_threads(score, _tiles(row_ends, vectors.shape[1]), threads)
    return scores


def of_kind(score: float, sentence: Sentence, kind: Kind) -> float:
    """Converts an engine's score to that of `Model.score`; "max" and "mean" rank photos alike.

    Args:
        score: an engine's: Eq. 8 less the photo's hubness for each word.
        sentence: the query.
        kind: "max" or "mean".

    Raises:
        ValueError: if `kind` is "sum", which ranks differently.

    >>> words, ids = ("a", "red", "bus"), np.array([2, 3, 4])
    >>> of_kind(6.0, Sentence("a red bus", words, ids, np.ones((3, 1))), "mean")
    2.0
    """
    if kind == "sum":
        raise ValueError("Eq. 7 does not follow from Eq. 8")
    return score / len(sentence) - sentence.hubness if kind == "mean" else score


def row_scores(
    vectors: np.ndarray, scales: np.ndarray, query: np.ndarray, threads: int | None = None
) -> np.ndarray:
    """Dot product v_i·q of each row, (R,) float32.

    Args:
        vectors, scales: (R, h) and (R,) or empty, as stored.
        query: (h,) float32.
        threads: as in `photo_scores`.
    """
    scores = np.empty(len(vectors), np.float32)
    step = max(1, TILE_NUMBERS // vectors.shape[1])

    def score(rows: slice) -> None:
        # Not a matrix-vector product, for which OpenBLAS would start threads beside ours.
        np.vecdot(floats(vectors[rows]), query.astype(np.float32, copy=False), out=scores[rows])
        if len(scales):
            scores[rows] *= scales[rows]

    _in_threads(
        score,
        [slice(at, min(at + step, len(vectors))) for at in range(0, len(vectors), step)],
        threads,
    )
    return scores


def best_rows(scores: np.ndarray, row_ends: np.ndarray) -> np.ndarray:
    """Argmax row of each photo, (P,) rising; ties go to the first row.

    Args:
        scores: (R,).
        row_ends: (P,), as in `photo_scores`.

    >>> best_rows(np.array([1.0, 3.0, 3.0, 2.0, 0.0]), np.array([3, 5]))
    array([1, 3])
    """
    counts = np.diff(row_ends, prepend=0)
    photos = np.repeat(np.arange(len(row_ends)), counts)  # (R,)
    best = np.maximum.reduceat(scores, row_ends - counts)  # (P,)
    rows = np.flatnonzero(scores == best[photos])
    first: np.ndarray = rows[np.unique(photos[rows], return_index=True)[1]]
    return first


def cosines(vectors: np.ndarray, query: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Cosine v·q / (|v| |q|) of each row, (P,) float32, -1 to 1; 0 for a zero vector.

    Args:
        vectors: (P, h) float32.
        query: (h,) float32.
        threads: as in `photo_scores`.

    >>> cosines(np.array([[0, 2], [3, 4], [0, 0]], np.float32), np.array([0, 5], np.float32))
    array([1. , 0.8, 0. ], dtype=float32)
    """
    found = row_scores(vectors, np.empty(0, np.float32), query, threads)
    lengths = np.sqrt(np.vecdot(query, query)) * np.sqrt(np.vecdot(vectors, vectors))  # (P,)
    with np.errstate(over="ignore", invalid="ignore"):  # as in `_in_threads`
        np.divide(found, lengths, out=found, where=lengths > 0)
    return np.clip(found, -1, 1, out=found)


def gathered(
    vectors: np.ndarray, scales: np.ndarray, row_ends: np.ndarray, photos: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Decoded regions of some photos, (r, h) float32, and the end of each photo's rows, (n,)."""
    starts = np.where(photos > 0, row_ends[photos - 1], 0)
    counts = row_ends[photos] - starts
    ends = np.cumsum(counts)
    rows = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return decode(vectors[rows], _part(scales, rows)), ends


def top(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k greatest scores but −∞, the greatest first; ties go to the first.

    >>> top(np.array([1.0, 3.0, 1.0, -np.inf, 2.0]), 3)
    array([1, 4, 0])
    """
    if k < len(scores):
        limit = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > limit)
        chosen = np.concatenate([above, np.flatnonzero(scores == limit)[: k - len(above)]])
    else:
        chosen = np.arange(len(scores))
    chosen = np.sort(chosen[scores[chosen] > -np.inf])
    order: np.ndarray = chosen[np.argsort(-scores[chosen], kind="stable")]
    return order


def _products(vectors: np.ndarray, scales: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Rows times words, (r, h) by (h, T) -> (r, T) float32."""
    rows, dim = vectors.shape
    block = max(1, _SMALL_PRODUCT // columns.size)  # rows that are multiplied together
    whole = rows - rows % block
    numbers = floats(vectors)
    products = np.empty((rows, columns.shape[1]), np.float32)
    blocks = (-1, block, dim), (-1, block, columns.shape[1])
    np.matmul(numbers[:whole].reshape(blocks[0]), columns, out=products[:whole].reshape(blocks[1]))
    np.matmul(numbers[whole:], columns, out=products[whole:])
    if len(scales):
        products *= scales[:, None]
    return products


def _best_of_each_photo(products: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Maximum over the regions of each photo: (r, T) -> (photos, T). Overwrites `products`."""
    regions, words = int(ends[0]), products.shape[1]
    if len(products) != regions * len(ends) or (np.diff(ends) != regions).any():
        starts = np.concatenate([[0], ends[:-1]])
        ragged: np.ndarray = np.maximum.reduceat(products, starts, axis=0)
        return ragged
    # All photos have the same number of regions: maxima of two halves, until one is left, run
    # over long contiguous memory.
    folded = products.reshape(len(ends), regions, words)
    while regions > 1:
        half = regions // 2
        np.maximum(folded[:, :half], folded[:, regions - half : regions], out=folded[:, :half])
        regions -= half
    return folded[:, 0]


def _tiles(row_ends: np.ndarray, dim: int) -> list[slice]:
    """Runs of whole photos with about `TILE_NUMBERS` elements, at least one photo."""
    if not len(row_ends):
        return []
    rows = max(1, TILE_NUMBERS // dim)
    cuts = np.searchsorted(row_ends, np.arange(rows, row_ends[-1], rows), side="right")
    edges = np.unique(np.concatenate([[0], cuts, [len(row_ends)]]))
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _in_threads(work: Callable[[slice], None], tiles: Sequence[slice], threads: int | None) -> None:
    """Runs `work` on tiles in a thread pool: NumPy releases the GIL in products and comparisons."""
    workers = min(threads or available_cpus(), -(-len(tiles) // _TILES_A_TASK))

    def some(start: int) -> None:
        # Damaged vectors may overflow: callers check the scores
        with np.errstate(over="ignore", invalid="ignore"):
            for tile in tiles[start : start + _TILES_A_TASK]:
                work(tile)

    starts = range(0, len(tiles), _TILES_A_TASK)
    if workers <= 1:
        for start in starts:
            some(start)
        return
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(some, starts):
            pass


def _row(row_ends: np.ndarray, photo: int) -> int:
    return int(row_ends[photo - 1]) if photo else 0


def _part(scales: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    part: np.ndarray = scales[rows] if len(scales) else scales
    return part
