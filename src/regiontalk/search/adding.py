"""Bringing an index up to date with photos, and taking photos out of it.

A group and a commit at a time. It is what `regiontalk index add` and `remove` do, and `PhotoIndex`
from Python.
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
"""Whether a file that was read need not be looked at. It must be asked of each."""

Look = Callable[[Sequence[Path], Known], Iterator[list[tuple[Entry, Regions]]]]
"""What is found in those of some files that are not known, some at a time. What cannot be opened is
reported."""

UNKNOWN_PHOTO = "the index holds no such photo, and none below such a folder"


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Hooks:
    """What is called while photos are added.

    Attributes:
        expect: once, with the number of files that are new or changed.
        advance: with the number of files that were done since the last call.
        failure: with a file's name and why it is no usable photo.
        lost: with the path of such a file if the index held an earlier photo for it, which is
            dropped.
    """

    expect: Callable[[int], None] = _nothing
    advance: Callable[[int], None] = _nothing
    failure: Callable[[str, str], None] = _nothing
    lost: Callable[[str], None] = _nothing


@dataclass(frozen=True)
class Added:
    """What `add_photos` did.

    Attributes:
        tally: what became of the files.
        photos: how many the index holds now.
        gone: paths of photos that were removed from the named folders: dropped if that was asked
            for.
        out_of_reach: paths of photos that may only be out of reach; never dropped.
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
    """Brings an index up to date with photos.

    Args:
        folder: the index's; it is made if it is not there.
        model: that looks at new photos.
        found: what was named → what was found there.
        hooks: are called meanwhile.
        prune: whether to drop the photos that are gone, see `missing_photos`.
        storage: see `IndexWriter`.
        texts: absolute path → text, see `Update`.

    Raises:
        DataError, OSError: as `IndexWriter`; what was committed stays.
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
    """Takes photos out of an index.

    Args:
        folder: the index's.
        names: paths of photos, and of folders with all photos below them; nothing need be there any
            more.
        unknown: called with each name that names no photo of the index, before anything is
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
    """Brings an index up to date with files.

    Args:
        update: of the index.
        changed: from `Update.changed`.
        look: is asked for group after group. It also calls `hooks.advance` and `hooks.failure`.
        hooks: for the rest.
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
    for path in map(str, group):  # in this order, whatever was ready first
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
    """See `Look`. Only one file and a batch of photos at the network's size are in memory."""
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
    """A photo as the vision network will see it.

    None if it is known, or broken, which is reported.
    """
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
    """Photos of an index that are no longer in the folders that were named.

    Args:
        update: of the index.
        found: what was named → what was found there.

    Returns:
        Paths that were removed; and those that may only be out of reach: below a named folder
        without any photo, or where a whole folder is missing, empty or cannot be read. Then rather
        a disk is not connected than all photos removed.
    """
    folders = [name for name in found if name and os.path.isdir(name)]
    unreadable = [str(folder) for each in found.values() for folder in each.unreadable]
    spared = set().union(
        *update.missing([*(name for name in folders if not found[name].photos), *unreadable])
    )
    removed, unknown = update.missing(folders)
    return sorted(set(removed) - spared), sorted(spared.union(unknown))
