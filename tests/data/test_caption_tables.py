"""Captions as lines of text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regiontalk.data.caption_rows import CaptionRow
from regiontalk.data.caption_tables import bar_rows, is_bar_table, is_table, is_token_list, table_rows, token_rows
from regiontalk.errors import DataError

FILE = Path("f.csv")


def test_a_table() -> None:
    text = 'split,caption,image,more\ntest,"A cat,\nasleep",a.jpg,1\n\n,A dog,b.jpg,\n'
    assert list(table_rows(FILE, text)) == [
        CaptionRow("a.jpg", "test", ["A cat,\nasleep"]),
        CaptionRow("b.jpg", None, ["A dog"]),
    ]


def test_a_table_of_alternative_texts() -> None:
    text = "file;caption;image\r\n./=1.jpg;A dog, a cat;7\r\n"
    assert list(table_rows(FILE, text)) == [CaptionRow("7", None, ["A dog, a cat"])]  # file is just another column
    assert list(table_rows(FILE, text.replace("image", "more"))) == [CaptionRow("=1.jpg", None, ["A dog, a cat"])]
    assert list(table_rows(FILE, "image,caption\n./=1.jpg,A dog\n")) == [CaptionRow("./=1.jpg", None, ["A dog"])]


@pytest.mark.parametrize("heading", ["image,caption", "file_name,text", "file_name, caption", "image_id,caption"])
def test_headings(heading: str) -> None:
    assert list(table_rows(FILE, f"{heading}\n7,A dog\n")) == [CaptionRow("7", None, ["A dog"])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"f.csv: the first line must name the columns image,caption .*, found \[\]"),
        ("image\na\n", "the first line must name"),
        ("image,caption,text\na,b,c\n", "one of each kind, found"),
        ("image,file_name,text\na,b,c\n", "one of each kind, found"),
        ("image,caption,x,x\na,b,c,d\n", "the first line must name"),
        ("image,caption\na,b,c\n", "f.csv, line 2: 3 cells, expected 2"),
        ('image,caption\na,"b\n', "f.csv, line 2: not CSV"),
    ],
)
def test_damaged_tables(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(table_rows(FILE, text))


def test_a_table_with_bars() -> None:
    text = (
        "image_name| comment_number| comment\r\n"
        '1.jpg| 0| A "big" dog , running .\r\n'
        "2 b.jpg| 4   A dog runs across the grass .\n"  # as in Kaggle's file
        "3.jpg|1|a|b\n"
        "4.jpg| 2|\n"
    )
    assert [(row.name, *row.captions) for row in bar_rows(FILE, text)] == [
        ("1.jpg", 'A "big" dog , running .'),
        ("2 b.jpg", "A dog runs across the grass ."),
        ("3.jpg", "a|b"),
        ("4.jpg", ""),
    ]


def test_a_list_of_tokens() -> None:
    text = "a#b.jpg#0\tA dog .\r\n\nb.jpg#12\tA\ttab"
    assert [(row.name, *row.captions) for row in token_rows(FILE, text)] == [
        ("a#b.jpg", "A dog ."),
        ("b.jpg", "A\ttab"),
    ]


@pytest.mark.parametrize(
    ("read", "line"),
    [
        (bar_rows, "1.jpg, 0, A dog"),
        (bar_rows, "1.jpg| A dog"),
        (bar_rows, "1.jpg| 0dog"),
        (token_rows, "a.jpg\tA dog"),
        (token_rows, "a.jpg#0 A dog"),
        (token_rows, "#0\tA dog"),
    ],
)
def test_damaged_lines(read: Callable[..., Any], line: str) -> None:
    with pytest.raises(DataError, match=r"f.csv, line 2: expected .*, found '"):
        list(read(FILE, f"a.jpg#0\tA dog\n{line}"))


def test_what_a_text_is() -> None:
    texts = {
        "image,caption\n": is_table,
        "image_name| comment_number| comment\r\n": is_bar_table,
        "a#0\tA\n": is_token_list,
    }
    for text, its_own in texts.items():
        assert [sees(text) for sees in texts.values()] == [sees is its_own for sees in texts.values()]
    for text in ("", "a dog\n", "an image, a caption\n", "image\tcaption\n", "image;" + "a" * 200_000):
        assert not any(sees(text) for sees in texts.values())


@pytest.mark.parametrize(
    "line", ["#" * 200_000, "a" + " " * 200_000 + "b", "a|" + "1" * 200_000 + "x", "a| 1" + " " * 200_000]
)
def test_long_lines_take_no_longer_than_they_are(line: str) -> None:
    assert not is_token_list(line)
    for read in (bar_rows, token_rows):
        try:
            assert len(list(read(FILE, f"heading\n{line}"))) < 2
        except DataError as error:
            assert len(str(error)) < 200
