"""The manifest of an index: the list of its segments, committed by atomic rename.

There is no other way to commit. Segments that it does not list, and unfinished files, are leftovers
that the next writer deletes.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import regiontalk
from regiontalk.errors import DataError
from regiontalk.files import json_sha256, problem, read_bytes, written
from regiontalk.json_files import parse_json
from regiontalk.search.segment import Sizes
from regiontalk.search.storage import STORAGES
from regiontalk.settings import Section, checksum, choice, line, shown, whole

if TYPE_CHECKING:
    from regiontalk.pack import Pack

FORMAT = "regiontalk-index"
WITHOUT_TEXTS, WITH_TEXTS = VERSIONS = (3, 4)
"""Format versions; the second, with texts of photos, cannot be read by programs for the first."""

MANIFEST_FILE = "manifest.json"
_NEW = ".new"
"""Suffix of a file that is not finished."""

MOST = 1 << 40
"""Maximum of photos, regions and bytes of paths: more than any disk holds, and small enough for all
sums to fit 64 bits."""
_MAX_MANIFEST_BYTES = 1 << 28
_MAKE_ONE = "Make one: regiontalk index add PHOTOS --index DIR, or open_index(DIR).add(PHOTOS)"
_DAMAGED = (
    "Restore it from a copy, or delete the index and make it again: "
    "regiontalk index add PHOTOS --index DIR"
)


def _segment_name(value: Any) -> str:
    if not isinstance(value, str) or segment_number(value) is None:
        raise ValueError("a name like segment-000001.safetensors")
    return value


def _ascending(value: Any) -> tuple[int, ...]:
    whole_numbers = isinstance(value, list | tuple) and all(type(each) is int for each in value)
    if not whole_numbers or not all(a < b for a, b in pairwise(value)):
        raise ValueError("a list of whole numbers, ascending")
    return tuple(value)


@dataclass(frozen=True)
class PackIdentity(Section):
    """Identity of the pack that made the vectors.

    Attributes:
        name: the pack's, for display.
        checksum: the pack's, see docs/pack_format.md.
        dim: h.
    """

    name: Annotated[str, line(200)]
    checksum: Annotated[str, checksum]
    dim: Annotated[int, whole(1, 1 << 20)]

    @classmethod
    def of(cls, pack: Pack) -> PackIdentity:
        """Identity of a loaded pack."""
        return cls(pack.settings.name, pack.checksum, pack.settings.space.dim)


@dataclass(frozen=True)
class SegmentRecord(Section):
    """Record of a segment in the manifest.

    Attributes:
        file: its name.
        photos, regions, path_bytes: its sizes.
        crc32: of its column of checksums.
        dropped: numbers of its dropped photos, ascending.
        text_bytes: of all its photos' texts; 0 if none has one.

    Raises:
        ValueError: if a value is invalid; it names the field.
    """

    file: Annotated[str, _segment_name]
    photos: Annotated[int, whole(1, MOST)]
    regions: Annotated[int, whole(1, MOST)]
    path_bytes: Annotated[int, whole(1, MOST)]
    crc32: Annotated[int, whole(0, (1 << 32) - 1)]
    dropped: Annotated[tuple[int, ...], _ascending] = ()
    text_bytes: Annotated[int, whole(0, MOST)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("regions", "path_bytes"):
            if getattr(self, name) < self.photos:
                raise ValueError(f"{name}: expected at least one for each of {self.photos} photos")
        if self.dropped and not 0 <= self.dropped[0] <= self.dropped[-1] < self.photos:
            raise ValueError(f"dropped: expected numbers from 0 to {self.photos - 1}")

    @property
    def kept(self) -> int:
        """Number of photos that were not dropped."""
        return self.photos - len(self.dropped)


@dataclass(frozen=True)
class Manifest(Section):
    """The state of an index.

    Attributes:
        pack: that made its vectors.
        storage: of the vectors.
        next_number: of the next segment's file, above those of all segments.
        segments: in the order of their photos, each file once.

    Raises:
        ValueError: if a value is invalid; it names the field.
    """

    pack: PackIdentity
    storage: Annotated[str, choice(*STORAGES)]
    next_number: Annotated[int, whole(1, MOST)] = 1
    segments: tuple[SegmentRecord, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        numbers = [segment_number(each.file) or 0 for each in self.segments]
        if len(set(numbers)) != len(numbers):
            raise ValueError("segments: expected each file once")
        if numbers and self.next_number <= max(numbers):
            raise ValueError(
                f"next_number: expected more than {max(numbers)}, which a segment has, "
                "found no more"
            )
        if sum(each.regions for each in self.segments) > MOST:
            raise ValueError(f"segments: expected at most {MOST} regions in all")

    @property
    def photos(self) -> int:
        """Number of photos, without dropped ones."""
        return sum(each.kept for each in self.segments)

    def sizes(self, record: SegmentRecord) -> Sizes:
        """The layout of one of its segments."""
        return Sizes(
            record.photos,
            record.regions,
            record.path_bytes,
            self.pack.dim,
            self.storage,
            record.text_bytes,
        )

    def with_segments(self, segments: tuple[SegmentRecord, ...], written: int = 0) -> Manifest:
        """The next state, after `written` new files."""
        return replace(self, segments=segments, next_number=self.next_number + written)

    def save(self, folder: Path) -> None:
        """Commits: writes a new file, syncs it to the disk, and renames it into place.

        Raises:
            OSError: if the disk is full or refuses; then the old manifest stays in place.
        """
        content = {
            "format": FORMAT,
            "format_version": WITH_TEXTS
            if any(each.text_bytes for each in self.segments)
            else WITHOUT_TEXTS,
            "made_with": f"regiontalk {regiontalk.__version__}",
            "pack": asdict(self.pack),
            "storage": self.storage,
            "next_number": self.next_number,
            "segments": [
                {**each.to_json(), "dropped": list(each.dropped)} for each in self.segments
            ],
        }
        with written(folder / MANIFEST_FILE, beside=unfinished(folder / MANIFEST_FILE)) as stream:
            stream.write(
                json.dumps({**content, "sha256": json_sha256(content)}, indent=1).encode("ascii")
            )


def read_manifest(folder: Path) -> Manifest:
    """Reads and validates the manifest of an index.

    Raises:
        DataError: if the folder holds no index, one of another version, or a damaged one.
    """
    file = folder / MANIFEST_FILE
    if not file.exists():
        raise DataError(f"{folder}: expected an index, found none. {_MAKE_ONE}")
    try:
        content = parse_json(read_bytes(file, _MAX_MANIFEST_BYTES))
    except ValueError:
        raise problem(file, "damaged, not JSON", DataError, _DAMAGED) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise problem(
            file,
            "this is not the manifest of an index of photos",
            DataError,
            "Name another folder.",
        )
    version = content.get("format_version")
    if version not in VERSIONS:
        raise problem(
            file,
            f"expected format_version {WITHOUT_TEXTS} or {WITH_TEXTS}, found {shown(version)}",
            DataError,
            "Use the version of RegionTalk that made the index, or make it again with this one: "
            "regiontalk index add PHOTOS --index NEW_DIR",
        )
    if content.pop("sha256", None) != json_sha256(content):
        raise problem(file, "damaged, its checksum does not fit", DataError, _DAMAGED)
    try:
        return _from_json(content)
    except ValueError as error:
        raise problem(file, f"damaged, {error}", DataError, _DAMAGED) from None


def _from_json(content: dict[str, Any]) -> Manifest:
    """Parses a manifest whose checksum matches; validates it too, as it decides what is deleted.

    Raises:
        ValueError: naming the invalid value.
    """
    fields = {
        name: each
        for name, each in content.items()
        if name not in ("format", "format_version", "made_with")
    }
    segments = fields.get("segments")
    if not isinstance(segments, list):
        raise ValueError(f"segments: expected a list, found {shown(segments)}")
    return Manifest.from_json(
        {**fields, "segments": tuple(map(_record, range(len(segments)), segments))}
    )


def _record(number: int, content: Any) -> SegmentRecord:
    try:
        return SegmentRecord.from_json(content)
    except ValueError as error:
        raise ValueError(f"segments, number {number}: {error}") from None


def segment_file(number: int) -> str:
    """The name of a segment's file.

    >>> segment_file(7)
    'segment-000007.safetensors'
    """
    return f"segment-{number:06}.safetensors"


def segment_number(name: str) -> int | None:
    """The number in the name of a segment's file; None for any other name.

    >>> segment_number("segment-000007.safetensors"), segment_number("segment-7.safetensors")
    (7, None)
    """
    found = re.fullmatch(r"segment-([0-9]{6,13})\.safetensors", name)
    number = int(found[1]) if found else 0
    return number if name == segment_file(number) else None


def unfinished(file: Path) -> Path:
    """Temporary path of a file of an index, until it is complete."""
    return file.with_name(file.name + _NEW)


def is_unfinished(name: str) -> bool:
    """Whether a file has a name that `unfinished` gives."""
    whole_name = name.removesuffix(_NEW)
    return whole_name != name and (
        whole_name == MANIFEST_FILE or segment_number(whole_name) is not None
    )


def clear_leftovers(folder: Path, manifest: Manifest) -> None:
    """Deletes unfinished files, and segments not in the manifest. The caller holds the lock."""
    counted = {each.file for each in manifest.segments}
    for path in folder.iterdir():
        replaced = segment_number(path.name) is not None and path.name not in counted
        if is_unfinished(path.name) or replaced:
            # Some systems do not delete a file that a reader has open
            with suppress(OSError):
                path.unlink()
