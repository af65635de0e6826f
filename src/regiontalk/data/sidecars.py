"""XMP sidecars: where the one of a photo lies, what it says, and writing texts into it. Photos are never written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import regiontalk
from regiontalk.data import xmp
from regiontalk.errors import DataError
from regiontalk.files import read_bytes, write_bytes
from regiontalk.photos.kinds import kind_by_name

SUFFIXES = (".xmp", ".XMP")

MAX_BYTES = 16_000_000
"""Larger sidecars are refused; those of photos with many masks and brush strokes have a few million bytes."""


class Sidecars:
    """Finds the sidecar of each photo, and remembers the names in a folder.

    Of `dog.jpg` it is `dog.jpg.xmp`, as darktable and digiKam name it, if that is there; else `dog.xmp`, as Adobe's
    programs name it, if that is there and `dog.jpg` the only photo of this name, raw ones too; else there is none yet.
    """

    def __init__(self) -> None:
        self._stems: dict[Path, Counter[str]] = {}

    def there(self, photo: Path, names: Iterable[str] | None = None) -> Path | None:
        """A photo's sidecar; None if it has none.

        Args:
            names: of all files in the photo's folder, if they are known.
        """
        own = self._first(photo, photo.name)
        if own is not None:
            return own
        shared = self._first(photo, photo.stem)
        if shared is None or os.path.lexists(photo.with_name(photo.stem)):  # of a photo dog.jpg beside dog.jpg.png
            return None
        if photo.parent not in self._stems:
            self._stems[photo.parent] = _stems(os.listdir(photo.parent) if names is None else names)
        others = self._stems[photo.parent][photo.stem] - bool(kind_by_name(photo.name))
        return shared if others <= 0 else None

    def to_write(self, photo: Path) -> Path:
        """A photo's sidecar: the one that is there, or that it is to get."""
        return self.there(photo) or photo.with_name(photo.name + SUFFIXES[0])

    @staticmethod
    def _first(photo: Path, stem: str) -> Path | None:
        places = [photo.with_name(stem + suffix) for suffix in SUFFIXES]
        return next((place for place in places if os.path.lexists(place)), None)


def read_sidecar(file: Path) -> str:
    """The text that a sidecar has for its photo: the alternative text, or else the description; "" without either.

    Raises:
        DataError: if it cannot be read, or is not XMP.
    """
    texts = xmp.texts_of(_parsed(file, read_bytes(file, MAX_BYTES)))
    return next((texts[name] for name in xmp.FIELDS if name in texts), "")


def new_sidecar(text: str) -> bytes:
    """The bytes of a sidecar that holds a text, as alternative text and as description, and nothing else."""
    return xmp.fresh(dict.fromkeys(xmp.FIELDS, text), f"RegionTalk {regiontalk.__version__}")


def write_sidecar(file: Path, text: str, overwrite: bool = False) -> bool:
    """Puts a text into a sidecar, as alternative text and as description; whatever else it holds stays.

    Args:
        file: a sidecar, or where one is to be.
        overwrite: whether it takes the place of a text that is there.

    Returns:
        Whether it took the text; not if it has both texts, and they are kept.

    Raises:
        DataError: if there is a file that cannot be read or is not XMP, or a link. It is left as it is.
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
    """How many photos of any kind have each name, without their suffixes."""
    return Counter(os.path.splitext(name)[0] for name in names if kind_by_name(name))
