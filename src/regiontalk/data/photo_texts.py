"""Texts beside photos, one file a photo: `dog.jpg.txt`, and XMP sidecars. The photos need not be there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from regiontalk.data.caption_rows import SPLIT_FOLDERS, CaptionRow
from regiontalk.data.captions import Problems
from regiontalk.data.sidecars import SUFFIXES, Sidecars, read_sidecar
from regiontalk.errors import DataError, PhotoError
from regiontalk.files import fitting_name, read_text, write_bytes
from regiontalk.photos.folders import names_in_folders
from regiontalk.photos.kinds import kind_by_name

TEXT_SUFFIX = ".txt"
MAX_TEXT_BYTES = 1_000_000


class PhotoFiles(NamedTuple):
    """The files that may hold a photo's text; at least one of them.

    Attributes:
        name: of the photo: its path below the folder.
        text: a file of text.
        sidecar: an XMP sidecar.
    """

    name: str
    text: Path | None
    sidecar: Path | None


def text_rows(folder: Path) -> list[CaptionRow]:
    """The text of each photo in a folder and in those in it that has one, sorted by folder and name.

    Where all these photos lie in folders that are called as splits are, their folders are their splits. Empty files,
    and sidecars without a text, are no captions.

    Raises:
        DataError: if a file is damaged, a folder cannot be read, or a photo has two texts that differ.
    """
    problems, texts = Problems(folder), {}
    for each in photo_files(folder):
        found = [text for text in _texts(each) if text]
        problems.add("photos whose text file and sidecar differ", [each.name] if len(set(found)) > 1 else [])
        if found:
            texts[each.name] = found[0]
    problems.raise_if_any("or keep one of the two")
    folders = {name: name.split("/")[0] if "/" in name else "" for name in texts}
    splits = set(folders.values()) <= set(SPLIT_FOLDERS)
    return [CaptionRow(name, folders[name] if splits else None, [text]) for name, text in texts.items()]


def photo_files(folder: Path) -> list[PhotoFiles]:
    """The files that may hold texts of photos, by their names alone.

    Raises:
        DataError: if a folder cannot be read.
    """
    sidecars = Sidecars()
    try:
        listed = names_in_folders(folder)
    except PhotoError as error:
        raise DataError(str(error)) from None
    found = []
    for inside, names in listed:
        for name in _photos(names):
            photo, text = inside / name, text_file(inside / name)
            files = text if text.name in names else None, sidecars.there(photo, names)
            if any(files):
                found.append(PhotoFiles(photo.relative_to(folder).as_posix(), *files))
    return found


def text_files(folder: Path) -> list[Path]:
    """The files of `photo_files`, each once."""
    return list(dict.fromkeys(file for each in photo_files(folder) for file in each[1:] if file is not None))


def read_text_file(file: Path) -> str:
    """A text in one line; "" of an empty file.

    Raises:
        DataError: if it cannot be read, is too large or not UTF-8.
    """
    return " ".join(read_text(file, MAX_TEXT_BYTES).split())


def text_file(photo: Path) -> Path:
    """Where a photo's text lies, if it lies beside it."""
    return photo.with_name(fitting_name(photo.name, TEXT_SUFFIX))


def write_text_file(file: Path, text: str, overwrite: bool = False) -> bool:
    """Writes a text, with the folders that it needs.

    Args:
        overwrite: whether it takes the place of a file that is there and not empty.

    Returns:
        Whether it was written.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    if not overwrite and os.path.lexists(file) and not _is_empty(file):
        return False
    write_bytes(file, f"{text}\n".encode())
    return True


def _is_empty(file: Path) -> bool:
    """Whether there is nothing in a file that anybody could miss. What cannot be read is something."""
    try:
        return not read_text_file(file)
    except DataError:
        return False


def _photos(names: list[str]) -> list[str]:
    """The photos that a folder's files are or are named after, sorted."""
    endings = (TEXT_SUFFIX, *SUFFIXES)
    after = (name.removesuffix(ending) for name in names for ending in endings if name.endswith(ending))
    return sorted({name for name in (*names, *after) if kind_by_name(name) is True})


def _texts(files: PhotoFiles) -> Iterator[str]:
    if files.text is not None:
        yield read_text_file(files.text)
    if files.sidecar is not None:
        yield read_sidecar(files.sidecar)
