"""Many requests, one network pass: a thread collects what comes at about the same time and answers it together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")

_MOST = 16
"""Jobs in a batch: as many as can share a pass while nobody waits for long."""
_PATIENCE = 0.004
"""Seconds that the first job of a batch waits for others which are already on their way."""
_CLOSED_CHECK = 0.2
"""Seconds between looks at whether the batcher is closed, while nothing comes."""


class Batcher(Generic[Job, Answer]):
    """One worker thread with a queue.

    Whoever hands in jobs bounds their number. A job on its own is answered at once: the worker waits for others only
    while `coming` says that there are some.

    Args:
        answer: jobs in, as many answers out, in order. Runs in the worker's thread only.
        coming: how many jobs are in the queue, in the batch, or on their way there.
    """

    def __init__(self, answer: Callable[[Sequence[Job]], Sequence[Answer]], coming: Callable[[], int]) -> None:
        self._answer, self._coming = answer, coming
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Answer]]] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="regiontalk-batches", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future[Answer]:
        """Hands in a job; its future may be cancelled until it is worked on."""
        future: Future[Answer] = Future()
        self._jobs.put((job, future))
        return future

    @property
    def alive(self) -> bool:
        """Whether jobs are still answered."""
        return self._thread.is_alive() and not self._closed.is_set()

    def close(self) -> None:
        """Ends the worker after its batch; jobs that still wait are cancelled."""
        self._closed.set()
        self._thread.join()
        with suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()[1].cancel()

    def _work(self) -> None:
        while not self._closed.is_set():
            with suppress(queue.Empty):
                first = self._jobs.get(timeout=_CLOSED_CHECK)
                batch = [each for each in self._collect(first) if each[1].set_running_or_notify_cancel()]
                self._settle(batch)

    def _collect(self, first: tuple[Job, Future[Answer]]) -> list[tuple[Job, Future[Answer]]]:
        batch, until = [first], time.monotonic() + _PATIENCE
        with suppress(queue.Empty):
            while len(batch) < _MOST:
                left = until - time.monotonic() if self._coming() > len(batch) else 0.0
                batch.append(self._jobs.get(timeout=left) if left > 0 else self._jobs.get_nowait())
        return batch

    def _settle(self, batch: list[tuple[Job, Future[Answer]]]) -> None:
        """Answers a batch. If that fails, each job is answered alone, so that one cannot fail the others."""
        if not batch:
            return
        try:
            answers = self._answer([job for job, _ in batch])
        except Exception as error:  # whatever it is, it belongs to who asked
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for each in batch:
                self._settle([each])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
