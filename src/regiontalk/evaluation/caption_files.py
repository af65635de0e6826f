"""Captions of any system and what people wrote, from the files that they come in. Photos need not be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from regiontalk.data.captions import Problems, read_csv, repeated
from regiontalk.data.coco import is_coco_captions
from regiontalk.errors import DataError
from regiontalk.files import json_lines, read_json, read_text

_OTHER_SPLIT = {"dev": "val"}
_ALL = "all"
_DEFAULT_SPLIT = "train"
_IMAGE_KEYS = ("image", "image_id", "file_name")
_FILES = ("metadata.jsonl", "captions.csv")
_SPLIT_LISTS = ("train", "dev", "test")

Pairs = list[tuple[str, str]]
"""Photo and caption, in the file's order."""


@dataclass(frozen=True)
class References:
    """What people wrote of photos.

    Attributes:
        captions: the captions of each photo, at least one each, by its name.
        aliases: other names that a prediction may use for a photo, such as COCO's numbers.
        split: that these are; None if they were taken whole.
    """

    captions: dict[str, list[str]]
    aliases: dict[str, str] = field(default_factory=dict)
    split: str | None = None


def captions_file(references: Path) -> Path:
    """The file that holds the captions, of a folder or of what is a file itself."""
    inside = [references / name for name in _FILES if (references / name).is_file()]
    return inside[0] if inside else references


@dataclass(frozen=True)
class Matched:
    """Predictions with their references, photo by photo, in the references' order or the list's, and their split."""

    images: list[str]
    candidates: list[str]
    references: list[list[str]]
    split: str | None


def match(predictions: Path, references: Path, images: Path | None = None, split: str = "test") -> Matched:
    """Reads both files and joins them, complete or not at all.

    Args:
        predictions: COCO results (a JSON list of `{"image_id", "caption"}`), JSON Lines of `{"image", "caption"}`, or
            plain text, a caption a line in the order of `images`.
        references: see `read_references`.
        images: a list of names, one a line: only these photos are compared, in this order.
        split: of references that have splits.

    Raises:
        DataError: if a file is damaged, a prediction has no reference or a photo no prediction, or a photo has two
            predictions. It names the first few and counts all.
    """
    listed = None if images is None else _read_list(images)
    truths = read_references(references, split)
    pairs = read_predictions(predictions, listed)
    known = truths.captions
    named = [(name if name in known else truths.aliases.get(name, name), caption) for name, caption in pairs]
    wanted = list(known) if listed is None else [n if n in known else truths.aliases.get(n, n) for n in listed]
    _require_fitting(predictions, references, [name for name, _ in named], wanted, known)
    captions = dict(named)
    return Matched(wanted, [captions[name] for name in wanted], [known[name] for name in wanted], truths.split)


def read_predictions(file: Path, listed: list[str] | None = None) -> Pairs:
    """The captions of a system, in the file's order.

    Raises:
        DataError: if the file is in none of the forms that `match` names, or plain text does not fit the list.
    """
    if file.suffix.lower() == ".json":
        content = read_json(file)
        if not isinstance(content, list):
            raise DataError(f'{file}: expected a list of {{"image_id", "caption"}}, found {_kind(content)}')
        return [_prediction(f"{file}, entry {number}", entry) for number, entry in enumerate(content, start=1)]
    if file.suffix.lower() == ".jsonl":
        return [_prediction(f"{file}, line {number}", entry) for number, entry in json_lines(file)]
    lines = _lines(read_text(file))
    if listed is None:
        raise DataError(f"{file}: plain text does not say which photos it is about; name them with --images LIST")
    if len(lines) != len(listed):
        raise DataError(f"{file}: {len(lines)} lines, but the list names {len(listed)} photos; give a caption for each")
    return list(zip(listed, lines, strict=True))


