"""When a taught pack counts as worse."""

from __future__ import annotations

import numpy as np
import pytest

from regiontalk.evaluation.retrieval.metric import retrieval
from regiontalk.evaluation.retrieval.ranks import Ranks
from regiontalk.training.teach_measure import HeldOutScores, without_shared, worsened


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


def test_captions_that_several_photos_have_are_wrong_for_none() -> None:
    """Brute force over random captions of three kinds."""
    rng = np.random.default_rng(0)
    owners = np.sort(rng.integers(0, 6, 20))
    captions, values = rng.integers(0, 3, 20).tolist(), rng.normal(size=(6, 20))
    found = without_shared(values, owners, captions)
    for photo in range(6):
        own = {captions[n] for n in range(20) if owners[n] == photo}
        for n in range(20):
            if owners[n] != photo and captions[n] in own:
                assert found[photo, n] < values.min()
            else:
                assert found[photo, n] == values[photo, n]


def test_photos_alike_in_all_they_are_said_to_show_find_each_other() -> None:
    values = np.ones((3, 3))
    found = retrieval(without_shared(values, np.arange(3), ["a dog", "a dog", "a dog"]), np.arange(3))
    assert found["image_to_text"]["r1"] == found["text_to_image"]["r1"] == 100
