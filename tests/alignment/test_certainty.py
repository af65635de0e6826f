"""Probabilities of words, phrases and sentences, by hand and by a brute-force fit.

And where there are none.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.alignment.certainty import (
    ABSENT,
    SEARCHED,
    at_prior,
    caption_probability,
    fit,
    log_odds,
    log_odds_of,
    phrase_probability,
    probability,
    region_caption_probability,
)
from regiontalk.alignment.mrf import phrases
from regiontalk.settings import CertaintySettings


def logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def test_log_odds_are_a_line() -> None:
    settings = CertaintySettings(slope=0.5, offset=-1.0)
    assert log_odds(np.array([0.0, 4.0], np.float32), settings).tolist() == [-1.0, 1.0]


def test_by_hand() -> None:
    assert probability([]) is None
    assert probability([1.5]) == pytest.approx(logistic(1.5))
    assert probability([1.0, 2.0, -1.0, 0.0]) == pytest.approx(logistic(2 / 2))
    assert probability([1.5], prior=0.2) == pytest.approx(logistic(1.5 + math.log(0.25)))


def test_huge_odds_overflow_nothing() -> None:
    assert probability([1e300]) == 1.0
    assert probability([-1e300]) == 0.0


@given(st.floats(-15, 15), st.floats(0.001, 0.999))
def test_another_prior_afterwards_is_that_prior_before(odds: float, prior: float) -> None:
    told = probability([odds])
    assert at_prior(told, prior) == pytest.approx(probability([odds], prior), rel=1e-6)
    assert at_prior(None, prior) is None


@given(st.floats(-15, 15))
def test_log_odds_of_a_probability(odds: float) -> None:
    assert log_odds_of(logistic(odds)) == pytest.approx(odds, abs=1e-6)


def test_a_phrase_is_told_by_its_words_that_are_not_absent() -> None:
    absent, there = log_odds_of(ABSENT) - 0.1, 3.0
    assert phrase_probability([None, there, None, absent]) == pytest.approx(logistic(there))
    assert phrase_probability([absent, absent]) == pytest.approx(
        logistic(2 * absent / math.sqrt(2))
    )
    assert phrase_probability([None, None]) is None


@given(st.integers(0, 1000), st.booleans())
def test_fit_finds_the_likeliest_line(seed: int, even: bool) -> None:
    rng = np.random.default_rng(seed)
    shown = rng.random(60) < 0.3
    shown[:2] = True, False
    evidence = rng.normal(0, 2, 60) + 2 * shown
    slope, offset = fit(evidence, shown, even)
    weights = (
        np.where(shown, 0.5 / shown.sum(), 0.5 / (~shown).sum()) if even else np.full(60, 1 / 60)
    )

    def surprise(slope: float, offset: float) -> float:
        odds = slope * evidence + offset
        return float((weights * np.logaddexp(0, np.where(shown, -odds, odds))).sum())

    best = surprise(slope, offset)
    for by_slope, by_offset in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        if slope + by_slope >= 0:
            assert best <= surprise(slope + by_slope, offset + by_offset) + 1e-7


def test_fit_needs_both_answers_and_stays_finite() -> None:
    with pytest.raises(ValueError, match="some are answered by yes"):
        fit(np.array([1.0, 2.0]), np.array([True, True]))
    apart, _ = fit(np.array([-1.0, 1.0]), np.array([False, True]))
    assert math.isfinite(apart) and apart > 0
    assert fit(np.array([1.0, -1.0]), np.array([False, True]))[0] == 0  # never the wrong way round
    assert fit(np.array([1.0, 1.0]), np.array([False, True]))[1] == pytest.approx(0, abs=1e-3)


def test_captions_by_hand() -> None:
    settings = CertaintySettings(1.0, 0.0, caption_slope=0.5, caption_offset=2.0)
    assert caption_probability(-6.0, [1.0, -4.0, 3.0], settings) == pytest.approx(logistic(-1))
    assert caption_probability(-4.0, [2.0], settings) == pytest.approx(0.5)
    assert caption_probability(-1.0, [-2.0, -3.0], settings) == pytest.approx(logistic(-2)), (
        "its surest word is absent"
    )
    assert caption_probability(-1.0, [], settings) == 0
    assert caption_probability(-1.0, [2.0], CertaintySettings(1.0, 0.0)) is None


def test_captions_of_regions_by_hand() -> None:
    settings = CertaintySettings(1.0, 0.0, 0.5, -1.0, region_slope=0.25, region_offset=2.0)
    evidence = (3.0 + 1.0) / math.sqrt(2)
    assert region_caption_probability([1.0, -4.0, 3.0], settings) == pytest.approx(
        logistic(0.25 * evidence + 2)
    )
    assert region_caption_probability([-9.0], settings) == pytest.approx(logistic(-0.25))
    assert region_caption_probability([], settings) == 0
    assert region_caption_probability([2.0], CertaintySettings(1.0, 0.0, 0.5, -1.0)) is None


def test_phrases_say_how_sure_they_are() -> None:
    words, boxes = (
        ["a", "dog", "and", "an", "elephant"],
        np.array([[0, 0, 8, 8], [1, 1, 4, 4]], np.float32),
    )
    unary = np.zeros((5, 2))
    path = np.array([1, 1, 0, 1, 1])
    odds = [None, 3.0, None, None, -3.0]
    dog, joint, elephant = phrases(words, path, unary, boxes, odds)
    assert dog.found and dog.sure == pytest.approx(logistic(3))
    assert not joint.found and joint.sure is None
    assert not elephant.found and elephant.sure == pytest.approx(logistic(-3))
    assert [each.found for each in phrases(words, path, unary, boxes)] == [True, False, True]
    assert {each.sure for each in phrases(words, path, unary, boxes)} == {None}


def test_a_search_starts_from_what_is_rare() -> None:
    assert at_prior(0.5, SEARCHED) == pytest.approx(SEARCHED)
