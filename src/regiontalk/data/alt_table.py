"""Table of alternative texts as CSV for spreadsheets, updated without losing people's edits."""

from __future__ import annotations

import csv
import io
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from regiontalk.data.caption_formats import cell_of_name, csv_rows, delimiter_of, name_in_cell
from regiontalk.data.captions import repeated
from regiontalk.errors import DataError
from regiontalk.files import read_text, write_bytes
from regiontalk.settings import shown

COLUMNS = ("file", "caption", "width", "height", "regions")
_NAME, _TEXT = COLUMNS[:2]
_NUMBER = re.compile("0|[1-9][0-9]{0,8}")
_CONTROL = re.compile("[\0-\x1f\ud800-\udfff]")


class AltRow(NamedTuple):
    """A row: path from the table's folder, caption, size in pixels, captions of the regions."""

    file: str
    caption: str
    width: int
    height: int
    regions: tuple[str, ...]

    def cells(self) -> dict[str, str]:
        """The row's cells by column."""
        values = (
            cell_of_name(self.file),
            self.caption,
            str(self.width),
            str(self.height),
            "; ".join(self.regions),
        )
        return dict(zip(COLUMNS, values, strict=True))


@dataclass
class AltTable:
    """The rows of a table, with all its columns, those that people added too.

    Attributes:
        heading: names of the columns; `file` and `caption` are among them.
        rows: each as many cells as the heading has.
        delimiter: between cells.
    """

    heading: list[str] = field(default_factory=lambda: list(COLUMNS))
    rows: list[list[str]] = field(default_factory=list)
    delimiter: str = ","

    def __post_init__(self) -> None:
        name = self.heading.index(_NAME)
        self._row_of = {name_in_cell(row[name]): row for row in self.rows}

    def text_of(self, file: str) -> str:
        """The table's text for a photo; "" if none."""
        row = self._row_of.get(file)
        return "" if row is None else row[self.heading.index(_TEXT)].strip()

    def put(self, new: AltRow, overwrite: bool = False) -> None:
        """Adds a photo's row or updates it.

        A row with a text is only updated if `overwrite` is set.
        """
        if not overwrite and self.text_of(new.file):
            return
        if new.file not in self._row_of:
            self._row_of[new.file] = [""] * len(self.heading)
            self.rows.append(self._row_of[new.file])
        row = self._row_of[new.file]
        for column, cell in new.cells().items():
            if column in self.heading:
                row[self.heading.index(column)] = cell

    def to_bytes(self) -> bytes:
        """CSV in UTF-8 with a byte order mark, without which Excel assumes another encoding.

        Lines end as in RFC 4180. All texts are quoted, so that a program that splits cells at
        another delimiter cannot turn part of one into a formula.
        """
        stream = io.StringIO()
        csv.writer(stream, delimiter=self.delimiter).writerow(self.heading)
        writer = csv.writer(stream, delimiter=self.delimiter, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerows(
            [int(cell) if _NUMBER.fullmatch(cell) else cell for cell in row] for row in self.rows
        )
        return stream.getvalue().encode("utf-8-sig")


def read_alt_table(file: Path) -> AltTable:
    """Reads a table; an empty one if the file does not exist.

    Raises:
        DataError: if the file cannot be read, is not UTF-8, not CSV, lacks the columns file and
            caption, has cells too many or too few in a row, or two rows for a photo.
    """
    if not os.path.lexists(file):
        return AltTable()
    text = read_text(file)
    heading, *rows = [row for _, row in csv_rows(file, text)] or [[]]
    heading, rows = [cell.strip() for cell in heading], [row for row in rows if row]
    if not {_NAME, _TEXT} <= set(heading) or repeated(heading):
        raise DataError(
            f"{file}: expected a table with the columns {_NAME} and {_TEXT}, as describe --csv "
            f"writes it, found {shown(heading)}; name another file"
        )
    for row in rows:
        if len(row) != len(heading):
            found = f"{len(row)} cells, expected {len(heading)}"
            raise DataError(f"{file}: the row that begins with {shown(row[0])} has {found}")
    twice = repeated([name_in_cell(row[heading.index(_NAME)]) for row in rows])
    if twice:
        raise DataError(
            f"{file}: two rows for {shown(twice[0])}, expected one for each photo; remove one"
        )
    return AltTable(heading, rows, delimiter_of(text))


class AltTableFile:
    """Table on disk that grows in batches, each written by atomic rename.

    The file is read again before each write, so that edits by others in the meantime are kept.
    """

    def __init__(self, file: Path, overwrite: bool = False) -> None:
        """Opens a table, which need not exist; `overwrite` replaces existing texts.

        Raises:
            DataError: as `read_alt_table`.
        """
        self.file, self.overwrite = file, overwrite
        self._table = read_alt_table(file)
        self._waiting: list[AltRow] = []
        self._folder = os.path.abspath(file.parent)

    def add(
        self, photo: Path, caption: str, size: tuple[int, int], regions: tuple[str, ...]
    ) -> bool:
        """Adds a photo's row to a buffer, which is saved in batches and by `save`.

        Args:
            size: width and height in pixels.
            regions: their captions.

        Returns:
            False if the photo has a text that is kept.

        Raises:
            DataError: if the photo's name cannot be in a table.
            OSError: as `save`.
        """
        name = _path_from(self._folder, photo)
        if _CONTROL.search(name):
            raise DataError(
                f"{photo}: a name with characters that a table cannot hold; rename the photo"
            )
        if not self.overwrite and self._table.text_of(name):
            return False
        self._waiting.append(AltRow(name, caption, *size, regions))
        # Batches grow with the table, as each of them writes all of it
        if len(self._waiting) >= max(100, len(self._table.rows) // 10):
            self.save()
        return True

    def save(self) -> None:
        """Writes the buffered rows.

        Raises:
            DataError: as `read_alt_table`, if the file was damaged in the meantime.
            OSError: if it cannot be written; it names the file.
        """
        if not self._waiting:
            return
        self._table = read_alt_table(self.file)
        for row in self._waiting:
            self._table.put(row, self.overwrite)
        write_bytes(self.file, self._table.to_bytes())
        self._waiting = []


def _path_from(folder: str, photo: Path) -> str:
    """A photo's path relative to a folder, with slashes; absolute if there is no relative one."""
    path = os.path.abspath(photo)
    with suppress(ValueError):  # on another drive
        path = os.path.relpath(path, folder)
    return path.replace(os.sep, "/")
