from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.data.captions import Problems, is_safe_name, repeated
from regiontalk.errors import DataError
from regiontalk.files import read_json


@pytest.mark.parametrize("name", ["a.jpg", "deep/er/a.jpg", "a b (1).jpg", "Mädchen.jpg", "..a.jpg", "a..jpg", ".a"])
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
        "data: photos missing: 7 ('0.jpg', '1.jpg', '2.jpg', '3.jpg', '4.jpg' and 2 more); photos odd: 1 ('x'). "
        "Nothing was read: mend the files first"
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
        f"c.json, line 3: found a key that occurs twice: '{key}', expected each key once; join the two or remove one"
    )


def test_one_key_in_two_objects() -> None:
    assert read_json(Path("c.json"), '[{"a": 1}, {"a": {"a": 2}}]') == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(DataError, match=r"c\.json: not JSON"):
        read_json(Path("c.json"), text)
