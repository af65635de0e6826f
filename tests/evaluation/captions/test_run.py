from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.captions import run as module
from regiontalk.evaluation.captions.run import nearest


def test_by_hand() -> None:
    candidates = np.array([[0, 0], [10, 0], [10, 10], [10, 10]], np.float32)
    queries = np.array([[1, 1], [6, 1], [9, 8], [5, 0]], np.float32)
    assert nearest(queries, candidates).tolist() == [0, 1, 2, 0]


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 1000), st.integers(1, 12))
def test_equals_all_distances_whatever_the_tile(
    queries: int, candidates: int, seed: int, tile: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-3, 4, (count, 3)).astype(np.float32) for count in (queries, candidates))
    expected = ((a[:, None] - b) ** 2).sum(axis=2).argmin(axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TILE", tile)
        np.testing.assert_array_equal(nearest(a, b), expected)


def test_memory_grows_with_the_tile_not_with_the_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TILE", 64)
    queries, candidates = (np.zeros((count, 4), np.float32) for count in (8000, 200))
    tracemalloc.start()
    nearest(queries, candidates)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The answer and some arrays of a tile's size
    assert peak < 8 * len(queries) + 10 * (8 * 64 * 64)


def test_small_differences_of_long_vectors_count() -> None:
    base = np.full((1, 400), 1000, np.float32)
    candidates = np.repeat(base, 3, axis=0)
    candidates[:, 0] += np.array([0.02, 0.01, 0.03], np.float32)
    assert nearest(base, candidates).tolist() == [1]


def test_wrong_input_is_refused() -> None:
    for queries, candidates in (((2, 3), (0, 3)), ((2, 3), (2, 4)), ((3,), (2, 3))):
        with pytest.raises(ValueError, match="expected"):
            nearest(np.zeros(queries), np.zeros(candidates))
