"""Batches: each item once an epoch, whoever makes them and however a run was cut."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.errors import PhotoError
from regiontalk.training import batches as module
from regiontalk.training.batches import (
    AsTensor,
    CaptionedPhotos,
    Shuffled,
    Turns,
    batches_ahead,
    from_tensors,
    mixture,
    to_tensors,
)
from regiontalk.training.sentences import Sentences


@dataclass(frozen=True)
class Inner:
    large: np.ndarray
    rows: list[np.ndarray]


@dataclass(frozen=True)
class Made:
    step: int
    inner: Inner
    ids: torch.Tensor
    nothing: Inner | None = None


def made(step: int) -> Made:
    large = np.full((step % 3 + 20, 100), step, np.float32)
    return Made(step, Inner(large, [np.full(step, 7), np.empty((0, 4))]), torch.arange(step))


def assert_same(one: Made, other: Made) -> None:
    assert (one.step, one.nothing) == (other.step, other.nothing)
    np.testing.assert_array_equal(one.inner.large, other.inner.large)
    assert one.inner.large.dtype == other.inner.large.dtype
    assert [each.tolist() for each in one.inner.rows] == [
        each.tolist() for each in other.inner.rows
    ]
    assert one.ids.tolist() == other.ids.tolist()


def test_batches_of_other_processes_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    for large in (1, module.LARGE_BYTES):
        monkeypatch.setattr(module, "LARGE_BYTES", large)
        for step, batch in enumerate(batches_ahead(made, range(20), 3)):
            assert_same(batch, made(step))


def test_large_arrays_pass_in_shared_memory() -> None:
    tensors = to_tensors(made(1))
    assert isinstance(tensors.inner.large, AsTensor)
    assert isinstance(tensors.inner.rows[0], np.ndarray)
    assert_same(from_tensors(tensors), made(1))


def test_arrays_of_any_order_and_type_come_back() -> None:
    array = np.asfortranarray(np.random.default_rng(0).integers(0, 9, (30, 40, 3)))[::-1, ::2]
    for each in (array, array.astype("<f2"), array > 4):
        np.testing.assert_array_equal(from_tensors(to_tensors(each)), each)


def test_a_broken_photo_is_told_as_without_processes() -> None:
    def batch(step: int) -> int:
        if step == 3:
            raise PhotoError("dog.jpg: no photo")
        return step

    for processes in (0, 2):
        batches, taken = batches_ahead(batch, range(9), processes), list[int]()
        with pytest.raises(PhotoError, match=r"^dog\.jpg: no photo$"):
            taken.extend(batches)
        assert taken == [0, 1, 2]


def test_processes_end_with_the_steps() -> None:
    for pid in set(batches_ahead(lambda _: os.getpid(), range(9), 2)):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("processes", [0, 1, 3])
@pytest.mark.parametrize("steps", [range(0), range(1), range(3, 5), range(7, 40)])
def test_batches_come_in_order_each_once(processes: int, steps: range) -> None:
    def batch(step: int) -> int:
        time.sleep(0.002 * (step % 3))
        return 10 * step

    assert list(batches_ahead(batch, steps, processes)) == [10 * step for step in steps]


def test_other_processes_make_the_batches() -> None:
    makers = set(batches_ahead(lambda _: os.getpid(), range(20), 2))
    assert os.getpid() not in makers and 1 <= len(makers) <= 2


def test_few_batches_are_made_ahead() -> None:
    made: list[int] = []
    batches = batches_ahead(made.append, range(100), 0)
    for taken in range(1, 11):
        next(batches)
        assert len(made) <= taken + 1
    batches.close()
    assert len(made) <= 11


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


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=9).filter(any),
    st.integers(1, 6),
    st.integers(1, 4),
)
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
        assert all(
            np.array_equal(a, b) for a, b in zip(expected[step], other.rows(step), strict=True)
        )
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


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    share=st.floats(0.1, 5),
    seed=st.integers(0, 100),
)
def test_a_mixture_passes_over_each_source_as_often_as_its_share(
    sizes: list[int], share: float, seed: int
) -> None:
    rows = mixture(sizes, [share] * len(sizes), seed)
    np.testing.assert_array_equal(rows, mixture(sizes, [share] * len(sizes), seed))
    for number, size in enumerate(sizes):
        own = rows[rows[:, 0] == number, 1]
        counts = np.bincount(own, minlength=size)
        assert len(own) == max(1, round(size * share)) and len(counts) == size
        assert counts.max() - counts.min() <= 1
