"""R-precision of class names: by hand, against a plain loop, and ties; the result as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.search import SearchedClass, SearchResult, r_precision


def test_by_hand() -> None:
    scores = np.array([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0]])
    relevant = np.array([[True, False, True, False], [True, False, False, False]])
    assert r_precision(scores, relevant).tolist() == [0.5, 0.0]


def test_every_photo_alike_is_the_worst_of_orders() -> None:
    relevant = np.array([[True, True, False, False, False]])
    assert r_precision(np.zeros((1, 5)), relevant).tolist() == [0.0]
    assert r_precision(np.zeros((1, 5)), np.ones((1, 5), bool)).tolist() == [1.0]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=9))
def test_it_equals_a_plain_loop(photos: list[tuple[int, bool]]) -> None:
    scores, relevant = np.array([s for s, _ in photos]), np.array([r for _, r in photos])
    if not relevant.any():
        return
    ranked = sorted(photos, key=lambda photo: (-photo[0], photo[1]))
    first = ranked[: int(relevant.sum())]
    expected = sum(right for _, right in first) / len(first)
    assert r_precision(scores[None], relevant[None])[0] == pytest.approx(expected)


def test_a_result_to_json() -> None:
    by_class = {"dog": SearchedClass("dog", 3, 2 / 3)}
    result = SearchResult(2 / 3, 0.5, by_class, {"emu": 1}, {"ties": "lost"})
    assert json.dumps(result.to_json()) == (
        '{"r_precision": 0.6667, "chance": 0.5, "by_class": {"dog": {"word": "dog", "photos": 3, '
        '"r_precision": 0.6667}}, "unknown_classes": {"emu": 1}, "signature": {"ties": "lost"}}'
    )
