"""When a taught pack counts as worse."""

from __future__ import annotations

import numpy as np
import pytest

from regiontalk.evaluation.retrieval.ranks import Ranks
from regiontalk.training.teach_measure import HeldOutScores, worsened


def scores(photos: list[int], sentences: list[int], owners: list[int], cider: list[float]) -> HeldOutScores:
    return HeldOutScores(Ranks(np.array(photos), np.array(sentences), np.array(owners)), np.array(cider))


def test_numbers_by_hand() -> None:
    """Two photos; the second has three of the four captions."""
    found = scores([1, 3], [1, 2, 6, 1], [0, 1, 1, 1], [50.0, 100.0])
    assert found.numbers() == {
        "image_to_text_r1": 50,
        "image_to_text_r5": 100,
        "text_to_image_r1": 50,
        "text_to_image_r5": 75,
        "mean_recall": 68.75,
        "cider": 75,
    }
    twice = np.array([0.0, 2.0])  # the second photo alone
    assert found.recalls(twice) == pytest.approx(
        {
            "image_to_text_r1": 0,
            "image_to_text_r5": 100,
            "text_to_image_r1": 100 / 3,
            "text_to_image_r5": 200 / 3,
        }
    )
    assert found.mean_cider(twice) == 100


def some(hits: int, cider: float, photos: int = 40) -> HeldOutScores:
    """Photos with a caption each, so many of which are found first."""
    ranks = [1] * hits + [9] * (photos - hits)
    return scores(ranks, ranks, list(range(photos)), [cider + n % 7 for n in range(photos)])


def test_what_is_the_same_or_better_is_not_worse() -> None:
    assert worsened(some(20, 60), some(20, 60)) == []
    assert worsened(some(20, 60), some(30, 90)) == []


def test_a_few_photos_less_are_noise() -> None:
    assert worsened(some(20, 60), some(19, 60)) == []


def test_recalls_or_captions_that_fall_are_told() -> None:
    (recalls,) = worsened(some(30, 60), some(10, 60))
    assert recalls.startswith("the mean of the recalls falls from 75.0 to 25.0 (95 % interval of the difference: -")
    (captions,) = worsened(some(20, 60), some(20, 40))
    assert captions == "CIDEr falls from 62.9 to 42.9 (95 % interval of the difference: -20.0 to -20.0)"
    assert len(worsened(some(30, 60), some(10, 40))) == 2
