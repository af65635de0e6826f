"""Names, problems, and rows joined photo by photo with their splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.data.captions import CaptionRow, Captions, Problems, is_safe_name, joined, repeated
from regiontalk.errors import DataError
from regiontalk.json_files import read_json


@pytest.mark.parametrize(
    "name", ["a.jpg", "deep/er/a.jpg", "a b (1).jpg", "Mädchen.jpg", "..a.jpg", "a..jpg", ".a"]
)
def test_safe_names(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "/",
        "/a",
        "//server/a",
        "../a",
        "a/..",
        "a/../b",
        r"a\..\b",
        r"\a",
        r"\\s\share\a",
        "C:a",
        "c:/a",
    ],
)
def test_unsafe_names(name: str) -> None:
    assert not is_safe_name(name)


@pytest.mark.parametrize("character", ["\0", "\n", "\x1b"])
def test_control_characters_are_unsafe(character: str) -> None:
    assert not is_safe_name(f"a{character}b.jpg")


@given(st.text(st.sampled_from("ab./\\: ")))
def test_safe_names_stay_inside(name: str) -> None:
    root = Path("/photos/here")
    if is_safe_name(name):
        assert (root / name).resolve().is_relative_to(root)
        assert (root / name.replace("\\", "/")).resolve().is_relative_to(root)


def test_problems_are_told_at_once() -> None:
    problems = Problems(Path("data"))
    problems.raise_if_any()
    problems.add("photos missing", [])
    problems.raise_if_any()
    problems.add("photos missing", (f"{n}.jpg" for n in range(7)))
    problems.add("photos odd", ["x"])
    with pytest.raises(DataError) as error:
        problems.raise_if_any()
    assert str(error.value) == (
        "data: photos missing: 7 ('0.jpg', '1.jpg', '2.jpg', '3.jpg', '4.jpg' and 2 more); photos "
        "odd: 1 ('x'). Nothing was read: mend the files first"
    )


def test_repeated() -> None:
    assert repeated("abcbaab") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a.jpg": ["a dog"], "a.jpg": ["a cat"]}', "a.jpg"),
        ('[{"b": {"file_name": 1, "text": 2, "text": 2}}]', "text"),
        (r'{"\u0061": 1, "a": 2}', "a"),
    ],
)
def test_a_key_that_occurs_twice(text: str, key: str) -> None:
    with pytest.raises(DataError) as error:
        read_json(Path("c.json"), text, 3)
    assert str(error.value) == (
        f"c.json, line 3: found a key that occurs twice: '{key}', expected each key once; "
        "join the two or remove one"
    )


def test_one_key_in_two_objects() -> None:
    assert read_json(Path("c.json"), '[{"a": 1}, {"a": {"a": 2}}]') == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(DataError, match=r"c\.json: not JSON"):
        read_json(Path("c.json"), text)


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
    with pytest.raises(
        DataError, match=r"has no dev.txt for --split dev; splits found: train, test"
    ):
        found.names("dev")


def test_a_photo_in_two_splits() -> None:
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a'\)"):
        of(("a", None), ("a", "test"))
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a \(test and train\)'\)"):
        joined(SOURCE, [], {"train": ["a"], "test": ["a"]})


def test_no_rows_have_no_names() -> None:
    assert of().names("train") == []
