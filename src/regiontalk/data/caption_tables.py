"""Captions as lines of text: CSV with a heading, Kaggle's table with bars, and Flickr8k's list of tokens."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from regiontalk.data.caption_rows import CaptionRow
from regiontalk.data.captions import repeated
from regiontalk.errors import DataError
from regiontalk.settings import shown

_NAME_COLUMNS = frozenset({"image", "file_name", "image_name", "image_id"})
_ALT_NAME_COLUMN = "file"  # of tables of alternative texts; it names the photo only where no other column does
_CAPTION_COLUMNS = frozenset({"caption", "text", "comment"})
DELIMITERS = (",", ";")
"""Between cells: CSV's own, and what spreadsheets write where numbers have a comma in them."""

_FORMULA = re.compile(r"[=+\-@＝＋－＠\s]")  # full-width ones too, which some programs take for the others
_BAR_HEADING = ("image_name", "comment_number", "comment")

# The bar behind the number may be missing: one line of Kaggle's file lacks it.
_NUMBERED = re.compile(r"\s*\d+(?:\s*\||\s|$)(?P<caption>.*)")
_TOKEN_LINE = re.compile(r"(?P<name>[^\t]+)#\d+\t(?P<caption>.*)")


def table_rows(file: Path, text: str) -> Iterator[CaptionRow]:
    """The rows of CSV, whose heading names the columns: image,caption or file_name,text, and possibly split.

    Cells of other columns are ignored. Between cells may be semicolons, as spreadsheets write them in some
    languages. Tables of alternative texts (file,caption) are read too.

    Raises:
        DataError: if the heading lacks a column or has two of one kind, or a row has more or fewer cells.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True)
    try:
        heading = [cell.strip() for cell in next(reader, [])]
        name, caption = _columns(file, heading)
        split = heading.index("split") if "split" in heading else None
        for row in reader:
            if row and len(row) != len(heading):
                raise DataError(f"{file}, line {reader.line_num}: {len(row)} cells, expected {len(heading)}")
            if row:
                photo = name_in_cell(row[name]) if heading[name] == _ALT_NAME_COLUMN else row[name]
                yield CaptionRow(photo, (row[split] or None) if split is not None else None, [row[caption]])
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: not CSV ({error})") from error


def bar_rows(file: Path, text: str) -> Iterator[CaptionRow]:
    """The rows of `results.csv`, as Kaggle has Flickr30k: `image_name| comment_number| comment`.

    Raises:
        DataError: if a line has other parts.
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
    """The rows of `Flickr8k.token.txt` or `results_20130124.token`: a photo, `#` and a number, a tab, a caption.

    Raises:
        DataError: if a line has other parts.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            found = _TOKEN_LINE.fullmatch(line.rstrip("\r"))
            if found is None:
                raise DataError(f"{file}, line {number}: expected NAME#NUMBER<tab>CAPTION, found {shown(line)}")
            yield CaptionRow(found["name"], None, [found["caption"]])


def is_table(text: str) -> bool:
    """Whether text begins with a heading for `table_rows`."""
    return _delimiter(text) is not None


def delimiter_of(text: str) -> str:
    """What stands between the cells of a table: what its heading names the columns with; a comma if nothing does."""
    return _delimiter(text) or DELIMITERS[0]


def cell_of_name(name: str) -> str:
    """A photo's name as a spreadsheet shows it and does not take it for a formula: then as a path from where it lies.

    >>> cell_of_name("more/dog.jpg"), cell_of_name("=1+2.jpg"), cell_of_name("-1.jpg")
    ('more/dog.jpg', './=1+2.jpg', './-1.jpg')
    """
    return f"./{name}" if _FORMULA.match(name) else name


def name_in_cell(cell: str) -> str:
    """The name that `cell_of_name` makes the cell from.

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
    """Where the names and the captions stand."""
    named = _NAME_COLUMNS if _NAME_COLUMNS.intersection(heading) else {_ALT_NAME_COLUMN}
    kinds = (named, _CAPTION_COLUMNS)
    found = [[number for number, cell in enumerate(heading) if cell in kind] for kind in kinds]
    if any(len(numbers) != 1 for numbers in found) or repeated(heading):
        raise DataError(
            f"{file}: the first line must name the columns image,caption (or file_name,text), one of each kind, "
            f"found {heading}"
        )
    return found[0][0], found[1][0]


def _delimiter(text: str) -> str | None:
    """What separates the columns of a heading that names photos and captions; None for any other text."""
    with suppress(csv.Error):  # a line that is too long for a heading
        for delimiter in DELIMITERS:
            cells = {cell.strip() for row in csv.reader([_first_line(text)], delimiter=delimiter) for cell in row}
            if cells & (_NAME_COLUMNS | {_ALT_NAME_COLUMN}) and cells & _CAPTION_COLUMNS:
                return delimiter
    return None


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip("\r")
