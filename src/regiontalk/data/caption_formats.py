"""Parsers of caption files; the format is detected by suffix and content.

The photos need not exist.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from regiontalk.data.captions import CaptionRow, Captions, joined, repeated
from regiontalk.data.coco import coco_rows, is_coco_captions, is_karpathy, karpathy_rows
from regiontalk.errors import DataError
from regiontalk.files import read_text
from regiontalk.json_files import parse_json, read_json
from regiontalk.settings import shown

SUFFIXES = (".json", ".jsonl", ".csv", ".txt", ".token")
"""Suffixes of caption files, in any letter case."""

_SURE = (".json", ".jsonl", ".csv")
"""Suffixes that identify a caption file without a look at its content."""

FORMATS = (
    "Karpathy's splits, COCO's captions, {image: [captions]}, "
    'a list or JSON Lines of {"image", "caption"}, CSV with a heading such as image,caption or '
    "file_name,text, "
    "image_name| comment_number| comment, or lines of NAME#NUMBER<tab>CAPTION"
)

_JSON_START = re.compile(r'\s*(?:\[\s*)?\{\s*["}]')

NAME_KEYS = ("image", "file_name", "file", "image_id")
"""Keys of a photo's name: the first present is its name, the others are aliases."""

CAPTION_KEYS = ("caption", "captions", "text")

_NUMBERED_KEYS = ("image", "image_id")  # COCO's photos have numbers

_NAME_COLUMNS = frozenset({"image", "file_name", "image_name", "image_id"})
# Of tables of alternative texts; used only where no other column names the photo
_ALT_NAME_COLUMN = "file"
_CAPTION_COLUMNS = frozenset({"caption", "text", "comment"})
DELIMITERS = (",", ";")
"""CSV's own, and that of spreadsheets in locales with a decimal comma."""

# Starts of cells that spreadsheets evaluate (CSV injection); full-width signs too, which some
# programs treat alike
_FORMULA = re.compile(r"[=+\-@＝＋－＠\s]")
_BAR_HEADING = ("image_name", "comment_number", "comment")

# The bar behind the number may be missing: one line of Kaggle's file lacks it.
_NUMBERED = re.compile(r"\s*\d+(?:\s*\||\s|$)(?P<caption>.*)")
_TOKEN_LINE = re.compile(r"(?P<name>[^\t]+)#\d+\t(?P<caption>.*)")

Parser: TypeAlias = Callable[[Path, str], Iterable[CaptionRow]]
"""(path for messages, text) -> rows."""


def is_captions_file(path: Path) -> bool:
    """Whether a path is a caption file: by its suffix, or if that is ambiguous by its content."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES or not path.is_file():
        return False
    try:
        return suffix in _SURE or parser_of(path, read_text(path)) is not None
    except DataError:  # no text
        return False


def read_captions_file(file: Path) -> Captions:
    """Reads a caption file in any of `FORMATS`.

    Raises:
        DataError: as `read_rows`, or if a photo is in two splits.
    """
    return joined(file, read_rows(file))


def read_rows(file: Path) -> list[CaptionRow]:
    """Parses a caption file in any of `FORMATS`; rows keep its order.

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
    """The parser for a file, by its suffix or its first line.

    None for other text.
    """
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
    """Parses JSON; the layout is detected by its content.

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


def line_rows(file: Path, text: str) -> Iterator[CaptionRow]:
    """Parses JSON Lines, see `entry_row`.

    Raises:
        DataError: if a line is not JSON or no entry.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield entry_row(f"{file}, line {number}", read_json(file, line, number))


def list_rows(file: Path, entries: list[Any]) -> Iterator[CaptionRow]:
    """Parses a JSON list, see `entry_row`.

    Raises:
        DataError: if a member of the list is no entry.
    """
    for number, entry in enumerate(entries, start=1):
        yield entry_row(f"{file}, entry {number}", entry)


def entry_row(place: str, entry: Any) -> CaptionRow:
    """Parses one object: a photo's name and captions.

    Args:
        place: file and line, for messages.
        entry: `{"image", "file_name", "file" or "image_id": a name, "caption" or "text": a text, or
            "captions": a list of texts}`, and optionally "split". "caption" may also be a list of
            texts, as in BLIP's files, or an object with a "text", as `regiontalk describe --json`
            prints it.

    Raises:
        DataError: if it is anything else, or has several keys for captions.
    """
    names = _names(place, entry)
    keys = [key for key in CAPTION_KEYS if key in entry]
    if len(keys) > 1:
        raise DataError(
            f'{place}: expected one of "caption", "captions" and "text", found {" and ".join(keys)}'
        )
    captions = _texts(keys[0], entry[keys[0]]) if keys else None
    split = entry.get("split") or None
    if captions is None or not isinstance(split, str | None):
        raise DataError(
            f'{place}: expected "caption", a text (or "text"; or "captions", a list of texts); '
            f'captions and "split" must be text, found {shown(entry)}'
        )
    return CaptionRow(names[0], split, captions, tuple(names[1:]))


def is_entry(content: Any) -> bool:
    """Whether parsed JSON has the keys of an object for `entry_row`."""
    return isinstance(content, dict) and all(
        set(keys) & set(content) for keys in (NAME_KEYS, CAPTION_KEYS)
    )


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
    """The photo's name and its aliases, in the order of `NAME_KEYS`."""
    found = (
        [(key, entry[key]) for key in NAME_KEYS if key in entry] if isinstance(entry, dict) else []
    )
    if not found or not all(_is_name(key, value) for key, value in found):
        raise DataError(
            f'{place}: expected "image" (a name), "file_name", "file" or "image_id", '
            f"found {shown(entry)}"
        )
    return [str(value) for _, value in found]


