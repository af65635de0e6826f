"""The picture in CONTRIBUTING is that of this code."""

from __future__ import annotations

from .house import PICTURE, draw


def test_the_house_is_drawn_as_it_stands() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "draw it again: python -m tests.house"
