"""Files with a sentence on each line."""

from __future__ import annotations

from pathlib import Path

from regiontalk.cli.console import Report, printable
from regiontalk.errors import DataError


def read_sentences(file: str, report: Report) -> list[tuple[int, str]]:
    """The lines of a file, each with its number from 1; blank ones are passed over, those without a word reported.

    Raises:
        DataError: if the file cannot be read or holds no sentence.
    """
    from regiontalk.files import read_text
    from regiontalk.language.tokenise import tokenise

    lines = []
    for number, line in enumerate(read_text(Path(file)).split("\n"), start=1):
        if tokenise(line):
            lines.append((number, line.strip()))
        elif line.strip():
            report.failure(f"{file}, line {number}", "has no word")
    if not lines:
        raise DataError(f"{printable(file)}: expected a sentence on each line, found none")
    return lines
