"""Jobs that come together are answered together, and none can hurt another."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager

import pytest

from regiontalk.web.batching import Batcher


class Doubler:
    """Doubles numbers, refuses -1, remembers its batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.busy, self.free = threading.Event(), threading.Event()
        self.free.set()

    def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.busy.set()
        assert self.free.wait(30)
        self.batches.append(list(jobs))
        if -1 in jobs:
            raise ValueError("-1 is refused")
        return [2 * job for job in jobs]


@contextmanager
def batching(double: Doubler, coming: int = 0) -> Iterator[Batcher[int, int]]:
    batcher = Batcher(double, lambda: coming)
    try:
        yield batcher
    finally:
        double.free.set()
        batcher.close()


def test_what_waits_together_is_answered_together() -> None:
    double = Doubler()
    with batching(double) as batcher:
        double.free.clear()
        first = batcher.submit(0)
        assert double.busy.wait(30)  # the worker is at the first one, so the others wait
        rest = [batcher.submit(number) for number in range(1, 40)]
        double.free.set()
        assert [each.result(30) for each in (first, *rest)] == [2 * number for number in range(40)]
    assert double.batches[0] == [0]
    assert [job for batch in double.batches for job in batch] == list(range(40))
    assert [len(batch) for batch in double.batches] == [1, 16, 16, 7]


def test_one_alone_is_answered_alone() -> None:
    double = Doubler()
    with batching(double, coming=1) as batcher:
        assert [batcher.submit(number).result(30) for number in (3, 4)] == [6, 8]
    assert double.batches == [[3], [4]]


def test_those_that_never_come_are_not_waited_for_long() -> None:
    with batching(Doubler(), coming=1000) as batcher:
        assert batcher.submit(3).result(30) == 6


def test_a_bad_job_fails_alone() -> None:
    double = Doubler()
    with batching(double) as batcher:
        double.free.clear()
        batcher.submit(0)
        assert double.busy.wait(30)
        good, bad, fine = (batcher.submit(number) for number in (1, -1, 2))
        double.free.set()
        assert (good.result(30), fine.result(30)) == (2, 4)
        with pytest.raises(ValueError, match="-1 is refused"):
            bad.result(30)
        assert batcher.alive
        assert batcher.submit(5).result(30) == 10


def test_cancelled_jobs_are_not_done() -> None:
    double = Doubler()
    with batching(double) as batcher:
        double.free.clear()
        batcher.submit(0)
        assert double.busy.wait(30)
        gone, stays = batcher.submit(1), batcher.submit(2)
        assert gone.cancel()
        double.free.set()
        assert stays.result(30) == 4
    assert double.batches == [[0], [2]]


def test_close_cancels_what_waits() -> None:
    double = Doubler()
    batcher = Batcher(double, lambda: 0)
    double.free.clear()
    first = batcher.submit(0)
    assert double.busy.wait(30)
    waiting = batcher.submit(1)
    threading.Timer(0.1, double.free.set).start()
    batcher.close()
    assert first.result(30) == 0
    with pytest.raises(CancelledError):
        waiting.result(30)
    assert not batcher.alive
