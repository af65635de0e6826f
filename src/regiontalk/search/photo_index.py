"""Python interface to an index of photos: adding, searching and removing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from regiontalk.errors import DataError, PhotoError
from regiontalk.model import Model, load
from regiontalk.photos.folders import Paths, search_photos
from regiontalk.photos.given import PhotoLike
from regiontalk.search.adding import UNKNOWN_PHOTO, Hooks, add_photos, remove_photos
from regiontalk.search.captions import PhotoTexts, read_texts
from regiontalk.search.engine import local_engine
from regiontalk.search.filters import EVERYTHING, Where
from regiontalk.search.finder import Finder, FoundBox, FoundPhoto
from regiontalk.search.index import Index
from regiontalk.search.manifest import MANIFEST_FILE, PackIdentity
from regiontalk.search.storage import require_storage
from regiontalk.search.writer import require_empty
from regiontalk.structures import Regions, Sentence


@dataclass(frozen=True)
class IndexChanges:
    """Result of `PhotoIndex.add`.

    Attributes:
        added, changed, moved, copied, unchanged, dropped: number of photos. Moved and copied ones
            were recognised by their content and not looked at.
        failures: skipped files that are no usable photo, and folders that could not be searched →
            reason.
        gone: paths of photos of the index that were removed from the named folders, and dropped
            only with `prune`.
        captioned: number of photos whose text changed.
        other_names: names in the captions that match none of the photos.
    """

    added: int
    changed: int
    moved: int
    copied: int
    unchanged: int
    dropped: int
    failures: Mapping[str, str]
    gone: tuple[str, ...]
    captioned: int = 0
    other_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = {
            name: each if isinstance(each, int) else len(each) for name, each in vars(self).items()
        }
        done = ", ".join(f"{name}={count}" for name, count in counts.items() if count)
        return f"IndexChanges({done})"


def open_index(
    folder: str | os.PathLike[str],
    model: Model | None = None,
    *,
    storage: str | None = None,
    threads: int | None = None,
) -> PhotoIndex:
    """Open an index of photos, or create one.

    Args:
        folder: the index's. If it does not exist, or is empty, the first `add` makes the index.
        model: with the pack that makes its vectors; None for the default pack.
        storage: of the vectors of a new index: "float32", the same as None, "float16" or "int8".
        threads: CPU threads of a search; None for as many as the process may use.

    Raises:
        DataError: if the folder holds something else, or an index that is damaged, of another
            version or pack.
        ConfigError: if there is no such storage.
        PackError: if the default pack cannot be loaded.
    """
    return PhotoIndex(folder, load() if model is None else model, storage, threads)


class PhotoIndex:
    """An index of photos. Use `regiontalk.open_index`.

    A snapshot, renewed by its own `add` and `remove`; `close` it to see what other processes wrote
    meanwhile. A lock is held only while `add` and `remove` run: one process may write at a time,
    any number may search. The index's files stay open, memory-mapped, until `close` or the end of a
    `with` statement.

    Attributes:
        folder: the index's.
        model: looks at photos and reads sentences.
    """

    def __init__(
        self, folder: str | os.PathLike[str], model: Model, storage: str | None, threads: int | None
    ) -> None:
        require_storage(storage)
        self.folder, self.model = Path(folder), model
        self._storage, self._threads = storage, threads
        self._index: Index | None = None
        if self._is_there():
            self._opened()
        else:
            require_empty(self.folder)

    def search(
        self,
        sentence: str | Sentence,
        k: int = 10,
        where: Where = EVERYTHING,
        candidates: int | None = None,
    ) -> list[FoundPhoto]:
        """Find photos by a sentence.

        Args:
            sentence: text, or the output of `Model.read`; photos whose own texts have words of it
                rank higher.
            k: number of results, at least 1.
            where: conditions on path, date and size.
            candidates: score only so many photos exactly, which is faster on large indexes and may
                miss some; None for all.

        Returns:
            The k best photos, the best first, each with the boxes that answer the sentence's
            phrases.

        Raises:
            SentenceError: if the sentence has no word, or none that the pack knows or a photo's
                text has.
            ConfigError: if the pack scores by Eq. 7.
            DataError: if there is no index yet, or it is damaged.
        """
        return list(self._finder(candidates).search(sentence, k, where))

    def like(
        self, photo: PhotoLike | Regions, k: int = 10, where: Where = EVERYTHING
    ) -> list[FoundPhoto]:
        """Find photos like another.

        Args:
            photo: a path, a file's bytes, an image, an array; or regions, such as a result's.
            k, where: as for `search`.

        Returns:
            The k photos most like it, itself the first if the index holds it.

        Raises:
            PhotoError: if the photo cannot be opened.
            ConfigError, DataError: as `search`.
        """
        return list(self._finder().like(photo, k, where))

    def boxes(
        self, phrase: str | Sentence, k: int = 10, where: Where = EVERYTHING, once: bool = True
    ) -> list[FoundBox]:
        """Find boxes by a phrase.

        Args:
            phrase: such as "a red bus".
            k, where: as for `search`.
            once: whether only the best box of each photo counts.

        Returns:
            The k best boxes, the best first; a whole photo counts as a box.

        Raises:
            SentenceError, ConfigError, DataError: as `search`.
        """
        return list(self._finder().boxes(phrase, k, where, once))

    def add(
        self,
        photos: Paths,
        *,
        prune: bool = False,
        exclude: Sequence[str] = (),
        captions: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IndexChanges:
        """Add new and changed photos.

        Only these are looked at, so that adding a folder again is quick. Photos are committed after
        every 256 files: after an interruption the same call continues where it stopped. An unusable
        photo does not stop the others.

        Args:
            photos: paths of photos and of folders, which are searched recursively.
            prune: drop photos of the named folders whose files are gone; none where a whole folder
                is missing or empty.
            exclude: patterns of files and folders to skip, see `search_photos`.
            captions: a file or folder with texts of your own for these photos. They are stored with
                the photos, also with those already in the index, and `search` matches their words.
                Photos that it does not name keep their texts.
            progress: called with the numbers of files done, and of all new or changed files.

        Raises:
            PhotoError: if none of the photos can be used; it gives the reason of the first.
            DataError: if another process writes to the index, or as `open_index`; or if the
                captions cannot be read, or match none of the photos.
            OSError: if the disk is full or refuses; earlier commits stay.
        """
        found = {name: search_photos(name, exclude) for name in _names(photos)}
        problems = (inside.problems(name) for name, inside in found.items())
        failures = {file: why for each in problems for file, why in each.items()}
        if not any(inside.photos for inside in found.values()):
            _refuse_all(failures)
        given = PhotoTexts({}, ()) if captions is None else read_texts(captions, found)
        hooks = _hooks(failures, progress)
        try:
            done = add_photos(
                self.folder,
                self.model,
                found,
                hooks,
                prune=prune,
                storage=self._storage,
                texts=given.texts,
            )
        finally:
            self.close()  # the next use opens the new state
        counts = done.tally.to_json()
        if counts.pop("failed") and not any(counts.values()):
            _refuse_all(failures)
        return IndexChanges(
            **counts, failures=failures, gone=tuple(done.gone), other_names=given.others
        )

    def remove(self, photos: Paths) -> int:
        """Remove photos from the index. Their files stay, and need not exist.

        Args:
            photos: paths of photos, and of folders with all photos below them.

        Returns:
            How many photos were dropped.

        Raises:
            DataError: if a path matches no photo of the index; then nothing is dropped. Also as
                `add`.
            OSError: as `add`.
        """

        def unknown(name: str) -> None:
            raise DataError(f"{name!r}: {UNKNOWN_PHOTO}. Nothing was dropped.")

        try:
            dropped, _ = remove_photos(self.folder, _names(photos), unknown)
        finally:
            self.close()
        return dropped

    def __len__(self) -> int:
        """Number of photos; 0 if there is no index yet."""
        return self._opened().photos if self._is_there() else 0

    def __iter__(self) -> Iterator[str]:
        """The absolute path of each photo, in the order in which they were added."""
        return iter(
            [entry.path for _, entry in self._opened().entries()] if self._is_there() else []
        )

    def __contains__(self, photo: object) -> bool:
        """Whether the index holds a photo with this path, absolute or relative."""
        return isinstance(photo, str | os.PathLike) and os.path.abspath(os.fsdecode(photo)) in list(
            self
        )

    def __repr__(self) -> str:
        return f"PhotoIndex({os.fspath(self.folder)!r}, photos={len(self)})"

    def close(self) -> None:
        """Close the index's files; the next use opens them again."""
        self._index = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _is_there(self) -> bool:
        return self._index is not None or (self.folder / MANIFEST_FILE).exists()

    def _opened(self) -> Index:
        if self._index is None:
            self._index = Index.open(self.folder, PackIdentity.of(self.model.pack))
        return self._index

    def _finder(self, candidates: int | None = None) -> Finder:
        return Finder(self.model, local_engine(self._opened(), candidates, self._threads))


def _names(photos: Paths) -> list[str]:
    """Paths, one or many, as text."""
    return [
        os.fsdecode(each)
        for each in ([photos] if isinstance(photos, str | os.PathLike) else photos)
    ]


def _hooks(failures: dict[str, str], progress: Callable[[int, int], None] | None) -> Hooks:
    """Callbacks for `add_photos` that collect failures and count progress."""
    done = total = 0

    def expect(files: int) -> None:
        nonlocal total
        total = files

    def advance(files: int) -> None:
        nonlocal done
        done += files
        if progress is not None:
            progress(done, total)

    return Hooks(expect, advance, failures.__setitem__)


def _refuse_all(failures: Mapping[str, str]) -> None:
    """Raises the first failure: a mistyped path must not pass for an index that is up to date."""
    for name, why in failures.items():
        raise PhotoError(why if name in why else f"{name}: {why}")
