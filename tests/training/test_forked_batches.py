import mmap
import os

import numpy as np
import pytest
import torch

from regiontalk.training import forked_batches as module
from regiontalk.training.forked_batches import forked_batches, pack, unpack


def made(step: int) -> tuple[np.ndarray, list[np.ndarray], torch.Tensor, str]:
    some = [np.full((step % 3, 4), step, np.float32), np.empty((0, 4))]
    return np.arange(step + 1, dtype=np.uint8), some, torch.arange(step), f"step {step}"


def test_arrays_come_through_shared_memory_unchanged() -> None:
    for step, (a, (b, none), tensor, text) in enumerate(forked_batches(made, range(50), 3)):
        expected = made(step)
        assert a.tolist() == expected[0].tolist() and a.dtype == np.uint8
        assert b.tolist() == expected[1][0].tolist() and none.shape == (0, 4)
        assert tensor.tolist() == expected[2].tolist() and text == expected[3]


def test_a_batch_is_good_until_the_next_is_asked_for() -> None:
    def batch(step: int) -> np.ndarray:
        return np.full(100_000, step)

    for step, array in enumerate(forked_batches(batch, range(40), 4)):
        assert (array == step).all()
        assert array.base is not None  # not a copy


def test_arrays_begin_where_processors_like_them() -> None:
    place = mmap.mmap(-1, 1 << 12)
    packed = pack([np.arange(5, dtype=np.uint8), np.arange(3.0)], place)
    assert packed.spans == [(0, 5), (64, 88)]
    assert [each.tolist() for each in unpack(packed, place)] == [[0, 1, 2, 3, 4], [0.0, 1.0, 2.0]]


def test_a_batch_that_is_too_large_for_its_place_comes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACE_BYTES", 4096)
    for step, (small, large) in enumerate(forked_batches(lambda s: (np.full(9, s), np.full(5000, s)), range(12), 2)):
        assert small.tolist() == [step] * 9 and (large == step).all() and len(large) == 5000


def test_processes_end_with_the_steps() -> None:
    makers = {pid for pid in forked_batches(lambda _: os.getpid(), range(9), 2)}
    for pid in makers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
