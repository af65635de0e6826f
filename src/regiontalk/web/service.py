"""A server's working parts: the model, its one worker, a few threads for pictures, and perhaps an index."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

from regiontalk.errors import ConfigError
from regiontalk.model import Model
from regiontalk.photos import Photo
from regiontalk.report.photos import alignment_data
from regiontalk.structures import Alignment, Description
from regiontalk.web.batching import Batcher
from regiontalk.web.finding import PhotoFinder
from regiontalk.web.guard import Gate
from regiontalk.web.limits import DEFAULTS, Limits
from regiontalk.web.looking import (
    Align,
    Describe,
    Look,
    Question,
    Reply,
    answer,
    check_sentence,
    open_upload,
)

T = TypeVar("T")

_SIDE_THREADS = 2
"""Threads that decode photos and search: no more than so many photos are in memory at full size."""


class Service:
    """Answers requests, for any number of them at once. Close it, or use it in a `with` statement.

    Its methods are for one event loop, and never block it.

    Args:
        model: looks and reads.
        finder: searches; None to serve no index.
        limits: of uploads and of requests at once.

    Attributes:
        model, finder, limits: as given.
        gate: counts the requests that are taken on.
    """

    def __init__(self, model: Model, finder: PhotoFinder | None = None, limits: Limits = DEFAULTS) -> None:
        self.model, self.finder, self.limits = model, finder, limits
        self.gate = Gate(limits.waiting)
        self._photos_coming = _Counter()
        self._batcher: Batcher[Question, Reply] = Batcher(partial(answer, model), lambda: self._photos_coming.value)
        self._pool = ThreadPoolExecutor(_SIDE_THREADS, thread_name_prefix="regiontalk-side")

    async def describe(self, photo: BinaryIO, name: str, beam: int | None, temperature: float | None) -> dict[str, Any]:
        """The object of `regiontalk describe --json`.

        Raises:
            PhotoError: if the upload is no good.
            ConfigError: if both ways to caption are given.
        """
        if beam is not None and temperature is not None:
            raise ConfigError("A temperature draws captions, a beam searches for them: give one of the two.")
        reply = await self._ask(photo, name, lambda opened: Describe(opened, beam, temperature))
        assert isinstance(reply, Description)
        return reply.to_json()

    async def align(self, photo: BinaryIO, name: str, sentence: str, beta: float | None) -> dict[str, Any]:
        """The object of `report.photos.alignment_data`.

        Raises:
            PhotoError, SentenceError: if the upload or the sentence is no good.
        """
        check_sentence(self.model.pack.vocabulary, sentence)
        reply = await self._ask(photo, name, lambda opened: Align(opened, sentence, beta))
        assert isinstance(reply, Alignment)
        return alignment_data(reply)

    async def search(self, finder: PhotoFinder, sentence: str, k: int) -> list[dict[str, Any]]:
        """Photos by sentence; see `PhotoFinder.by_sentence`.

        Raises:
            SentenceError: if the sentence is no good.
        """
        check_sentence(self.model.pack.vocabulary, sentence)
        return await self.aside(finder.by_sentence, sentence, k)

    async def search_like(self, finder: PhotoFinder, photo: BinaryIO, name: str, k: int) -> list[dict[str, Any]]:
        """Photos by an uploaded photo; see `PhotoFinder.by_regions`.

        Raises:
            PhotoError: if the upload is no good.
        """
        reply = await self._ask(photo, name, Look)
        return await self.aside(finder.by_regions, reply, k)

    async def aside(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs something in one of the side threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    @property
    def alive(self) -> bool:
        """Whether photos are still looked at."""
        return self._batcher.alive

    def close(self) -> None:
        """Ends the threads; what still waits is cancelled."""
        self._pool.shutdown(cancel_futures=True)
        self._batcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _ask(self, photo: BinaryIO, name: str, question: Callable[[Photo], Question]) -> Reply:
        with self._photos_coming:
            opened = await self.aside(self._open, photo, name)
            return await asyncio.wrap_future(self._batcher.submit(question(opened)))

    def _open(self, photo: BinaryIO, name: str) -> Photo:
        size = self.model.pack.settings.vision.size
        return open_upload(photo.read(), name, size, self.limits.pixels)


class _Counter:
    """How often its `with` statement is being entered, for another thread to read."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.value += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.value -= 1
