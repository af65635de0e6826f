"""Adding photos to an index, group by group with a commit after each, and removing photos.

Used by `regiontalk index add` and `remove`, and by `PhotoIndex` from Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from regiontalk.errors import PhotoError
from regiontalk.model import Model
from regiontalk.photos import Photo
from regiontalk.photos.folders import FoundPhotos
from regiontalk.photos.kinds import out_of_memory
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.storage import Entry
from regiontalk.search.update import GROUP, FileRead, Tally, Update, open_read, read_file
from regiontalk.search.writer import IndexWriter
from regiontalk.structures import Regions
from regiontalk.vision.session import BATCH

Known = Callable[[FileRead], bool]
"""Predicate: whether the index has a file's content already, so that the vision network can be
skipped. It must be called for every file that is read."""

Look = Callable[[Sequence[Path], Known], Iterator[list[tuple[Entry, Regions]]]]
"""Yields entries and regions of the files that are not known, in batches. Files that cannot be
opened are reported."""

UNKNOWN_PHOTO = "the index holds no such photo, and none below such a folder"


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Hooks:
    """Callbacks while photos are added.

    Attributes:
        expect: called once, with the number of new or changed files.
        advance: with the number of files done since the last call.
        failure: with a file's name and the reason why it is no usable photo.
        lost: with the path of such a file if the index held an earlier photo for it, which is
            dropped.
    """

    expect: Callable[[int], None] = _nothing
    advance: Callable[[int], None] = _nothing
    failure: Callable[[str, str], None] = _nothing
    lost: Callable[[str], None] = _nothing


@dataclass(frozen=True)
class Added:
    """Result of `add_photos`.

    Attributes:
        tally: number of files by outcome.
        photos: how many the index holds now.
        gone: paths of photos that were removed from the named folders; dropped with `prune`.
        out_of_reach: paths of photos that may only be unreachable; never dropped.
    """

    tally: Tally
    photos: int
    gone: list[str]
    out_of_reach: list[str]


def add_photos(
    folder: str | os.PathLike[str],
    model: Model,
    found: Mapping[str, FoundPhotos],
    hooks: Hooks,
    *,
    prune: bool = False,
    storage: str | None = None,
    texts: Mapping[str, str] | None = None,
) -> Added:
    """Adds new and changed photos to an index; optionally drops photos whose files are gone.

    Args:
        folder: the index's; created if it does not exist.
        model: looks at new photos.
        found: named path → the photos found there.
        prune: whether to drop the photos that are gone, see `missing_photos`.
        storage: see `IndexWriter`.
        texts: absolute path → text, see `Update`.

    Raises:
        DataError, OSError: as `IndexWriter`; earlier commits stay.
    """
    files = [file for inside in found.values() for file in inside.photos]
    with IndexWriter(folder, PackIdentity.of(model.pack), storage) as writer:
        update, look = Update(writer, texts), partial(look_at_new, model, hooks=hooks)
        add_changed(update, update.changed(files), look, hooks)
        update.put_texts()
        gone, out_of_reach = missing_photos(update, found)
        if prune:
            update.drop(gone)
            update.commit()
        writer.merge()
        return Added(update.tally, writer.manifest.photos, gone, out_of_reach)


def remove_photos(
    folder: str | os.PathLike[str], names: Iterable[str], unknown: Callable[[str], None]
) -> tuple[int, int]:
    """Removes photos from an index.

    Args:
        folder: the index's.
        names: paths of photos, and of folders with all photos below them; they need not exist any
            more.
        unknown: called with each name that matches no photo of the index, before anything is
            committed.

    Returns:
        How many photos were dropped, and how many the index holds now.

    Raises:
        DataError, OSError: as `IndexWriter`.
    """
    with IndexWriter(folder, None) as writer:
        update = Update(writer)
        for name, paths in update.named(names).items():
            if not paths:
                unknown(name)
            update.drop(paths)
        update.commit()
        writer.merge()
        return update.tally.dropped, writer.manifest.photos


def add_changed(update: Update, changed: Sequence[Path], look: Look, hooks: Hooks) -> None:
    """Adds new and changed files to an index, group by group, with a commit after each.

    Args:
        update: of the index.
        changed: from `Update.changed`.
        look: called for each group. It also calls `hooks.advance` and `hooks.failure`.
        hooks: the other two are called here.
    """
    hooks.expect(len(changed))
    for start in range(0, len(changed), GROUP):
        _add_group(update, changed[start : start + GROUP], look, hooks)
        update.commit()


def _add_group(update: Update, group: Sequence[Path], look: Look, hooks: Hooks) -> None:
    read: dict[str, FileRead] = {}

    def known(each: FileRead) -> bool:
        read[each.path] = each
        return update.knows(each)

    found = {
        entry.path: (entry, regions) for batch in look(group, known) for entry, regions in batch
    }
    for path in map(str, group):  # in the files' order, whatever order `look` finished in
        if path in found:
            update.add(*found[path])
        elif path not in read:
            update.tally.failed += 1
        elif update.knows(read[path]):
            update.take_known(read[path])
        elif update.refuse(read[path]):
            hooks.lost(path)


def look_at_new(
    model: Model, files: Sequence[Path], known: Known, hooks: Hooks
) -> Iterator[list[tuple[Entry, Regions]]]:
    """See `Look`. Holds one file and a batch of photos at the network's size in memory."""
    waiting: list[tuple[Entry, Photo]] = []
    for file in files:
        opened = _open(str(file), model, known, hooks)
        if opened is None:
            hooks.advance(1)
            continue
        waiting.append(opened)
        if len(waiting) == BATCH:
            yield _looked(model, waiting, hooks)
            waiting = []
    if waiting:
        yield _looked(model, waiting, hooks)


def _open(path: str, model: Model, known: Known, hooks: Hooks) -> tuple[Entry, Photo] | None:
    """A photo at the network's size; None if it is known, or broken, which is reported."""
    try:
        read, content = read_file(path)
        size = model.pack.settings.vision.size
        return None if known(read) else open_read(read, content, size, model.max_pixels)
    except PhotoError as error:
        hooks.failure(path, str(error))
    except MemoryError:
        hooks.failure(path, str(out_of_memory(path)))
    return None


def _looked(
    model: Model, opened: Sequence[tuple[Entry, Photo]], hooks: Hooks
) -> list[tuple[Entry, Regions]]:
    found = model.look([photo for _, photo in opened])
    hooks.advance(len(opened))
    return [(entry, regions) for (entry, _), regions in zip(opened, found, strict=True)]


def missing_photos(update: Update, found: Mapping[str, FoundPhotos]) -> tuple[list[str], list[str]]:
    """Photos of an index that are no longer in the named folders.

    Args:
        update: of the index.
        found: named path → the photos found there.

    Returns:
        Paths that were removed; and those that may only be out of reach: below a named folder
        without any photo, or where a whole folder is missing, empty or unreadable, which is more
        likely a disk that is not connected.
    """
    folders = [name for name in found if name and os.path.isdir(name)]
    unreadable = [str(folder) for each in found.values() for folder in each.unreadable]
    spared = set().union(
        *update.missing([*(name for name in folders if not found[name].photos), *unreadable])
    )
    removed, unknown = update.missing(folders)
    return sorted(set(removed) - spared), sorted(spared.union(unknown))
