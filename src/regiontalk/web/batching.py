"""Dynamic batching: one worker thread answers concurrent requests with shared network passes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from regiontalk.errors import ConfigError, SentenceError
from regiontalk.language import Vocabulary, tokenise
from regiontalk.model import Model
from regiontalk.photos import Photo
from regiontalk.structures import Alignment, Description, Regions
from regiontalk.vision.boxes import distinct

Job = TypeVar("Job")
Answer = TypeVar("Answer")

_MOST = 16
"""Maximum number of jobs in a batch, a trade-off of throughput and latency."""
_PATIENCE = 0.004
"""Maximum batching delay: seconds that the first job waits for others that are on their way."""
_CLOSED_CHECK = 0.2
"""Interval in seconds at which an idle worker checks whether the batcher is closed."""


class Batcher(Generic[Job, Answer]):
    """Worker thread that takes jobs from a queue and answers them in batches.

    The queue is unbounded: callers bound the number of jobs. A single job is answered at once: the
    worker waits for others only while `coming` reports some.

    Args:
        answer: maps jobs to as many answers, in order. Runs in the worker thread only.
        coming: number of jobs in the queue, in the batch, or about to be submitted.
    """

    def __init__(
        self, answer: Callable[[Sequence[Job]], Sequence[Answer]], coming: Callable[[], int]
    ) -> None:
        self._answer, self._coming = answer, coming
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Answer]]] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="regiontalk-batches", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future[Answer]:
        """Queues a job; its future can be cancelled until its batch starts."""
        future: Future[Answer] = Future()
        self._jobs.put((job, future))
        return future

    @property
    def alive(self) -> bool:
        """Whether jobs are still answered."""
        return self._thread.is_alive() and not self._closed.is_set()

    def close(self) -> None:
        """Stops the worker after its current batch and cancels queued jobs."""
        self._closed.set()
        self._thread.join()
        with suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()[1].cancel()

    def _work(self) -> None:
        while not self._closed.is_set():
            with suppress(queue.Empty):
                first = self._jobs.get(timeout=_CLOSED_CHECK)
                batch = [
                    each for each in self._collect(first) if each[1].set_running_or_notify_cancel()
                ]
                self._settle(batch)

    def _collect(self, first: tuple[Job, Future[Answer]]) -> list[tuple[Job, Future[Answer]]]:
        batch, until = [first], time.monotonic() + _PATIENCE
        with suppress(queue.Empty):
            while len(batch) < _MOST:
                left = until - time.monotonic() if self._coming() > len(batch) else 0.0
                batch.append(self._jobs.get(timeout=left) if left > 0 else self._jobs.get_nowait())
        return batch

    def _settle(self, batch: list[tuple[Job, Future[Answer]]]) -> None:
        """Answers a batch; if that fails, answers each job alone, so that one fails no others."""
        if not batch:
            return
        try:
            answers = self._answer([job for job, _ in batch])
            pairs = list(zip(batch, answers, strict=True))
        except Exception as error:  # raised again where the job's future is awaited
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for each in batch:
                self._settle([each])
            return
        for (_, future), answer in pairs:
            future.set_result(answer)


@dataclass(frozen=True)
class Describe:
    """Request to caption a photo and its regions; see `Model.describe_regions`."""

    photo: Photo
    beam: int | None
    temperature: float | None


@dataclass(frozen=True)
class Align:
    """Request to align a sentence with a photo's regions; see `Model.align`."""

    photo: Photo
    sentence: str
    beta: float | None


@dataclass(frozen=True)
class LookAt:
    """Request to caption a given box: xyxy in pixels of the upright photo, with an area inside."""

    photo: Photo
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class Look:
    """Request for a photo's regions alone."""

    photo: Photo


Question: TypeAlias = Describe | Align | LookAt | Look
Reply: TypeAlias = Description | Alignment | Regions


def answer(model: Model, questions: Sequence[Question]) -> list[Reply]:
    """Answers a batch of requests with shared network passes.

    One vision pass, and one pass of each captioner per beam size and temperature. Given boxes have
    passes of their own.

    Returns:
        For each request, in order: a Description, an Alignment, or Regions. The description for a
        `LookAt` has the photo and the box, not the regions that would be found.
    """
    looked = _looked(model, questions)
    replies: list[Reply] = [each.main for each in looked]
    captions: dict[tuple[int | None, float | None], list[int]] = {}
    for place, question in enumerate(questions):
        if isinstance(question, Align):
            replies[place] = model.align(looked[place], question.sentence, question.beta)
        elif isinstance(question, Describe):
            captions.setdefault((question.beam, question.temperature), []).append(place)
        elif isinstance(question, LookAt):
            (replies[place],) = model.describe_regions([looked[place]])
    for how, places in captions.items():
        described = model.describe_regions([distinct(looked[place]) for place in places], *how)
        for place, description in zip(places, described, strict=True):
            replies[place] = description
    return replies


def _looked(model: Model, questions: Sequence[Question]) -> list[Regions]:
    """Regions for each request: detected ones, or for a `LookAt` the given box."""
    found: dict[int, Regions] = {}
    given = [place for place, each in enumerate(questions) if isinstance(each, LookAt)]
    others = [place for place, each in enumerate(questions) if not isinstance(each, LookAt)]
    if others:
        found.update(
            zip(
                others,
                model.look([questions[place].photo for place in others], extra=True),
                strict=True,
            )
        )
    if given:
        boxes = [
            np.array([each.box_xyxy], np.float32) for each in questions if isinstance(each, LookAt)
        ]
        found.update(
            zip(given, model.look([questions[place].photo for place in given], boxes), strict=True)
        )
    return [found[place] for place in range(len(questions))]


def check_box(
    photo: Photo, box_xyxy: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Clips a box to the photo.

    Raises:
        ConfigError: if the part inside is less than a pixel wide or high.
    """
    left, top = max(0.0, box_xyxy[0]), max(0.0, box_xyxy[1])
    right, bottom = min(float(photo.width), box_xyxy[2]), min(float(photo.height), box_xyxy[3])
    if not (right - left >= 1 and bottom - top >= 1):
        size = f"{photo.width} by {photo.height} pixels"
        raise ConfigError(
            f"box: expected x0,y0,x1,y1 with at least a pixel inside the photo, which has {size}"
        )
    return left, top, right, bottom


def check_sentence(vocabulary: Vocabulary, sentence: str) -> None:
    """Rejects a sentence that the model would reject, before it can fail a whole batch.

    Raises:
        SentenceError: if the sentence has no word, or none that the pack knows.
    """
    words = tokenise(sentence)
    if not words:
        raise SentenceError(
            "The sentence is empty or has no word. Give one with at least one word."
        )
    if (vocabulary.encode(words) == Vocabulary.UNKNOWN).all():
        raise SentenceError(
            "The pack knows none of the sentence's words. Say it with more common English words."
        )
