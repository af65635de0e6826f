"""The curve of recall over k: it goes where its axes say."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.report.recall_curve import recall_curve, recalls

from .made import HOSTILE, assert_harmless


@given(st.lists(st.integers(1, 300), min_size=1), st.integers(1, 120))
def test_recalls_are_what_they_say(ranks: list[int], furthest: int) -> None:
    found = recalls(np.array(ranks), furthest)
    assert found.tolist() == [
        100 * sum(rank <= k for rank in ranks) / len(ranks) for k in range(1, furthest + 1)
    ]


def points(svg: str) -> list[list[tuple[float, float]]]:
    lines = re.findall(r"<polyline points='([^']*)'", svg)
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in line.split())]
        for line in lines
    ]


def test_curves_go_where_the_axes_say() -> None:
    svg = recall_curve({"a": np.array([1, 1, 2, 200]), "b": np.array([300])}, candidates=1000)
    first, second = points(svg)
    assert len(first) == len(second) == 100
    # 50 %, 75 %, 75 %
    assert (first[0], first[1], first[-1]) == ((52.0, 165.0), (first[1][0], 90.5), (624.0, 90.5))
    assert {y for _, y in second} == {314.0}  # 0 %
    page = assert_harmless(svg)
    assert page.all("svg")[0]["aria-label"] == (
        "Recall over k. a: 50.0 % at 1, 75.0 % at 5, 75.0 % at 10; b: "
        "0.0 % at 1, 0.0 % at 5, 0.0 % at 10"
    )
    assert {"1", "10", "100", "0 %", "100 %", "a", "b"} <= set(page.pieces)


def test_few_candidates_end_the_axis() -> None:
    svg = recall_curve({HOSTILE: np.array([1, 3])}, candidates=4)
    assert len(points(svg)[0]) == 4
    assert_harmless(svg)
    assert len(points(recall_curve({"a": np.array([1])}, candidates=1))[0]) == 2
