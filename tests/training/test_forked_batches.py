import mmap
import os
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from regiontalk.training import forked_batches as module
from regiontalk.training.forked_batches import Packer, Placed, forked_batches, unpack


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
    assert [each.tolist() for each in one.inner.rows] == [each.tolist() for each in other.inner.rows]
    assert one.ids.tolist() == other.ids.tolist()


def test_batches_come_through_shared_memory_unchanged() -> None:
    for step, batch in enumerate(forked_batches(made, range(50), 3)):
        assert_same(batch, made(step))
        assert isinstance(batch.inner.large.base, mmap.mmap)


def test_arrays_begin_where_processors_like_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_BYTES", 1)
    place = mmap.mmap(-1, 1 << 12)
    packed = Packer(place).pack(Inner(np.arange(5, dtype=np.uint8), [])), Packer(place).pack(np.arange(3.0))
    assert packed[0].large == Placed(0, (5,), np.dtype(np.uint8)) and packed[1] == Placed(0, (3,), np.dtype(np.float64))
    packer = Packer(place)
    assert [packer.pack(np.arange(size, dtype=np.uint8)).begin for size in (5, 64, 1, 1)] == [0, 64, 128, 192]


def test_small_arrays_and_those_that_do_not_fit_come_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACE_BYTES", 8400)  # with 20 rows the large one fits, with 21 no longer
    bases = []
    for step, batch in enumerate(forked_batches(made, range(12), 2)):
        assert_same(batch, made(step))
        bases.append(isinstance(batch.inner.large.base, mmap.mmap))
    assert bases == [True, True, False] * 4


def test_arrays_of_any_order_and_type_come_back() -> None:
    place = mmap.mmap(-1, 1 << 20)
    array = np.asfortranarray(np.random.default_rng(0).integers(0, 9, (30, 40, 3)))[::-1, ::2]
    for each in (array, array.astype("<f2"), array > 4):
        np.testing.assert_array_equal(unpack(Packer(place).pack(each), place), each)


def test_processes_end_with_the_steps() -> None:
    for pid in set(forked_batches(lambda _: os.getpid(), range(9), 2)):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
