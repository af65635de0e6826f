"""One object of JSON about a photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regiontalk.data.caption_entries import entry_row, is_json_lines, line_rows, list_rows
from regiontalk.data.caption_rows import CaptionRow
from regiontalk.errors import DataError


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        ({"image": "a.jpg", "caption": "A dog"}, CaptionRow("a.jpg", None, ["A dog"])),
        ({"image_id": 7, "caption": "A dog"}, CaptionRow("7", None, ["A dog"])),
        ({"file_name": "x/a.jpg", "text": "A dog", "split": "dev"}, CaptionRow("x/a.jpg", "dev", ["A dog"])),
        ({"file_name": "a.jpg", "captions": ["A", "B"], "split": ""}, CaptionRow("a.jpg", None, ["A", "B"])),
        ({"image": "a.jpg", "caption": ["A", "B"], "image_id": "c7"}, CaptionRow("a.jpg", None, ["A", "B"], ("c7",))),
        ({"file": "a.jpg", "caption": {"text": "A", "log_prob": -1}, "regions": []}, CaptionRow("a.jpg", None, ["A"])),
        ({"file_name": "a.jpg", "image_id": 7, "caption": "A"}, CaptionRow("a.jpg", None, ["A"], ("7",))),
        ({"image": "a.jpg", "captions": []}, CaptionRow("a.jpg", None, [])),
    ],
)  # fmt: skip
def test_entries(entry: dict[str, Any], row: CaptionRow) -> None:
    assert entry_row("here", entry) == row


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (5, 'expected "image"'),
        ({"caption": "A"}, 'expected "image"'),
        ({"file_name": 7, "caption": "A"}, 'expected "image"'),
        ({"image": None, "caption": "A"}, 'expected "image"'),
        ({"image": True, "caption": "A"}, 'expected "image"'),
        ({"image": {"bytes": "x"}, "caption": "A"}, 'expected "image"'),
        ({"image": "a"}, 'expected "caption"'),
        ({"image": "a", "caption": None}, 'expected "caption"'),
        ({"image": "a", "caption": {"words": []}}, 'expected "caption"'),
        ({"image": "a", "caption": ["A", 3]}, 'expected "caption"'),
        ({"image": "a", "captions": "A"}, 'expected "caption"'),
        ({"image": "a", "text": ["A"]}, 'expected "caption"'),
        ({"image": "a", "caption": "A", "split": 3}, 'expected "caption"'),
        ({"image": "a", "caption": "A", "text": "B"}, "found caption and text"),
    ],
)
def test_damaged_entries(entry: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"here.*{message}"):
        entry_row("here", entry)


def test_places() -> None:
    with pytest.raises(DataError, match="f, entry 2: expected"):
        list(list_rows(Path("f"), [{"image": "a", "caption": "A"}, 3]))
    with pytest.raises(DataError, match="f, line 3: not JSON"):
        list(line_rows(Path("f"), '{"image": "a", "caption": "A"}\n\n{'))


@pytest.mark.parametrize("text", ["{}\n{}", '\n{"a": 1}\r\n\r\n{"b": 2}\n', '{"a": 1}\n{'])
def test_json_lines(text: str) -> None:
    assert is_json_lines(text)


@pytest.mark.parametrize("text", ["", "{}", '{"a": 1}\n', "[\n{}\n]", '{\n"a": 1\n}', "5\n6", "[" * 100_000 + "\n"])
def test_no_json_lines(text: str) -> None:
    assert not is_json_lines(text)
