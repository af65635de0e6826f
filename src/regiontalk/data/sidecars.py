"""Sidecars with the texts of photos: text files (`dog.jpg.txt`) and XMP.

Photos are never written.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import regiontalk
from regiontalk.data import xmp
from regiontalk.data.captions import SPLIT_FOLDERS, CaptionRow, Problems
from regiontalk.errors import DataError, PhotoError
from regiontalk.files import fitting_name, read_bytes, read_text, write_bytes
from regiontalk.photos.folders import names_in_folders
from regiontalk.photos.kinds import kind_by_name

SUFFIXES = (".xmp", ".XMP")
TEXT_SUFFIX = ".txt"

MAX_BYTES = 16_000_000
"""Limit of an XMP sidecar; those of photos with many masks and brush strokes have a few million
bytes."""
MAX_TEXT_BYTES = 1_000_000


class Sidecars:
    """Finds the XMP sidecars of photos, with a cache of the names in each folder.

    Of `dog.jpg` it is `dog.jpg.xmp`, as darktable and digiKam name it, if that exists; else
    `dog.xmp`, as Adobe's programs name it, if that exists and `dog.jpg` is the only photo of this
    stem, raw ones included; else there is none.
    """

    def __init__(self) -> None:
        self._stems: dict[Path, Counter[str]] = {}

    def there(self, photo: Path, names: Iterable[str] | None = None) -> Path | None:
        """A photo's sidecar; None if it has none.

        Args:
            names: of all files in the photo's folder, if known.
        """
        own = self._first(photo, photo.name)
        if own is not None:
            return own
        shared = self._first(photo, photo.stem)
        # dog.jpg.xmp belongs to dog.jpg if that exists, not to dog.jpg.png
        if shared is None or os.path.lexists(photo.with_name(photo.stem)):
            return None
        if photo.parent not in self._stems:
            self._stems[photo.parent] = _stems(os.listdir(photo.parent) if names is None else names)
        others = self._stems[photo.parent][photo.stem] - bool(kind_by_name(photo.name))
        return shared if others <= 0 else None

    def to_write(self, photo: Path) -> Path:
        """A photo's existing sidecar, else the path for a new one."""
        return self.there(photo) or photo.with_name(photo.name + SUFFIXES[0])

    @staticmethod
    def _first(photo: Path, stem: str) -> Path | None:
        places = [photo.with_name(stem + suffix) for suffix in SUFFIXES]
        return next((place for place in places if os.path.lexists(place)), None)


def read_sidecar(file: Path) -> str:
    """The text of a sidecar: the alternative text, else the description, else "".

    Raises:
        DataError: if it cannot be read, or is not XMP.
    """
    texts = xmp.texts_of(_parsed(file, read_bytes(file, MAX_BYTES)))
    return next((texts[name] for name in xmp.FIELDS if name in texts), "")


def new_sidecar(text: str) -> bytes:
    """The bytes of a new sidecar with a text as alternative text and description."""
    return xmp.fresh(dict.fromkeys(xmp.FIELDS, text), f"RegionTalk {regiontalk.__version__}")


def write_sidecar(file: Path, text: str, overwrite: bool = False) -> bool:
    """Writes a text to a sidecar as alternative text and description; all else is kept.

    Args:
        file: a sidecar; it need not exist.
        overwrite: replace existing texts.

    Returns:
        False if both texts exist and are kept.

    Raises:
        DataError: if the file cannot be read, is not XMP, or is a link. It is left unchanged.
        OSError: if it cannot be written; it names the file.
    """
    if not os.path.lexists(file):
        write_bytes(file, new_sidecar(text))
        return True
    texts = dict.fromkeys(xmp.FIELDS, text)
    old = read_bytes(file, MAX_BYTES, links=False)
    new = xmp.merged(_parsed(file, old), texts, overwrite)
    if new != old:
        write_bytes(file, new)
    return overwrite or new != old


def _parsed(file: Path, content: bytes) -> xmp.Packet:
    try:
        return xmp.parse(content)
    except ValueError as error:
        raise DataError(f"{file}: not an XMP sidecar ({error}). Mend it, or move it away") from None


def _stems(names: Iterable[str]) -> Counter[str]:
    """The number of photos of any kind for each stem."""
    return Counter(os.path.splitext(name)[0] for name in names if kind_by_name(name))


class PhotoFiles(NamedTuple):
    """The files that may hold a photo's text; at least one of them.

    Attributes:
        name: of the photo: its path below the folder.
        text: a text file.
        sidecar: an XMP sidecar.
    """

    name: str
    text: Path | None
    sidecar: Path | None


def text_rows(folder: Path) -> list[CaptionRow]:
    """Captions from the sidecars of photos in a folder and below, sorted by folder and name.

    If all these photos lie in folders named like splits, these are their splits. Empty files, and
    sidecars without a text, are ignored.

    Raises:
        DataError: if a file is damaged, a folder cannot be read, or a photo has two texts that
            differ.
    """
    problems, texts = Problems(folder), {}
    for each in photo_files(folder):
        found = [text for text in _texts(each) if text]
        problems.add(
            "photos whose text file and sidecar differ", [each.name] if len(set(found)) > 1 else []
        )
        if found:
            texts[each.name] = found[0]
    problems.raise_if_any("or keep one of the two")
    folders = {name: name.split("/")[0] if "/" in name else "" for name in texts}
    splits = set(folders.values()) <= set(SPLIT_FOLDERS)
    return [
        CaptionRow(name, folders[name] if splits else None, [text]) for name, text in texts.items()
    ]


def photo_files(folder: Path) -> list[PhotoFiles]:
    """Finds the text files and XMP sidecars of photos, by their names alone.

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
    return list(
        dict.fromkeys(file for each in photo_files(folder) for file in each[1:] if file is not None)
    )


def read_text_file(file: Path) -> str:
    """Reads a text file as one line; "" if it is empty.

    Raises:
        DataError: if it cannot be read, is too large or not UTF-8.
    """
    return " ".join(read_text(file, MAX_TEXT_BYTES).split())


def text_file(photo: Path) -> Path:
    """The path of a photo's text file."""
    return photo.with_name(fitting_name(photo.name, TEXT_SUFFIX))


def write_text_file(file: Path, text: str, overwrite: bool = False) -> bool:
    """Writes a text file, and creates its folders.

    Args:
        overwrite: replace a file that is not empty.

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
    """Whether a text file is empty; False if it cannot be read, so that it is not overwritten."""
    try:
        return not read_text_file(file)
    except DataError:
        return False


def _photos(names: list[str]) -> list[str]:
    """The photos among a folder's files, and those that its sidecars belong to, sorted."""
    endings = (TEXT_SUFFIX, *SUFFIXES)
    after = (
        name.removesuffix(ending) for name in names for ending in endings if name.endswith(ending)
    )
    return sorted({name for name in (*names, *after) if kind_by_name(name) is True})


def _texts(files: PhotoFiles) -> Iterator[str]:
    if files.text is not None:
        yield read_text_file(files.text)
    if files.sidecar is not None:
        yield read_sidecar(files.sidecar)
