"""Batches of captioned photos: everything comes round once, and nothing depends on how a run was cut."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.training.sentences import CaptionedPhotos, Sentences, Shuffled, Turns


def sentences_of(captions_per_photo: list[int]) -> Sentences:
    photos = np.repeat(np.arange(len(captions_per_photo)), captions_per_photo)
    return Sentences(tuple(np.array([row + 2]) for row in range(len(photos))), photos)


@pytest.mark.parametrize("captions", [1, 2, 5])
def test_an_epoch_offers_every_caption_of_five(captions: int) -> None:
    sentences = sentences_of([5] * 8)
    order = CaptionedPhotos(sentences, batch=4, captions=captions, seed=3)
    seen: Counter[int] = Counter()
    for step in range(order.epoch_steps):
        photos, rows = order.rows(step)
        assert len(set(photos)) == 4 and rows.shape == (captions, 4)
        assert (sentences.photos[rows] == photos).all()
        seen.update(rows.ravel().tolist())
    offered = order.epoch_steps * 4 * captions
    assert sum(seen.values()) == offered
    if captions != 2:  # two go into five two and a half times
        assert seen == Counter(range(40))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9).filter(any), st.integers(1, 6), st.integers(1, 4))
def test_rows_fit_whatever_the_numbers(counts: list[int], batch: int, captions: int) -> None:
    sentences = sentences_of(counts)
    order = CaptionedPhotos(sentences, batch, captions, seed=0)
    for step in range(2 * order.epoch_steps):
        photos, rows = order.rows(step)
        assert (sentences.photos[rows] == photos).all()
        assert len(set(photos)) == len(photos) == min(batch, sum(count > 0 for count in counts))
        for column in rows.T:
            most = Counter(column.tolist()).most_common(1)[0][1]
            assert most <= -(-captions // counts[sentences.photos[column[0]]]) + 1


def test_a_step_is_the_same_whenever_it_is_asked_for() -> None:
    sentences = sentences_of([3, 1, 4, 2])
    one, other = (CaptionedPhotos(sentences, 2, 2, seed=5) for _ in range(2))
    expected = [one.rows(step) for step in range(12)]
    for step in (11, 0, 7):
        assert all(np.array_equal(a, b) for a, b in zip(expected[step], other.rows(step), strict=True))
    assert any(not np.array_equal(expected[0][1], rows) for _, rows in expected[1:])


def test_shuffled_is_a_permutation_each_epoch() -> None:
    order = Shuffled(items=10, batch=5, seed=1)
    for epoch in range(3):
        rows = np.concatenate([order.rows(2 * epoch + within) for within in range(2)])
        assert sorted(rows) == list(range(10))
    assert Shuffled(items=3, batch=10, seed=1).rows(0).size == 3


def test_every_dataset_has_as_many_turns_as_its_share_says() -> None:
    datasets = [Sentences(tuple(np.array([2]) for _ in range(n)), np.arange(n)) for n in (40, 20)]
    orders = [CaptionedPhotos(each, batch=10, captions=1, seed=0) for each in datasets]
    turns = Turns(orders, [1.5, 3], seed=1)
    assert turns.epoch_steps == 6 + 6
    seen = [turns.turn(step) for step in range(3 * turns.epoch_steps)]
    for dataset, steps in enumerate((6, 6)):
        own = [step for which, step in seen if which == dataset]
        assert own == list(range(3 * steps))  # each dataset's own order goes on from epoch to epoch
    assert [which for which, _ in seen[:12]] != [which for which, _ in seen[12:24]]
    assert seen == [turns.turn(step) for step in range(3 * turns.epoch_steps)]


def test_a_small_share_is_still_a_turn() -> None:
    sentences = Sentences(tuple(np.array([2]) for _ in range(10)), np.arange(10))
    order = CaptionedPhotos(sentences, batch=10, captions=1, seed=0)
    assert Turns([order, order], [1, 0.01], seed=0).steps == [1, 1]
