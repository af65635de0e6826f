"""Files of captions in any of the known formats, recognised by suffix and content. The photos need not be there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from regiontalk.data.caption_entries import entry_row, is_entry, is_json_lines, is_mapping, line_rows, list_rows
from regiontalk.data.caption_rows import CaptionRow, Captions, joined
from regiontalk.data.caption_tables import (
    bar_rows,
    is_bar_table,
    is_table,
    is_token_list,
    table_rows,
    token_rows,
)
from regiontalk.data.coco import coco_rows, is_coco_captions
from regiontalk.data.karpathy import is_karpathy, karpathy_rows
from regiontalk.errors import DataError
from regiontalk.files import read_json, read_text
from regiontalk.settings import shown

SUFFIXES = (".json", ".jsonl", ".csv", ".txt", ".token")
"""Of files that may hold captions, in any letter case."""

_SURE = (".json", ".jsonl", ".csv")
"""Those of files that can hold nothing else that is asked for beside photos."""

FORMATS = (
    "Karpathy's splits, COCO's captions, {image: [captions]}, "
    'a list or JSON Lines of {"image", "caption"}, CSV with a heading such as image,caption or file_name,text, '
    "image_name| comment_number| comment, or lines of NAME#NUMBER<tab>CAPTION"
)

_JSON_START = re.compile(r'\s*(?:\[\s*)?\{\s*["}]')

Parser: TypeAlias = Callable[[Path, str], Iterable[CaptionRow]]
"""From a file's name, for messages, and its text."""


def is_captions_file(path: Path) -> bool:
    """Whether a path is a file of captions: by its suffix, and where other text has it too, by how the file begins."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES or not path.is_file():
        return False
    try:
        return suffix in _SURE or parser_of(path, read_text(path)) is not None
    except DataError:  # no text
        return False


def read_captions_file(file: Path) -> Captions:
    """The captions of a file in any of `FORMATS`.

    Raises:
        DataError: as `read_rows`; and if the file puts a photo into two splits.
    """
    return joined(file, read_rows(file))


def read_rows(file: Path) -> list[CaptionRow]:
    """The rows of a file in any of `FORMATS`, in its order.

    Raises:
        DataError: if the file cannot be read, is in none of the formats, or damaged.
    """
    text = read_text(file)
    parser = parser_of(file, text)
    if parser is None:
        found = shown(text.strip().partition("\n")[0]) if text.strip() else "nothing"
        raise DataError(f"{file}: expected {FORMATS}; found {found}")
    return list(parser(file, text))


def parser_of(file: Path, text: str) -> Parser | None:
    """What reads a file, by its suffix where that tells, else by its first line; None for other text."""
    suffix = file.suffix.lower()
    if suffix == ".jsonl":
        return line_rows
    if suffix == ".json" or (suffix != ".csv" and _JSON_START.match(text)):
        return json_rows
    if is_token_list(text):
        return token_rows
    if is_bar_table(text):
        return bar_rows
    return table_rows if suffix == ".csv" or is_table(text) else None


def json_rows(file: Path, text: str) -> Iterable[CaptionRow]:
    """The rows of JSON, by what it holds.

    Raises:
        DataError: if it is not JSON, in none of the formats, or damaged.
    """
    if is_json_lines(text):
        return line_rows(file, text)
    content = read_json(file, text)
    if isinstance(content, list):
        return list_rows(file, content)
    if is_coco_captions(content):
        return coco_rows(file, content)
    if is_karpathy(content):
        return karpathy_rows(file, content)
    if is_mapping(content):
        return [CaptionRow(name, None, texts) for name, texts in content.items()]
    if is_entry(content):
        return [entry_row(str(file), content)]
    raise DataError(f"{file}: expected {FORMATS}; found {_kind(content)}")


def _kind(content: Any) -> str:
    return f"an object with {shown(list(content))}" if isinstance(content, dict) else shown(content)
