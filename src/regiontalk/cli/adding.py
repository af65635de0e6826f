"""Bringing an index up to date with files, a group and a commit at a time: what `regiontalk index add` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regiontalk.cli.console import Report, printable, warn_user
from regiontalk.cli.stream import ALL_PHOTOS, PhotoChoice
from regiontalk.errors import PhotoError

if TYPE_CHECKING:
    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.photos.folders import FoundPhotos
    from regiontalk.search.entries import Entry
    from regiontalk.search.reading import FileRead
    from regiontalk.search.update import Update
    from regiontalk.structures import Regions

    Known = Callable[[FileRead], bool]
    """Whether a file that was read need not be looked at. It must be asked of each."""

    Look = Callable[[Sequence[Path], Known], Iterator[list[tuple[Entry, Regions]]]]
    """What is found in those of some files that are not known, some at a time. What cannot be opened is reported."""


def add_changed(update: Update, changed: Sequence[Path], look: Look, report: Report) -> None:
    """Brings an index up to date with files.

    Args:
        update: of the index.
        changed: from `Update.changed`.
        look: is asked for group after group. It also shows how far it is.
        report: of the command.
    """
    from regiontalk.search.update import GROUP

    report.bar.expect(len(changed), "photos")
    for start in range(0, len(changed), GROUP):
        _add_group(update, changed[start : start + GROUP], look)
        update.commit()


def _add_group(update: Update, group: Sequence[Path], look: Look) -> None:
    read: dict[str, FileRead] = {}

    def known(each: FileRead) -> bool:
        read[each.path] = each
        return update.knows(each)

    found = {entry.path: (entry, regions) for batch in look(group, known) for entry, regions in batch}
    for path in map(str, group):  # in this order, whatever was ready first
        if path in found:
            update.add(*found[path])
        elif path not in read:
            update.tally.failed += 1
        elif update.knows(read[path]):
            update.take_known(read[path])
        elif update.refuse(read[path]):
            warn_user(f"{printable(path)}: what the index held for this file is dropped, for it is another file now")


def look_at_new(
    model: Model, files: Sequence[Path], known: Known, report: Report, choice: PhotoChoice = ALL_PHOTOS
) -> Iterator[list[tuple[Entry, Regions]]]:
    """See `Look`. Only one file and a batch of photos at the network's size are in memory."""
    from regiontalk.vision.session import BATCH

    waiting: list[tuple[Entry, Photo]] = []
    for file in files:
        opened = _open(str(file), model.pack.settings.vision.size, known, report, choice)
        if opened is None:
            report.bar.advance()
            continue
        waiting.append(opened)
        if len(waiting) == BATCH:
            yield _looked(model, waiting, report)
            waiting = []
    if waiting:
        yield _looked(model, waiting, report)


def _open(path: str, size: int, known: Known, report: Report, choice: PhotoChoice) -> tuple[Entry, Photo] | None:
    """A photo as the vision network will see it; None if it is known, or broken, which is reported."""
    from regiontalk.photos.errors import out_of_memory
    from regiontalk.search.reading import open_read, read_file

    try:
        read, content = read_file(path)
        return None if known(read) else open_read(read, content, size, choice.max_pixels)
    except PhotoError as error:
        report.failure(path, str(error))
    except MemoryError:
        report.failure(path, str(out_of_memory(path)))
    return None


def _looked(model: Model, opened: Sequence[tuple[Entry, Photo]], report: Report) -> list[tuple[Entry, Regions]]:
    found = model.look([photo for _, photo in opened])
    report.bar.advance(len(opened))
    return [(entry, regions) for (entry, _), regions in zip(opened, found, strict=True)]


def drop_missing(update: Update, found: Mapping[str, FoundPhotos], prune: bool) -> None:
    """Drops what was removed. Not below a named folder without any photo, and not where a whole folder is missing,
    empty or cannot be read: then rather a disk is not connected than all photos removed.

    Args:
        update: of the index.
        found: what was named → what was found there.
        prune: whether to drop what was removed, or only to say so.
    """
    folders = [name for name in found if name and os.path.isdir(name)]
    unreadable = [str(folder) for each in found.values() for folder in each.unreadable]
    spared = set().union(*update.missing([*(name for name in folders if not found[name].photos), *unreadable]))
    removed, unknown = update.missing(folders)
    gone, kept = sorted(set(removed) - spared), sorted(spared.union(unknown))
    if kept:
        warn_user(
            f"{_gone(kept)}: nothing is dropped where a folder is missing, empty or unreadable, or no photo was found, "
            "for a disk may not be connected; if they are not to come back, name them to index remove"
        )
    if gone and not prune:
        warn_user(f"{_gone(gone)}: drop them with --prune")
    elif gone:
        update.drop(gone)
        update.commit()


def _gone(paths: Sequence[str]) -> str:
    return f"{len(paths)} photos of the index are gone, such as {printable(paths[0])}"


def tally_text(counts: dict[str, Any]) -> str:
    """What was done to an index, from its name, its number of photos and a `Tally`."""
    done = [f"{count} {kind}" for kind, count in counts.items() if kind not in ("index", "photos") and count]
    return f"{printable(counts['index'])}: {', '.join(done) or 'nothing to do'}; {counts['photos']} photos in all"
