"""What two stages miss: their best photos compared with the exact ones.

Axis names: T words, h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.search.engine import ExactEngine, TwoStageEngine
from regiontalk.search.index import Index

CANDIDATES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""What `measure_recall` tries, as far as the index has more photos."""


@dataclass(frozen=True)
class Recall:
    """What was found with so many candidates.

    Attributes:
        candidates: photos that the first stage fetches.
        recall: the share of the exact k best that were among two stages' k best, mean over the queries, 0 to 1.
        worst: the same of the worst query.
    """

    candidates: int
    recall: float
    worst: float


def measure_recall(
    index: Index,
    queries: Sequence[np.ndarray],
    k: int = 10,
    threads: int | None = None,
    done: Callable[[], None] = lambda: None,
) -> list[Recall]:
    """How many of the exact k best photos two stages find, for growing numbers of candidates.

    Args:
        index: open, with more than k photos.
        queries: each the words of a sentence, (T, h); at least one.
        k: recall@k.
        threads: cores to use; None for as many as the process may.
        done: called after each query.

    Returns:
        For each of `CANDIDATES` below the number of photos, in order; empty if there are no more photos than the least
        of them, for then every photo is a candidate.
    """
    exact = ExactEngine(index, threads)
    engines = {n: TwoStageEngine(index, n, threads) for n in CANDIDATES if k <= n < index.photos}
    found: dict[int, list[float]] = {n: [] for n in engines}
    for words in queries:
        best = exact.ranked(words, k)[0]
        for candidates, engine in engines.items():
            hits = engine.ranked(words, k)[0]
            found[candidates].append(len(np.intersect1d(best, hits)) / len(best))
        done()
    return [Recall(n, float(np.mean(each)), min(each)) for n, each in found.items()]
