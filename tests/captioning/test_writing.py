"""Reranking of candidates by their alignment score."""

from itertools import permutations

import pytest

from regiontalk.captioning.beam import Hypothesis
from regiontalk.captioning.writing import rerank

LIKELY, ALIGNED = Hypothesis((5, 6, 7), -2.0), Hypothesis((8,), -3.0)


@pytest.mark.parametrize(
    ("weight", "best"), [(0.0, LIKELY), (0.49, LIKELY), (0.51, ALIGNED), (100.0, ALIGNED)]
)
def test_the_weight_decides_between_what_is_likely_and_what_is_aligned(
    weight: float, best: Hypothesis
) -> None:
    assert rerank([LIKELY, ALIGNED], [1.0, 3.0], weight) == best


def test_lengths_count_as_in_the_search() -> None:
    """-2 / 4 = -0.5 against -3 / 2 = -1.5: with α = 1 it takes another weight."""
    assert rerank([LIKELY, ALIGNED], [1.0, 2.0], 0.99, length_normalisation=1.0) == LIKELY
    assert rerank([LIKELY, ALIGNED], [1.0, 2.0], 1.01, length_normalisation=1.0) == ALIGNED


def test_unfinished_captions_come_last_whatever_their_score() -> None:
    unfinished = Hypothesis((5,), -0.1, finished=False)
    for found in permutations([LIKELY, ALIGNED, unfinished]):
        scores = [50.0 if each is unfinished else 0.0 for each in found]
        assert rerank(found, scores, 1.0) == LIKELY
    assert rerank([unfinished], [0.0], 1.0) == unfinished


def test_of_equal_ones_the_first_found_stays() -> None:
    twin = Hypothesis((9,), LIKELY.log_prob)
    assert rerank([LIKELY, twin], [2.0, 2.0], 1.0) is LIKELY
