"""Accuracy and calibration: by hand and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.certainty.metric import certainty_scores


def test_by_hand() -> None:
    told = np.array([0.95, 0.85, 0.3, 0.05, 1.0])
    found = np.array([True, True, False, False, True])
    shown = np.array([True, False, True, False, True])
    scores = certainty_scores(told, found, shown)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.accuracy_shown == pytest.approx(
        2 / 3
    ) and scores.accuracy_absent == pytest.approx(1 / 2)
    # bins 0.0: |0.05 - 0|, 0.3: |0.3 - 1|, 0.8: |0.85 - 0|, 0.9 with 1.0: 2 · |0.975 - 1|
    assert scores.calibration_error == pytest.approx((0.05 + 0.7 + 0.85 + 0.05) / 5)
    assert [(each.low, each.questions) for each in scores.bins] == [
        (0.0, 1),
        (0.3, 1),
        (0.8, 1),
        (0.9, 2),
    ]


answers = st.lists(
    st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), min_size=2, max_size=30
)


@given(answers)
def test_it_equals_a_plain_loop(given_: list[tuple[float, bool, bool]]) -> None:
    if len({shown for _, _, shown in given_}) < 2:
        return
    told, found, shown = (np.array(column) for column in zip(*given_, strict=True))
    scores = certainty_scores(told, found, shown)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for each in given_:
        bins.setdefault(min(int(each[0] * 10), 9), []).append((each[0], each[2]))
    error = sum(
        abs(sum(told for told, _ in own) - sum(shown for _, shown in own)) for own in bins.values()
    )
    assert scores.calibration_error == pytest.approx(error / len(given_))
    assert scores.accuracy == pytest.approx(
        sum(found == shown for _, found, shown in given_) / len(given_)
    )
    assert sum(each.questions for each in scores.bins) == len(given_)
