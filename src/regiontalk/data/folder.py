"""A plain folder of photos with their captions beside them, in `metadata.jsonl` or `captions.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from regiontalk.data.captions import Dataset, Problems, captioned_photos, read_csv
from regiontalk.errors import DataError
from regiontalk.files import read_json, read_text

_JSONL, _CSV = "metadata.jsonl", "captions.csv"
_DEFAULT_SPLIT = "train"
_ALL = "all"


def is_captioned_folder(folder: Path) -> bool:
    """Whether a folder holds a file of captions, by its name alone."""
    return (folder / _JSONL).is_file() or (folder / _CSV).is_file()


def read_folder(folder: str | Path, split: str) -> Dataset:
    """Reads captioned photos from a folder of one's own.

    Either `metadata.jsonl`, on each line `{"file_name", "text"}` for one caption or `{"file_name", "captions": [...]}`
    for several, or `captions.csv` with the columns image,caption. Both may say the photo's split ("split"); without
    it a photo is for training. A photo may have many lines. Photos that neither file names are left alone.

    Args:
        folder: where they lie; names in the file are relative to it.
        split: "train", "dev", "test", any other that the file names, or "all" for every photo.

    Raises:
        DataError: if the file is damaged, the split is not in it, a photo is missing, in two splits or without a
            caption, or a caption holds no word. It names the first few and counts all.
    """
    folder = Path(folder)
    both = (folder / _JSONL).is_file() and (folder / _CSV).is_file()
    if both or not is_captioned_folder(folder):
        raise DataError(f"{folder}: expected {_JSONL} or {_CSV}, found {'both' if both else 'neither'}; keep one")
    lines = _read_jsonl(folder / _JSONL) if (folder / _JSONL).is_file() else _read_csv(folder / _CSV)
    return _dataset(folder, folder.resolve().name, split, folder, lines)


def read_list(json_file: str | Path, split: str) -> Dataset:
    """Reads one JSON list of captioned photos: the entries of `metadata.jsonl`, `[{"file_name", "captions": [...]}]`.

    The photos lie in the folder that is named as the file is (`captioned/` for `captioned.json`), in `images`, or
    beside the file: in the first of these that is there.

    Args:
        json_file: the file.
        split: as for `read_folder`: entries without a "split" are for training, and "all" reads every photo.

    Raises:
        DataError: as `read_folder`.
    """
    file = Path(json_file)
    content = read_json(file)
    if not isinstance(content, list):
        raise DataError(f'{file}: expected a list of {{"file_name", "captions"}}')
    candidates = (file.parent / file.stem, file.parent / "images", file.parent)
    folder = next(each for each in candidates if each.is_dir())
    entries = [_entry(file, number, entry, "entry") for number, entry in enumerate(content)]
    return _dataset(file, file.stem, split, folder, entries)


def _dataset(source: Path, name: str, split: str, folder: Path, lines: Iterable[tuple[str, str, list[str]]]) -> Dataset:
    """One split of photos that are named with their split and captions, in any order, complete or not at all."""
    split_of: dict[str, str] = {}
    captions: dict[str, list[str]] = {}
    in_two: dict[str, None] = {}
    for photo, part, texts in lines:
        if split_of.setdefault(photo, part) != part:
            in_two[photo] = None
        captions.setdefault(photo, []).extend(texts)
    problems = Problems(source)
    problems.add("photos in two splits", in_two)
    problems.raise_if_any()
    names = [photo for photo, part in split_of.items() if split in (part, _ALL)]
    if split_of and not names:
        raise DataError(f"{source}: has no split {split!r}; splits found: {', '.join(sorted(set(split_of.values())))}")
    return Dataset(name, split, captioned_photos(source, names, folder, captions))


def _read_csv(file: Path) -> Iterator[tuple[str, str, list[str]]]:
    for _, row in read_csv(file, ("image", "caption")):
        yield row["image"], row.get("split") or _DEFAULT_SPLIT, [row["caption"]]


def _read_jsonl(file: Path) -> Iterator[tuple[str, str, list[str]]]:
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            yield _entry(file, number, read_json(file, line, number))


def _entry(file: Path, number: int, entry: Any, unit: str = "line") -> tuple[str, str, list[str]]:
    """A photo's name, split and captions from one line or entry."""
    name = entry.get("file_name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or ("text" in entry) == ("captions" in entry):
        raise DataError(f'{file}, {unit} {number}: expected {{"file_name", "text"}} or {{"file_name", "captions"}}')
    captions = entry["captions"] if "captions" in entry else [entry["text"]]
    split = entry.get("split") or _DEFAULT_SPLIT
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in (split, *captions)):
        raise DataError(f'{file}, {unit} {number}: "text" and "split" must be text and "captions" a list of texts')
    return name, split, captions
