"""Rows joined photo by photo, and their splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from regiontalk.data.caption_rows import CaptionRow, Captions, joined
from regiontalk.errors import DataError

SOURCE = Path("data")


def of(*rows: tuple[str, str | None]) -> Captions:
    return joined(SOURCE, [CaptionRow(name, split, [f"of {name}"]) for name, split in rows])


def test_rows_of_one_photo_are_joined() -> None:
    rows = [
        CaptionRow("x/a.jpg", None, ["A", "B"], ("7",)),
        CaptionRow("b.jpg", "dev", []),
        CaptionRow("x/a.jpg", "train", ["C"], ("7", "8")),
        CaptionRow("y/a.jpg", None, ["D"], ("8",)),
    ]
    found = joined(SOURCE, rows)
    assert found.captions == {"x/a.jpg": ["A", "B", "C"], "b.jpg": [], "y/a.jpg": ["D"]}
    assert found.aliases == {"7": ["x/a.jpg"], "8": ["x/a.jpg", "y/a.jpg"]}
    assert found.states_splits
    assert not of(("a", None)).states_splits


def test_splits() -> None:
    found = of(("a", None), ("b", "dev"), ("c", "test"), ("d", "train"))
    assert found.names("train") == ["a", "d"]
    assert found.names("test+dev") == ["b", "c"]
    assert found.names("all") == ["a", "b", "c", "d"]
    with pytest.raises(DataError, match="data: has no split 'val'; splits found: dev, test, train"):
        found.names("val")


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_dev_finds_other_names_of_it(name: str) -> None:
    found = of(("a", name), ("b", "test"))
    assert found.names("dev") == found.names(name) == ["a"]
    assert of(("a", name), ("b", "dev")).names("dev") == ["b"]


def test_lists_are_the_splits() -> None:
    rows = [CaptionRow(name, None, ["A"]) for name in ("a", "b", "c")]
    found = joined(SOURCE, rows, {"train": ["b", "a"], "test": ["d"]})
    assert (found.names("train"), found.names("test+train")) == (["b", "a"], ["d", "b", "a"])
    assert (found.names("all"), found.states_splits) == (["a", "b", "c"], True)
    with pytest.raises(DataError, match=r"has no dev.txt for --split dev; splits found: train, test"):
        found.names("dev")


def test_a_photo_in_two_splits() -> None:
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a'\)"):
        of(("a", None), ("a", "test"))
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a \(test and train\)'\)"):
        joined(SOURCE, [], {"train": ["a"], "test": ["a"]})


def test_no_rows_have_no_names() -> None:
    assert of().names("train") == []
