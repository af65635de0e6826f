"""The manifest of an index: which segments count. Renaming a new one into place is the only way anything is committed.

Whatever else lies in the folder is a writer's unfinished work, and the next writer clears it away.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import regiontalk
from regiontalk.errors import DataError
from regiontalk.search.segment import Sizes
from regiontalk.search.storage import STORAGES
from regiontalk.settings import shown

FORMAT, FORMAT_VERSION = "regiontalk-index", 2
MANIFEST_FILE = "manifest.json"
NEW_MANIFEST_FILE = "manifest.json.new"


@dataclass(frozen=True)
class PackIdentity:
    """Which pack made the vectors.

    Attributes:
        name: for people.
        checksum: the pack's, see docs/pack_format.md.
        dim: h.
    """

    name: str
    checksum: str
    dim: int


@dataclass(frozen=True)
class SegmentRecord:
    """A segment that counts.

    Attributes:
        file: its name.
        photos, regions, path_bytes: its sizes.
        crc32: of the file.
        dropped: photos in it that no longer count, ascending.
    """

    file: str
    photos: int
    regions: int
    path_bytes: int
    crc32: int
    dropped: tuple[int, ...] = ()

    @property
    def kept(self) -> int:
        """Photos that count."""
        return self.photos - len(self.dropped)


@dataclass(frozen=True)
class Manifest:
    """The state of an index.

    Attributes:
        pack: that made its vectors.
        storage: of the vectors.
        next_number: of the next segment's file.
        segments: in the order of their photos.
    """

    pack: PackIdentity
    storage: str
    next_number: int = 1
    segments: tuple[SegmentRecord, ...] = ()

    def sizes(self, record: SegmentRecord) -> Sizes:
        """The layout of one of its segments."""
        return Sizes(record.photos, record.regions, record.path_bytes, self.pack.dim, self.storage)

    def with_segments(self, segments: tuple[SegmentRecord, ...], written: int = 0) -> Manifest:
        """The next state, after `written` new files."""
        return replace(self, segments=segments, next_number=self.next_number + written)

    def save(self, folder: Path) -> None:
        """Commits: writes beside, waits for the disk, renames.

        Raises:
            OSError: if the disk is full or refuses; then the old manifest still counts.
        """
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "made_with": f"regiontalk {regiontalk.__version__}",
            "pack": asdict(self.pack),
            "storage": self.storage,
            "next_number": self.next_number,
            "segments": [{**asdict(each), "dropped": list(each.dropped)} for each in self.segments],
        }
        beside = folder / NEW_MANIFEST_FILE
        with beside.open("w", encoding="ascii") as stream:
            json.dump({**content, "sha256": _sha256(content)}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(folder / MANIFEST_FILE)
        _sync_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """The state of an index.

    Raises:
        DataError: if the folder holds no index, one of another version, or a damaged one.
    """
    file = folder / MANIFEST_FILE
    try:
        text = file.read_text(encoding="ascii")
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{folder}: expected an index, found none. Make one: regiontalk index add PHOTOS") from None
    except UnicodeDecodeError:
        raise DataError(f"{file}: {_DAMAGED}") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}).") from error
    return _from_json(file, text)


_DAMAGED = "damaged, its checksum does not fit. Restore it from a copy, or delete the index and make it again."


def _from_json(file: Path, text: str) -> Manifest:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{file}: {_DAMAGED}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{file}: this is not the manifest of an index of photos. Name another folder.")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise DataError(
            f"{file}: expected format_version {FORMAT_VERSION}, found {shown(version)}. "
            "Use the version of RegionTalk that made the index, or make it again with this one."
        )
    if content.pop("sha256", None) != _sha256(content):
        raise DataError(f"{file}: {_DAMAGED}")
    try:
        return _checked(content)
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{file}: {_DAMAGED}") from None


def _checked(content: dict[str, Any]) -> Manifest:
    """From what fits its checksum. Names are checked all the same: they say what is read, and what is deleted."""
    segments = tuple(
        SegmentRecord(**{**each, "dropped": tuple(int(photo) for photo in each["dropped"])})
        for each in content["segments"]
    )
    pack = PackIdentity(**content["pack"])
    if content["storage"] not in STORAGES or not all(is_segment_file(each.file) for each in segments):
        raise ValueError
    if not all(_sound(each) for each in segments) or pack.dim < 1:
        raise ValueError
    return Manifest(pack, content["storage"], int(content["next_number"]), segments)


def _sound(record: SegmentRecord) -> bool:
    dropped = record.dropped
    rising = all(a < b for a, b in pairwise(dropped))
    inside = not dropped or (dropped[0] >= 0 and dropped[-1] < record.photos)
    return rising and inside and 1 <= record.photos <= record.regions and record.path_bytes >= record.photos


def segment_file(number: int) -> str:
    """The name of a segment's file.

    >>> segment_file(7)
    'segment-000007.safetensors'
    """
    return f"segment-{number:06}.safetensors"


def is_segment_file(name: str) -> bool:
    """Whether a file has a name that `segment_file` gives."""
    number = name.removeprefix("segment-").removesuffix(".safetensors")
    return number.isascii() and number.isdigit() and name == segment_file(int(number))


def clear_leftovers(folder: Path, manifest: Manifest) -> None:
    """Deletes what no manifest counts: unfinished and replaced segments. Only for the one who holds the lock."""
    counted = {each.file for each in manifest.segments}
    for path in folder.iterdir():
        if path.name == NEW_MANIFEST_FILE or (is_segment_file(path.name) and path.name not in counted):
            with suppress(OSError):  # a reader may still hold it on systems where that prevents deletion
                path.unlink()


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Waits until a rename is on the disk, where the system lets a folder be waited for."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
