"""Captions as objects of JSON: a list of them, JSON Lines, or `{image: [captions]}`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regiontalk.data.caption_rows import CaptionRow
from regiontalk.errors import DataError
from regiontalk.files import parse_json, read_json
from regiontalk.settings import shown

NAME_KEYS = ("image", "file_name", "file", "image_id")
"""Keys that name a photo: the first that is there is its name, the others are further names."""

CAPTION_KEYS = ("caption", "captions", "text")

_NUMBERED = ("image", "image_id")  # COCO's photos have numbers


def line_rows(file: Path, text: str) -> Iterator[CaptionRow]:
    """The rows of JSON Lines, see `entry_row`.

    Raises:
        DataError: if a line is not JSON or no entry.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield entry_row(f"{file}, line {number}", read_json(file, line, number))


def list_rows(file: Path, entries: list[Any]) -> Iterator[CaptionRow]:
    """The rows of a JSON list, see `entry_row`.

    Raises:
        DataError: if a member of the list is no entry.
    """
    for number, entry in enumerate(entries, start=1):
        yield entry_row(f"{file}, entry {number}", entry)


def entry_row(place: str, entry: Any) -> CaptionRow:
    """A photo's name and captions from one object.

    Args:
        place: file and line, for messages.
        entry: `{"image", "file_name", "file" or "image_id": a name, "caption" or "text": a text, or "captions": a list
            of texts}`, and possibly "split". "caption" may also be a list of texts, as in BLIP's files, or an object
            with a "text", as `regiontalk describe --json` prints it.

    Raises:
        DataError: if it is anything else, or says its captions twice.
    """
    names = _names(place, entry)
    keys = [key for key in CAPTION_KEYS if key in entry]
    if len(keys) > 1:
        raise DataError(f'{place}: expected one of "caption", "captions" and "text", found {" and ".join(keys)}')
    captions = _texts(keys[0], entry[keys[0]]) if keys else None
    split = entry.get("split") or None
    if captions is None or not isinstance(split, str | None):
        raise DataError(
            f'{place}: expected "caption", a text (or "text"; or "captions", a list of texts); '
            f'captions and "split" must be text, found {shown(entry)}'
        )
    return CaptionRow(names[0], split, captions, tuple(names[1:]))


def is_entry(content: Any) -> bool:
    """Whether parsed JSON looks like one object for `entry_row`, by its keys alone."""
    return isinstance(content, dict) and all(set(keys) & set(content) for keys in (NAME_KEYS, CAPTION_KEYS))


def is_mapping(content: Any) -> bool:
    """Whether parsed JSON is `{image: [captions]}`."""
    return isinstance(content, dict) and all(_are_texts(texts) for texts in content.values())


def is_json_lines(text: str) -> bool:
    """Whether text is JSON Lines, more than one, rather than one JSON value."""
    first, _, rest = text.strip().partition("\n")
    if not rest.strip():
        return False
    try:
        return isinstance(parse_json(first), dict)
    except ValueError:
        return False


def _names(place: str, entry: Any) -> list[str]:
    """All names of the photo, the first of `NAME_KEYS` first."""
    found = [(key, entry[key]) for key in NAME_KEYS if key in entry] if isinstance(entry, dict) else []
    if not found or not all(_is_name(key, value) for key, value in found):
        raise DataError(f'{place}: expected "image" (a name), "file_name", "file" or "image_id", found {shown(entry)}')
    return [str(value) for _, value in found]


def _is_name(key: str, value: Any) -> bool:
    return isinstance(value, str) or (key in _NUMBERED and type(value) is int)


def _texts(key: str, value: Any) -> list[str] | None:
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, str):
        return None if key == "captions" else [value]
    return value if key != "text" and _are_texts(value) else None


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
