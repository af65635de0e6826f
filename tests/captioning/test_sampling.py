"""Captions drawn at random follow the probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest

from regiontalk.captioning.beam import BOUNDARY, greedy, sample

from .made import TableCaptioner, make_captioner, make_contexts


def test_samples_follow_the_probabilities() -> None:
    p = np.full((1, 5, 5), 1e-12)
    p[0, BOUNDARY, 2:] = 0.2, 0.5, 0.3
    p[0, 2:, BOUNDARY] = 1.0
    captioner, rng = TableCaptioner(np.log(p)), np.random.default_rng(0)

    def shares(temperature: float) -> list[float]:
        drawn = sample(captioner, np.zeros((20_000, 1)), temperature, rng)
        assert {round(h.log_prob, 4) for h in drawn} == {
            round(math.log(q), 4) for q in (0.2, 0.5, 0.3)
        }
        return [sum(h.ids == (word,) for h in drawn) / 20_000 for word in (2, 3, 4)]

    np.testing.assert_allclose(shares(1.0), [0.2, 0.5, 0.3], atol=0.015)  # four standard deviations
    np.testing.assert_allclose(shares(0.5), np.array([0.04, 0.25, 0.09]) / 0.38, atol=0.015)


def test_a_cold_sample_is_greedy_and_a_seed_repeats_itself() -> None:
    captioner, contexts = make_captioner("gru", 9, seed=5), make_contexts(4, seed=5)
    assert sample(captioner, contexts, 1e-4, np.random.default_rng(0), 6) == greedy(
        captioner, contexts, 6
    )
    once, again = (sample(captioner, contexts, 1.0, np.random.default_rng(7), 6) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_senseless_temperature(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        sample(
            make_captioner("gru", 5, 0), make_contexts(1, 0), temperature, np.random.default_rng(0)
        )
