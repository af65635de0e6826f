"""JSON and JSON Lines from files: strict, with lines that are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from regiontalk.errors import DataError
from regiontalk.json_files import RepeatedKeyError, json_lines, parse_json, read_json


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", "1e400", "-Infinity", "[" * 100_000, "{", ""]
)
def test_json_is_strict(text: str, file: Path) -> None:
    with pytest.raises(ValueError):
        parse_json(text)
    file.write_text(text)
    with pytest.raises(DataError, match="file: not JSON"):
        read_json(file)


def test_no_key_twice(file: Path) -> None:
    with pytest.raises(RepeatedKeyError, match="'a'"):
        parse_json('{"b": {"a": 1, "a": 2}}')
    with pytest.raises(DataError, match="file, line 7: found a key that occurs twice"):
        read_json(file, '{"a": 1, "a": 1}', 7)


def test_json_lines_are_numbered_from_one_with_blank_lines(file: Path) -> None:
    file.write_text('1\n\n{"a": 2}\r\n')
    assert list(json_lines(file)) == [(1, 1), (3, {"a": 2})]
    file.write_text("1\nx")
    with pytest.raises(DataError, match="file, line 2: not JSON"):
        list(json_lines(file))
