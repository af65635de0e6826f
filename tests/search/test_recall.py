"""Recall of two stages against the exact best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from regiontalk.search import recall as module
from regiontalk.search.engine import ExactEngine, TwoStageEngine
from regiontalk.search.index import Index
from regiontalk.search.recall import PROBES, measure_recall

from .made import DIM

QUERIES = [
    np.random.default_rng(seed).normal(0, 1, (3, DIM)).astype(np.float32) for seed in range(4)
]


def test_recall_is_the_share_that_is_found(
    make_index: Callable[..., Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CANDIDATES", (2, 5, 8, 30, 60))
    index = make_index([20, 20], dropped=[7])
    counted: list[None] = []
    measured = measure_recall(index, QUERIES, k=5, done=lambda: counted.append(None))
    assert [each.candidates for each in measured] == [5, 8, 30]
    assert len(counted) == 4
    for each in measured:
        shares = []
        for query in QUERIES:
            exact = {hit.entry.path for hit in ExactEngine(index).photos(query, 5)}
            found = {
                hit.entry.path for hit in TwoStageEngine(index, each.candidates).photos(query, 5)
            }
            shares.append(len(exact & found) / 5)
        assert each.recall == pytest.approx(np.mean(shares))
        assert each.worst == pytest.approx(min(shares))
    recalls = [each.recall for each in measured]
    assert recalls == sorted(recalls)
    assert recalls[0] < 1  # or nothing was measured


def test_fifty_different_probes() -> None:
    assert len(set(PROBES)) == len(PROBES) == 50