def _is_name(key: str, value: Any) -> bool:
    return isinstance(value, str) or (key in _NUMBERED_KEYS and type(value) is int)


def _texts(key: str, value: Any) -> list[str] | None:
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, str):
        return None if key == "captions" else [value]
    return value if key != "text" and _are_texts(value) else None


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def table_rows(file: Path, text: str) -> Iterator[CaptionRow]:
    """Parses CSV with a heading.

    The heading names the columns: image,caption or file_name,text, and optionally split; other
    columns are ignored. Semicolons may separate cells, as spreadsheets write them in some locales.
    Tables of alternative texts (file,caption) are read too.

    Raises:
        DataError: if the heading lacks a column or has two of one kind, or a row has more or fewer
            cells.
    """
    rows = csv_rows(file, text)
    heading = [cell.strip() for cell in next(rows, (1, []))[1]]
    name, caption = _columns(file, heading)
    split = heading.index("split") if "split" in heading else None
    for line, row in rows:
        if row and len(row) != len(heading):
            raise DataError(f"{file}, line {line}: {len(row)} cells, expected {len(heading)}")
        if row:
            photo = name_in_cell(row[name]) if heading[name] == _ALT_NAME_COLUMN else row[name]
            yield CaptionRow(
                photo, (row[split] or None) if split is not None else None, [row[caption]]
            )


def csv_rows(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of CSV, heading and empty rows included, each with the number of its last line.

    Raises:
        DataError: if it is not CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: not CSV ({error})") from error


def bar_rows(file: Path, text: str) -> Iterator[CaptionRow]:
    """Parses Kaggle's `results.csv` of Flickr30k: `image_name| comment_number| comment`.

    Raises:
        DataError: if a line has another form.
    """
    for number, line in enumerate(text.split("\n")[1:], start=2):
        if line.strip():
            name, _, rest = line.partition("|")
            found = _NUMBERED.fullmatch(rest.rstrip("\r"))
            if found is None:
                expected = "image_name| comment_number| comment"
                raise DataError(f"{file}, line {number}: expected {expected}, found {shown(line)}")
            yield CaptionRow(name.strip(), None, [found["caption"].strip()])


def token_rows(file: Path, text: str) -> Iterator[CaptionRow]:
    """Parses `Flickr8k.token.txt` or `results_20130124.token`: NAME#NUMBER<tab>CAPTION.

    Raises:
        DataError: if a line has another form.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            found = _TOKEN_LINE.fullmatch(line.rstrip("\r"))
            if found is None:
                raise DataError(
                    f"{file}, line {number}: expected NAME#NUMBER<tab>CAPTION, found {shown(line)}"
                )
            yield CaptionRow(found["name"], None, [found["caption"]])


def is_table(text: str) -> bool:
    """Whether text begins with a heading for `table_rows`."""
    return _delimiter(text) is not None


def delimiter_of(text: str) -> str:
    """The delimiter of a table, detected in its heading; a comma by default."""
    return _delimiter(text) or DELIMITERS[0]


def cell_of_name(name: str) -> str:
    """A photo's name as a cell, escaped against CSV injection.

    A name that a spreadsheet would evaluate as a formula gets the prefix `./`.

    >>> cell_of_name("more/dog.jpg"), cell_of_name("=1+2.jpg"), cell_of_name("-1.jpg")
    ('more/dog.jpg', './=1+2.jpg', './-1.jpg')
    """
    return f"./{name}" if _FORMULA.match(name) else name


def name_in_cell(cell: str) -> str:
    """Inverse of `cell_of_name`.

    >>> name_in_cell("./=1+2.jpg"), name_in_cell("dog.jpg")
    ('=1+2.jpg', 'dog.jpg')
    """
    name = cell.removeprefix("./")
    return name if _FORMULA.match(name) else cell


def is_bar_table(text: str) -> bool:
    """Whether text begins with the heading for `bar_rows`."""
    return tuple(cell.strip() for cell in _first_line(text).split("|")) == _BAR_HEADING


def is_token_list(text: str) -> bool:
    """Whether text begins with a line for `token_rows`."""
    return _TOKEN_LINE.fullmatch(_first_line(text)) is not None


def _columns(file: Path, heading: list[str]) -> tuple[int, int]:
    """Indices of the columns of names and captions."""
    named = _NAME_COLUMNS if _NAME_COLUMNS.intersection(heading) else {_ALT_NAME_COLUMN}
    kinds = (named, _CAPTION_COLUMNS)
    found = [[number for number, cell in enumerate(heading) if cell in kind] for kind in kinds]
    if any(len(numbers) != 1 for numbers in found) or repeated(heading):
        raise DataError(
            f"{file}: the first line must name the columns image,caption (or file_name,text), one "
            f"of each kind, found {heading}"
        )
    return found[0][0], found[1][0]


def _delimiter(text: str) -> str | None:
    """The delimiter of a heading that names photos and captions; None for other text."""
    with suppress(csv.Error):  # a line that is too long for a heading
        for delimiter in DELIMITERS:
            cells = {
                cell.strip()
                for row in csv.reader([_first_line(text)], delimiter=delimiter)
                for cell in row
            }
            if cells & (_NAME_COLUMNS | {_ALT_NAME_COLUMN}) and cells & _CAPTION_COLUMNS:
                return delimiter
    return None


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip("\r")
