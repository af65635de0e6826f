from itertools import permutations

import pytest

from regiontalk.captioning.beam import Hypothesis
from regiontalk.captioning.fitting import best_fitting

LIKELY, FITTING = Hypothesis((5, 6, 7), -2.0), Hypothesis((8,), -3.0)


@pytest.mark.parametrize(("weight", "best"), [(0.0, LIKELY), (0.49, LIKELY), (0.51, FITTING), (100.0, FITTING)])
def test_the_weight_decides_between_what_is_likely_and_what_fits(weight: float, best: Hypothesis) -> None:
    assert best_fitting([LIKELY, FITTING], [1.0, 3.0], weight) == best


def test_lengths_count_as_in_the_search() -> None:
    """-2 / 4 = -0.5 against -3 / 2 = -1.5: with α = 1 it takes another weight."""
    assert best_fitting([LIKELY, FITTING], [1.0, 2.0], 0.99, length_normalisation=1.0) == LIKELY
    assert best_fitting([LIKELY, FITTING], [1.0, 2.0], 1.01, length_normalisation=1.0) == FITTING


def test_unfinished_captions_come_last_however_well_they_fit() -> None:
    unfinished = Hypothesis((5,), -0.1, finished=False)
    for found in permutations([LIKELY, FITTING, unfinished]):
        scores = [50.0 if each is unfinished else 0.0 for each in found]
        assert best_fitting(found, scores, 1.0) == LIKELY
    assert best_fitting([unfinished], [0.0], 1.0) == unfinished


def test_of_equal_ones_the_first_found_stays() -> None:
    twin = Hypothesis((9,), LIKELY.log_prob)
    assert best_fitting([LIKELY, twin], [2.0, 2.0], 1.0) is LIKELY
