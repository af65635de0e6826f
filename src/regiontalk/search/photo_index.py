"""An index of photos from Python, which are added, found by sentences and photos, and removed."""

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
    """What `PhotoIndex.add` did.

    Attributes:
        added, changed, moved, copied, unchanged, dropped: how many photos. Moved and copied ones
            were recognised by their content and not looked at.
        failures: files that are no usable photo, and folders that could not be searched → why. They
            are left out.
        gone: paths of photos of the index that were removed from the named folders, and dropped
            only with `prune`.
        captioned: how many photos got another text than they had.
        other_names: names in the captions that are none of the photos.
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
    """Open an index of photos, or begin one.

    Args:
        folder: the index's. If it is not there, or empty, the first `add` makes the index.
        model: with the pack that makes its vectors; None for the default pack.
        storage: how a new index stores vectors: "float32", which None stands for, "float16" or
            "int8".
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

    It holds the photos as they were when it was opened, or when it last added or removed some
    itself; to see what others wrote meanwhile, `close` it first. No lock is held but while `add`
    and `remove` run: one process may write at a time, any number may search. What stays open are
    the index's files, mapped into memory, until `close` or the end of a `with` statement.

    Attributes:
        folder: the index's.
        model: that looks at photos and reads sentences.
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
            sentence: what they should show, or what `Model.read` made of it; photos whose own texts
                have words of it rank higher.
            k: how many results, at least 1.
            where: which photos may be found: by path, date and size.
            candidates: to be faster on large indexes, score only so many photos exactly; may miss
                some. None for all.

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
            photo: a path, a file's bytes, an image, an array; or what was found in a photo, such as
                a result's regions.
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
            phrase: what they should show, such as "a red bus".
            k, where: as for `search`.
            once: of each photo only the best box; else all of them.

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

        Only they are looked at, so that adding a folder again is quick. Photos count after every
        256 files: stopped at any moment, the same call goes on where it was. One that cannot be
        used does not stop the others.

        Args:
            photos: paths of photos and of folders, which are searched with all folders in them.
            prune: drop photos of the named folders whose files are gone; none where a whole folder
                is missing or empty.
            exclude: patterns of files and folders to pass over, see `search_photos`.
            captions: a file or folder with people's own texts about these photos: they are stored
                with them, also with those that the index has already, and searches find photos by
                their words. Others keep their texts.
            progress: is called with the number of files that are done, and of all that are new or
                changed.

        Returns:
            How many photos were added, and what failed and why.

        Raises:
            PhotoError: if not one of the photos can be used; it says why the first cannot.
            DataError: if another process writes to the index, or as `open_index`; or if the
                captions cannot be read, or are about other photos.
            OSError: if the disk is full or refuses; what was committed stays.
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
            self.close()
        counts = done.tally.to_json()
        if counts.pop("failed") and not any(counts.values()):
            _refuse_all(failures)
        return IndexChanges(
            **counts, failures=failures, gone=tuple(done.gone), other_names=given.others
        )

    def remove(self, photos: Paths) -> int:
        """Take photos out. Their files stay, and need not be there.

        Args:
            photos: paths of photos, and of folders with all photos below them.

        Returns:
            How many photos were dropped.

        Raises:
            DataError: if a path names no photo of the index; then nothing is dropped. Also as
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
        """How many photos it holds; 0 if there is no index yet."""
        return self._opened().photos if self._is_there() else 0

    def __iter__(self) -> Iterator[str]:
        """The absolute path of each photo, in the order in which they were added."""
        return iter(
            [entry.path for _, entry in self._opened().entries()] if self._is_there() else []
        )

    def __contains__(self, photo: object) -> bool:
        """Whether it holds a photo of this path, absolute or relative."""
        return isinstance(photo, str | os.PathLike) and os.path.abspath(os.fsdecode(photo)) in list(
            self
        )

    def __repr__(self) -> str:
        return f"PhotoIndex({os.fspath(self.folder)!r}, photos={len(self)})"

    def close(self) -> None:
        """Let go of the index's files. The next use opens them again."""
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
    """What is called while photos are added: failures are kept, and progress is counted."""
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
    """Raises the first failure.

    A path that was mistyped must not pass for an index that has all of its photos.
    """
    for name, why in failures.items():
        raise PhotoError(why if name in why else f"{name}: {why}")
