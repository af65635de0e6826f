"""Service behind the API: batched model, decoder processes, optional index, thumbnail cache."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar, cast

from regiontalk.errors import ConfigError, PhotoError
from regiontalk.model import Model
from regiontalk.photos import Photo
from regiontalk.report.photos import alignment_data
from regiontalk.structures import Alignment, Description
from regiontalk.web.batching import (
    Align,
    Batcher,
    Describe,
    Look,
    LookAt,
    Question,
    Reply,
    answer,
    check_box,
    check_sentence,
)
from regiontalk.web.decoding import Decoders
from regiontalk.web.finding import PHOTO_SIDE, THUMBNAIL_SIDE, Page, PhotoFinder
from regiontalk.web.limits import DEFAULTS, Gate, Limits

T = TypeVar("T")

_SIDE_THREADS = 2
"""Threads for blocking work outside the model's worker, such as searches."""
_THUMBNAILS = 512
"""Size of the LRU cache of thumbnails, about 20 kB each."""


class Service:
    """Answers concurrent requests. Close it, or use it in a `with` statement.

    Its coroutines are for one event loop and never block it.

    Args:
        model: captions and aligns photos.
        finder: searches an index; None to serve none.
        limits: of uploads and of concurrent requests.

    Attributes:
        model, finder, limits: as given.
        gate: limits concurrent requests, by client address.
    """

    def __init__(
        self, model: Model, finder: PhotoFinder | None = None, limits: Limits = DEFAULTS
    ) -> None:
        self.model, self.finder, self.limits = model, finder, limits
        self.gate = Gate(limits.waiting, limits.address_share)
        self._photos_coming = _Counter()
        self._batcher: Batcher[Question, Reply] = Batcher(
            partial(answer, model), lambda: self._photos_coming.value
        )
        self._decoders = Decoders(limits)
        self._thumbnails: OrderedDict[str, bytes] = OrderedDict()
        self._pool = ThreadPoolExecutor(_SIDE_THREADS, thread_name_prefix="regiontalk-side")

    async def describe(
        self, photo: BinaryIO, name: str, beam: int | None, temperature: float | None
    ) -> dict[str, Any]:
        """Captions a photo and its regions: the object of `regiontalk describe --json`.

        Raises:
            PhotoError: if the upload is invalid.
            ConfigError: if both `beam` and `temperature` are given.
        """
        if beam is not None and temperature is not None:
            raise ConfigError(
                "A temperature draws captions, a beam searches for them: give one of the two."
            )
        reply = await self._ask(photo, name, lambda opened: Describe(opened, beam, temperature))
        return cast(Description, reply).to_json()

    async def align(
        self, photo: BinaryIO, name: str, sentence: str, beta: float | None
    ) -> dict[str, Any]:
        """Aligns a sentence with a photo: the object of `report.photos.alignment_data`.

        Raises:
            PhotoError, SentenceError: if the upload or the sentence is invalid.
        """
        check_sentence(self.model.pack.vocabulary, sentence)
        reply = await self._ask(photo, name, lambda opened: Align(opened, sentence, beta))
        return alignment_data(cast(Alignment, reply))

    async def look_at(
        self,
        photo: BinaryIO,
        name: str,
        box_xyxy: tuple[float, float, float, float],
        sentence: str | None,
    ) -> dict[str, Any]:
        """Captions a given box; with a sentence, also computes v_i·s_t of each of its words.

        Raises:
            PhotoError, SentenceError: if the upload or the sentence is invalid.
            ConfigError: if the box is not in the photo.
        """
        if sentence is not None:
            check_sentence(self.model.pack.vocabulary, sentence)
        asked = await self._ask(
            photo, name, lambda opened: LookAt(opened, check_box(opened, box_xyxy))
        )
        found = cast(Description, asked)
        (region,) = found.to_json()["regions"]
        whole = {
            "file": found.regions.file,
            "width": found.regions.width,
            "height": found.regions.height,
        }
        answer = {
            **whole,
            "box_xyxy": region["box_xyxy"],
            "caption": region["caption"],
            "words": None,
        }
        if sentence is not None:
            (read,) = await self.aside(self.model.read, sentence)
            scores = read.vectors @ found.regions.vectors[1]  # (T,)
            answer["words"] = [
                {"text": w, "score": float(f"{s:.6g}")}
                for w, s in zip(read.words, scores, strict=True)
            ]
        return answer

    async def search(self, finder: PhotoFinder, sentence: str, page: Page) -> dict[str, Any]:
        """Searches by a sentence and counts the matches; see `PhotoFinder.by_sentence`.

        Raises:
            SentenceError: if neither the pack nor any photo's text has a word of the sentence.
        """
        # Texts of photos may have words that the pack does not know
        if not await self.aside(finder.has_text_for, sentence):
            check_sentence(self.model.pack.vocabulary, sentence)
        results = await self.aside(finder.by_sentence, sentence, page)
        return {
            "results": results,
            "photos": await self.aside(finder.matching, page.where, sentence),
        }

    async def search_like(
        self, finder: PhotoFinder, photo: BinaryIO, name: str, page: Page
    ) -> dict[str, Any]:
        """As `search`, by an uploaded photo; see `PhotoFinder.by_regions`.

        Raises:
            PhotoError: if the upload is invalid.
        """
        reply = await self._ask(photo, name, Look)
        return await self._page(finder, finder.by_regions, reply, page)

    async def search_more(self, finder: PhotoFinder, number: str, page: Page) -> dict[str, Any]:
        """As `search`, by a photo of the index.

        Raises:
            KeyError: if the index has no such photo.
        """
        return await self._page(
            finder, finder.by_regions, await self.aside(finder.regions, number), page
        )

    async def folders(self, finder: PhotoFinder) -> dict[str, Any]:
        """The folders of the index's photos; see `PhotoFinder.folders`."""
        return {"folders": await self.aside(lambda: finder.folders)}

    async def thumbnail(self, finder: PhotoFinder, number: str) -> bytes:
        """Thumbnail of a photo of the index as JPEG, from a cache.

        Args:
            number: the `id` of a result.

        Raises:
            KeyError: if the index has no such photo.
            PhotoError: if its file is gone, changed or broken.
            BusyError: if it is slow to decode, and the slow lane's queue is full.
        """
        # Checked on each request: a cached copy must not outlive its photo
        path = await self.aside(finder.unchanged, number)
        if number not in self._thumbnails:
            self._thumbnails[number] = await self._copy(path, THUMBNAIL_SIDE)
        self._thumbnails.move_to_end(number)
        copy = self._thumbnails[number]
        while len(self._thumbnails) > _THUMBNAILS:
            self._thumbnails.popitem(last=False)
        return copy

    async def photo(self, finder: PhotoFinder, number: str) -> bytes:
        """As `thumbnail`, large enough for a screen, and not cached."""
        return await self._copy(await self.aside(finder.unchanged, number), PHOTO_SIDE)

    async def aside(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs a blocking function in the thread pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    @property
    def alive(self) -> bool:
        """Whether the model's worker is still running."""
        return self._batcher.alive

    def close(self) -> None:
        """Stops the threads and processes and cancels queued work."""
        self._decoders.close()
        self._pool.shutdown(cancel_futures=True)
        self._batcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _ask(
        self, photo: BinaryIO, name: str, question: Callable[[Photo], Question]
    ) -> Reply:
        with self._photos_coming:
            opened = await self._decoders.upload(photo, name, self.model.pack.settings.vision.size)
            return await asyncio.wrap_future(self._batcher.submit(question(opened)))

    async def _page(
        self, finder: PhotoFinder, search: Callable[..., Any], query: Any, page: Page
    ) -> dict[str, Any]:
        results = await self.aside(search, query, page)
        return {"results": results, "photos": await self.aside(finder.matching, page.where)}

    async def _copy(self, path: str, side: int) -> bytes:
        try:
            return await self._decoders.copy(path, side)
        except PhotoError:
            raise PhotoError(
                "The photo cannot be opened any more. Bring the index up to date."
            ) from None


class _Counter:
    """Number of active `with` statements on it, readable from another thread."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.value += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.value -= 1
