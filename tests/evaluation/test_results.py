"""The bootstrap, and what is printed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.results import draw, draws, interval, printed


@given(st.integers(1, 30), st.integers(0, 99))
def test_as_many_photos_are_drawn_as_there_are(photos: int, seed: int) -> None:
    times = draw(photos, np.random.default_rng(seed))
    assert times.shape == (photos,)
    assert times.sum() == photos


@given(st.lists(st.integers(-3, 9), min_size=1, max_size=20), st.integers(0, 99))
def test_questions_about_a_photo_are_drawn_together(photos: list[int], seed: int) -> None:
    for times in draws(np.array(photos), 3, seed):
        by_photo = {
            photo: {int(n) for n, of in zip(times, photos, strict=True) if of == photo}
            for photo in photos
        }
        assert all(len(each) == 1 for each in by_photo.values())
        assert sum(each.pop() for each in by_photo.values()) == len(set(photos))


def test_every_photo_is_drawn_once_on_average() -> None:
    times = np.mean(list(draws(np.arange(5), 4000)), axis=0)
    assert times == pytest.approx(np.ones(5), abs=0.06)


def test_draws_are_seeded() -> None:
    one, again, other = (np.stack(list(draws(np.arange(9), 4, seed))) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    with pytest.raises(ValueError, match="samples must be at least 1, not 0"):
        list(draws(np.arange(9), 0))


def test_the_middle_95_percent() -> None:
    assert interval(np.arange(41)) == pytest.approx([1, 39])


def test_only_numbers_are_rounded_and_the_signature_is_not() -> None:
    numbers = {"a": 1 / 3, "b": None, "c": {"word": "dog", "photos": 2, "edges": (0.12345, 1)}}
    assert printed({"beta": 1 / 3}, **numbers) == {
        "a": 0.3333,
        "c": {"word": "dog", "photos": 2, "edges": [0.1235, 1]},
        "signature": {"beta": 1 / 3},
    }