def read_references(path: Path, split: str = "test") -> References:
    """What people wrote, from whatever holds it.

    Args:
        path: a folder like Flickr8k's or with `metadata.jsonl` or `captions.csv`; a `.csv` with the columns
            image,caption; or JSON: Karpathy's splits, COCO's captions, `{image: [captions]}`, a list or JSON Lines of
            `{"image", "caption"}` or `{"file_name", "captions"}`.
        split: for what states splits; "all" for every photo. A file of captions without splits is taken whole.

    Raises:
        DataError: if it is none of these or damaged, lacks the split, or a photo has an empty caption.
    """
    if path.is_dir():
        found = _from_folder(path, split)
    elif path.suffix.lower() == ".csv":
        found = _collect(_csv_rows(path), split, path)
    elif path.suffix.lower() == ".jsonl":
        found = _from_entries(path, ((f"line {number}", entry) for number, entry in json_lines(path)), split)
    else:
        found = _from_json(path, split)
    problems = Problems(path)
    problems.add("photos without a caption", [name for name, texts in found.captions.items() if not texts])
    empty = [name for name, texts in found.captions.items() if not all(text.strip() for text in texts)]
    problems.add("photos with an empty caption", empty)
    problems.raise_if_any()
    if not found.captions:
        raise DataError(f"{path}: holds no caption")
    return found


def _require_fitting(
    predictions: Path, references: Path, named: list[str], wanted: list[str], known: dict[str, list[str]]
) -> None:
    problems = Problems(predictions)
    problems.add("photos with two predictions", repeated(named))
    problems.add("photos listed twice", repeated(wanted))
    problems.add(f"predictions of photos that {references} does not have", _missing(named, known))
    problems.add(f"listed photos that {references} does not have", _missing(wanted, known))
    problems.add("predictions of photos that are not listed", _missing([n for n in named if n in known], set(wanted)))
    problems.add("photos without a prediction", _missing(wanted, set(named)))
    problems.raise_if_any()


def _missing(names: Iterable[str], there: Iterable[str]) -> list[str]:
    there = there if isinstance(there, set | dict) else set(there)
    return [name for name in dict.fromkeys(names) if name not in there]


# --- Forms of references ----------------------------------------------------------------------------------------------

Row = tuple[str, str | None, list[str]]
"""A photo, its split if the file states one, and captions of it."""


def _from_folder(folder: Path, split: str) -> References:
    lists = [name for name in _SPLIT_LISTS if (folder / f"{name}.txt").is_file()]
    file = captions_file(folder)
    if file == folder:
        raise DataError(f"{folder}: expected {' or '.join(_FILES)} in it, found neither")
    if not lists or file.suffix.lower() == ".jsonl":
        return read_references(file, split)
    everything = _collect(_csv_rows(file), _ALL, folder)
    if split == _ALL:
        return everything
    if split not in lists:
        raise DataError(f"{folder}: has no {split}.txt for --split {split}; splits found: {', '.join(lists)}")
    names = _read_list(folder / f"{split}.txt")
    problems = Problems(folder)
    problems.add("photos listed twice", repeated(names))
    problems.add("photos without a caption", _missing(names, everything.captions))
    problems.raise_if_any()
    return References({name: everything.captions[name] for name in names}, split=split)


def _from_json(path: Path, split: str) -> References:
    content = read_json(path)
    if isinstance(content, list):
        return _from_entries(path, ((f"entry {number}", entry) for number, entry in enumerate(content, 1)), split)
    if is_coco_captions(content):
        return _from_coco(path, content)
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        return _from_karpathy(path, content["images"], split)
    if isinstance(content, dict) and all(_are_texts(texts) for texts in content.values()):
        return References(content)
    raise DataError(
        f"{path}: expected Karpathy's splits, COCO's captions, {{image: [captions]}} or a list of "
        f'{{"image", "caption"}}, found {_kind(content)}'
    )


def _from_coco(path: Path, content: dict[str, Any]) -> References:
    captions: dict[str, list[str]] = {}
    aliases: dict[str, str] = {}
    for number, image in enumerate(content["images"]):
        name = _get(f"{path}, image {number}", image, "id", int | str)
        captions[str(name)] = []
        if isinstance(image.get("file_name"), str):
            aliases[image["file_name"]] = str(name)
    problems = Problems(path)
    problems.add("photos listed twice", repeated(str(image["id"]) for image in content["images"]))
    for number, each in enumerate(content["annotations"]):
        where = f"{path}, annotation {number}"
        name, text = str(_get(where, each, "image_id", int | str)), _get(where, each, "caption", str)
        if name in captions:
            captions[name].append(text)
        else:
            problems.add("captions of photos that are not in its images", [name])
    problems.raise_if_any()
    return References(captions, aliases)


