"""Search of the server's photo index, with results as JSON."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from regiontalk.alignment.certainty import SEARCHED, at_prior
from regiontalk.errors import PhotoError
from regiontalk.model import Model
from regiontalk.search.engine import ExactEngine
from regiontalk.search.filters import EVERYTHING, Where
from regiontalk.search.finder import require_searchable
from regiontalk.search.index import Index
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.scoring import of_kind
from regiontalk.search.storage import file_state
from regiontalk.search.texts import TextQuery
from regiontalk.structures import Regions, Sentence, regions_to_json

MOST_FOLDERS = 500
"""Maximum number of folders listed: those with the most photos."""

THUMBNAIL_SIDE, PHOTO_SIDE = 320, 1600
"""Maximum long side, in pixels, of thumbnails and of copies for the screen."""


@dataclass(frozen=True)
class Page:
    """Page of results: `k` after the first `start`, of the photos that match the filter `where`."""

    k: int
    start: int = 0
    where: Where = EVERYTHING


class PhotoFinder:
    """Searches one index. Thread-safe.

    Photos are identified by `photo_id`, never by a path.

    Args:
        folder: of the index.
        model: with the pack that the index was made with.
        threads: CPU threads of a search.

    Raises:
        DataError: if there is no index, or it is damaged or of another pack.
        ConfigError: if the pack scores by Eq. 7.
    """

    def __init__(
        self, folder: str | os.PathLike[str], model: Model, threads: int | None = None
    ) -> None:
        require_searchable(model.pack)
        self._model = model
        self._index = Index.open(folder, PackIdentity.of(model.pack))
        self._engine = ExactEngine(self._index, threads)

    @property
    def photos(self) -> int:
        """How many photos can be found."""
        return self._index.photos

    def matching(self, where: Where, sentence: str | None = None) -> int:
        """Number of photos that a search by sentence or photo can return, see `Engine.matching`.

        If the pack knows no word of the sentence, only photos whose texts have one count.
        """
        query = None if sentence is None else self._query(sentence)
        if query is None or query.has_content:
            return self._engine.matching(where)
        return self._engine.matching_texts(query, where)

    @cached_property
    def folders(self) -> list[dict[str, Any]]:
        """Folders to filter by, sorted by path; paths end with a separator.

        Names are relative to the deepest folder that holds all photos. Folders that hold all
        photos, or whose path is not valid UTF-8, are left out.
        """
        # Photos directly in a folder, and in it or below it
        right_in, inside = Counter[str](), Counter[str]()
        for segment in self._index.segments:
            paths = zip(segment.columns.all_paths(), segment.kept, strict=True)
            right_in.update(_folder(path) for path, kept in paths if kept)
        for path, photos in right_in.items():
            for folder in _with_parents(path):
                inside[folder] += photos
        chosen = [
            each for each in inside.most_common() if each[1] < self.photos and _is_text(each[0])
        ]
        listed = sorted(chosen[:MOST_FOLDERS])
        all_in = max(
            (each for each, photos in inside.items() if photos == self.photos), key=len, default=""
        )
        return [
            {"path": path, "name": path.removeprefix(all_in)[:-1], "photos": photos}
            for path, photos in listed
        ]

    def has_text_for(self, sentence: str) -> bool:
        """Whether any photo's text has a word of a sentence."""
        return self._engine.matching_texts(self._query(sentence)) > 0

    def by_sentence(self, sentence: str, page: Page) -> list[dict[str, Any]]:
        """Best photos for a sentence, as JSON.

        Each has its regions, the phrases aligned with them, and the words of the sentence that
        occur in its own text.
        """
        (read,) = self._model.read(sentence)
        found, query = [], self._query(sentence)
        ranked = self._engine.ranked(read.vectors, page.start + page.k, page.where, query)
        for rank, position, score in _places(ranked, page):
            result = self._result(rank, position, of_kind(score, read, self._model.score_kind))
            words = list(query.found_in(result["text"] or ""))
            found.append({**result, **self._shown(position, read, query), "text_words": words})
        return found

    def by_regions(self, regions: Regions, page: Page) -> list[dict[str, Any]]:
        """Photos most similar to another one's regions, as JSON, each with its own regions."""
        ranked = self._engine.ranked_like(regions.vectors, page.start + page.k, page.where)
        return [
            {
                **self._result(rank, position, score),
                "phrases": [],
                "text_words": [],
                "regions": regions_to_json(self._index.regions(position)),
            }
            for rank, position, score in _places(ranked, page)
        ]

    def _result(self, rank: int, position: int, score: float) -> dict[str, Any]:
        entry = self._index.entry(position)
        number = photo_id(position, entry.sha256)
        pictures = {"thumbnail": f"/api/thumbnail/{number}", "photo": f"/api/photo/{number}"}
        return {"rank": rank, "id": number, **entry.to_json(), "score": score, **pictures}

    def _shown(self, position: int, read: Sentence, query: TextQuery) -> dict[str, Any]:
        """Regions of a photo and the phrases aligned with them, none if the pack knows no word.

        With `sure`, at the prior of searches, if the pack gives probabilities.
        """
        regions = self._index.regions(position)
        if not query.has_content:
            return {"phrases": [], "regions": regions_to_json(regions)}
        alignment = self._model.align(regions, read)
        sure = {} if alignment.sure is None else {"sure": at_prior(alignment.sure, SEARCHED)}
        aligned = alignment.to_json()
        return {"phrases": aligned["phrases"], "regions": aligned["regions"], **sure}

    def _query(self, sentence: str) -> TextQuery:
        return TextQuery.of(sentence, self._model.pack.vocabulary)

    def regions(self, number: str) -> Regions:
        """Regions of the photo with the id `number`; KeyError if the index has none."""
        return self._index.regions(self._position(number))

    def unchanged(self, number: str) -> str:
        """Path of a photo whose file has the size and modification time that were indexed.

        Args:
            number: the `id` of a result.

        Raises:
            KeyError: if the index has no such photo.
            PhotoError: if its file is gone or changed.
        """
        entry = self._index.entry(self._position(number))
        if file_state(entry.path) != entry.state:
            raise PhotoError(
                "The photo is gone or changed since it was indexed. Bring the index up to date."
            )
        return os.fsdecode(entry.path)

    def _position(self, number: str) -> int:
        text = number.partition("-")[0]
        if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) >= len(
            self._index
        ):
            raise KeyError(number)
        segment, place = self._index.find(int(text))
        if (
            not segment.kept[place]
            or photo_id(int(text), segment.columns.entry(place).sha256) != number
        ):
            raise KeyError(number)
        return int(text)


def _places(ranked: tuple[np.ndarray, np.ndarray], page: Page) -> Iterator[tuple[int, int, float]]:
    """Yields rank (from 1), position and score of the photos on a page."""
    positions, scores = (each[page.start :] for each in ranked)
    for rank, (position, score) in enumerate(
        zip(positions, scores, strict=True), start=page.start + 1
    ):
        yield rank, int(position), float(score)


def _folder(path: str) -> str:
    """Parent folder of a path, with its trailing separator; "" if there is none."""
    return path[: max(path.rfind("/"), path.rfind(os.sep)) + 1]


def _with_parents(folder: str) -> Iterator[str]:
    """Yields a folder and its ancestors."""
    while folder:
        yield folder
        folder = _folder(folder[:-1])


def _is_text(path: str) -> bool:
    try:
        return bool(path.encode())
    except UnicodeEncodeError:  # not valid UTF-8: no client could send the path as a filter
        return False


def photo_id(position: int, sha256: bytes) -> str:
    """Photo id: the position in the index, and the first six bytes of the SHA-256 in hex.

    >>> photo_id(7, bytes(range(32)))
    '7-000102030405'
    """
    return f"{position}-{sha256[:6].hex()}"