def _from_karpathy(path: Path, images: list[Any], split: str) -> References:
    rows: list[Row] = []
    aliases: dict[str, str] = {}
    for number, image in enumerate(images):
        where = f"{path}, image {number}"
        name, part = _get(where, image, "filename", str), _get(where, image, "split", str)
        sentences = _get(where, image, "sentences", list)
        rows.append((name, part, [_get(where, sentence, "raw", str) for sentence in sentences]))
        if isinstance(image.get("cocoid"), int):
            aliases[str(image["cocoid"])] = name
    problems = Problems(path)
    problems.add("photos listed twice", repeated(name for name, _, _ in rows))
    problems.raise_if_any()
    return replace(_collect(rows, split, path), aliases=aliases)


def _from_entries(path: Path, entries: Iterable[tuple[str, Any]], split: str) -> References:
    rows: list[Row] = []
    for place, entry in entries:
        where = f"{path}, {place}"
        name, texts = _image(where, entry), entry.get("captions", [entry.get("caption", entry.get("text"))])
        part = entry.get("split")
        if not _are_texts(texts) or not isinstance(part, str | None):
            raise DataError(f'{where}: expected "caption", a text, or "captions", a list of texts')
        rows.append((name, part, texts))
    return _collect(rows, split, path)


def _collect(rows: Iterable[Row], split: str, path: Path) -> References:
    """Joins the captions of each photo; if the file states splits, of the photos of one."""
    captions: dict[str, list[str]] = {}
    parts: dict[str, set[str | None]] = {}
    for name, part, texts in rows:
        captions.setdefault(name, []).extend(texts)
        parts.setdefault(name, set()).add(part)
    problems = Problems(path)
    problems.add("photos in two splits", [name for name, found in parts.items() if len(found) > 1])
    problems.raise_if_any()
    stated = {part or _DEFAULT_SPLIT for found in parts.values() for part in found}
    if split == _ALL or not any(part for found in parts.values() for part in found):
        return References(captions)
    wanted = {_OTHER_SPLIT.get(each, each) if each not in stated else each for each in split.split("+")}
    if not wanted <= stated:
        raise DataError(f"{path}: has no split {split!r}; splits found: {', '.join(sorted(stated))}; see --split")
    inside = {name for name, found in parts.items() if (next(iter(found)) or _DEFAULT_SPLIT) in wanted}
    return References({name: texts for name, texts in captions.items() if name in inside}, split=split)


# --- Lines and entries ------------------------------------------------------------------------------------------------


def _csv_rows(file: Path) -> Iterator[Row]:
    for _, row in read_csv(file, ("image", "caption")):
        yield row["image"], row.get("split") or None, [row["caption"]]


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines


def _read_list(file: Path) -> list[str]:
    names = [line.strip() for line in read_text(file).split("\n") if line.strip()]
    if not names:
        raise DataError(f"{file}: names no photo; expected a name on each line")
    return names


def _prediction(where: str, entry: Any) -> tuple[str, str]:
    return _image(where, entry), _get(where, entry, "caption", str)


def _image(where: str, entry: Any) -> str:
    """The name of the photo that an entry is about; COCO's are numbers."""
    name = next((entry[key] for key in _IMAGE_KEYS if key in entry), None) if isinstance(entry, dict) else None
    if isinstance(name, bool) or not isinstance(name, int | str):
        raise DataError(f'{where}: expected "image" (a name) or "image_id", found {_short(entry)}')
    return str(name)


def _get(where: str, entry: Any, key: str, kind: Any) -> Any:
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f'{where}: expected "{key}", found {_short(entry)}')
    return value


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _kind(content: Any) -> str:
    return f"an object with {_short(list(content))}" if isinstance(content, dict) else _short(content)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
