"""Tables of alternative texts: what spreadsheets and Python read, and that changes are kept."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.data.alt_table import COLUMNS, AltRow, AltTable, AltTableFile, read_alt_table
from regiontalk.data.caption_formats import cell_of_name, name_in_cell, read_captions_file
from regiontalk.errors import DataError

DOG = AltRow("dog.jpg", "a dog", 500, 375, ("a brown dog", "grass"))
CAT = AltRow("more/cat.jpg", "a cat", 64, 48, ())


def rows_in(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def added(file: Path, *photos: str, caption: str = "a dog", overwrite: bool = False) -> list[bool]:
    table = AltTableFile(file, overwrite)
    taken = [
        table.add(file.parent / photo, caption, (500, 375), ("a brown dog", "grass"))
        for photo in photos
    ]
    table.save()
    return taken


def test_the_bytes() -> None:
    table = AltTable()
    table.put(DOG)
    table.put(CAT)
    assert table.to_bytes() == (
        b"\xef\xbb\xbffile,caption,width,height,regions\r\n"
        b'"dog.jpg","a dog",500,375,"a brown dog; grass"\r\n'
        b'"more/cat.jpg","a cat",64,48,""\r\n'
    )


def test_what_pythons_csv_reads(tmp_path: Path) -> None:
    assert added(tmp_path / "alt.csv", "dog.jpg", "b/ä, ö.jpg") == [True, True]
    dog, other = rows_in(tmp_path / "alt.csv")
    assert dog == dict(
        zip(COLUMNS, ("dog.jpg", "a dog", "500", "375", "a brown dog; grass"), strict=True)
    )
    assert other["file"] == "b/ä, ö.jpg"
    assert [each.name for each in tmp_path.iterdir()] == ["alt.csv"]


def test_photos_are_named_from_the_tables_folder_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    table = AltTableFile(Path("tables/alt.csv"))
    for photo in (
        "tables/dog.jpg",
        "tables/../tables/more/cat.jpg",
        "other/bird.jpg",
        tmp_path / "tables" / "b.jpg",
    ):
        assert table.add(Path(photo), "a dog", (4, 3), ())
    table.save()
    names = ["dog.jpg", "more/cat.jpg", "../other/bird.jpg", "b.jpg"]
    assert [row["file"] for row in rows_in(Path("tables/alt.csv"))] == names


@given(st.text(min_size=1))
def test_no_name_is_a_formula_and_all_come_back(name: str) -> None:
    cell = cell_of_name(name)
    assert not re.match(r"\s*[=+@-]", cell)
    if not name.startswith("./"):  # names of files are never written so
        assert name_in_cell(cell) == name


def test_formulas_come_back_as_names(tmp_path: Path) -> None:
    names = [
        "=1+1.jpg",
        "+a.jpg",
        "-b.jpg",
        "@c.jpg",
        " =d.jpg",
        "a;=2.jpg",
        "=in/e.jpg",
        "1.jpg",
        "12",
    ]
    added(tmp_path / "alt.csv", *names)
    cells = [row["file"] for row in rows_in(tmp_path / "alt.csv")]
    assert cells == [*(f"./{name}" for name in names[:5]), "a;=2.jpg", "./=in/e.jpg", "1.jpg", "12"]
    assert list(read_captions_file(tmp_path / "alt.csv").captions) == names
    assert added(tmp_path / "alt.csv", *names) == [False] * len(names)


def test_edited_texts_are_kept_and_photos_added(tmp_path: Path) -> None:
    file = tmp_path / "alt.csv"
    file.write_text(
        "note,file,caption,regions\nx,dog.jpg,My dog,\n\n,b.jpg, ,old\ny,gone.jpg,Gone,r\n"
    )
    assert added(file, "dog.jpg", "b.jpg", "c.jpg") == [False, True, True]
    assert [tuple(row.values()) for row in rows_in(file)] == [
        ("x", "dog.jpg", "My dog", ""),
        ("", "b.jpg", "a dog", "a brown dog; grass"),
        ("y", "gone.jpg", "Gone", "r"),
        ("", "c.jpg", "a dog", "a brown dog; grass"),
    ]


def test_overwriting(tmp_path: Path) -> None:
    file = tmp_path / "alt.csv"
    file.write_text("file,caption,note\ndog.jpg,My dog,x\ngone.jpg,Gone,y\n")
    assert added(file, "dog.jpg", overwrite=True) == [True]
    assert [tuple(row.values()) for row in rows_in(file)] == [
        ("dog.jpg", "a dog", "x"),
        ("gone.jpg", "Gone", "y"),
    ]


def test_semicolons_stay(tmp_path: Path) -> None:
    """Spreadsheets write them where numbers have a comma in them."""
    file = tmp_path / "alt.csv"
    file.write_text(
        "file;caption;width;height;regions\r\ndog.jpg;Hund, Ball;500;375;a; \r\n".replace(
            "a; ", '"a; b"'
        )
    )
    assert added(file, "dog.jpg", "b.jpg") == [False, True]
    assert file.read_bytes() == (
        b"\xef\xbb\xbffile;caption;width;height;regions\r\n"
        b'"dog.jpg";"Hund, Ball";500;375;"a; b"\r\n"b.jpg";"a dog";500;375;"a brown dog; grass"\r\n'
    )
    assert read_captions_file(file).captions == {"dog.jpg": ["Hund, Ball"], "b.jpg": ["a dog"]}


def test_what_is_edited_meanwhile_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "alt.csv"
    table = AltTableFile(file)
    assert table.add(tmp_path / "a.jpg", "a", (4, 3), ())
    table.save()
    file.write_bytes(file.read_bytes().replace(b'"a"', b'"edited"'))
    assert table.add(tmp_path / "b.jpg", "b", (4, 3), ())
    table.save()
    assert [(row["file"], row["caption"]) for row in rows_in(file)] == [
        ("a.jpg", "edited"),
        ("b.jpg", "b"),
    ]


def test_a_long_table_is_on_the_disk_before_its_end(tmp_path: Path) -> None:
    file = tmp_path / "alt.csv"
    table = AltTableFile(file)
    for number in range(250):
        assert table.add(tmp_path / f"{number}.jpg", "a", (4, 3), ())
    assert len(rows_in(file)) == 200
    table.save()
    assert [row["file"] for row in rows_in(file)] == [f"{number}.jpg" for number in range(250)]


def test_nothing_to_write(tmp_path: Path) -> None:
    AltTableFile(tmp_path / "alt.csv").save()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\0.jpg", "\udcff.jpg"])
def test_names_that_no_table_can_hold(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a name with characters that a table cannot hold"):
        AltTableFile(tmp_path / "alt.csv").add(tmp_path / name, "a", (4, 3), ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            r"expected a table with the columns file and caption, .*found \[\]; name another file",
        ),
        (b"image,caption\na.jpg,a\n", "expected a table with the columns file and caption"),
        (
            b"file,caption,caption\na.jpg,a,b\n",
            "expected a table with the columns file and caption",
        ),
        (b"file,caption\na.jpg\n", "the row that begins with 'a.jpg' has 1 cells, expected 2"),
        (b'file,caption\na.jpg,"a', "line 2: not CSV"),
        (
            b"file,caption\na.jpg,a\na.jpg,b\n",
            "two rows for 'a.jpg', expected one for each photo; remove one",
        ),
        ("file,caption\nä.jpg,a\n".encode("latin-1"), "not UTF-8"),
        (b"\x89PNG", "not UTF-8"),
    ],
)
def test_damaged_tables(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "alt.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_alt_table(file)
    assert file.read_bytes() == content


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5, unique_by=lambda each: each[0]))
def test_cells_of_any_text_survive(cells: list[tuple[str, str]]) -> None:
    clean = [
        (a.encode("utf-8", "replace").decode(), b.encode("utf-8", "replace").decode())
        for a, b in cells
    ]
    table = AltTable(["file", "caption"], [list(pair) for pair in clean])
    text = table.to_bytes().decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [list(pair) for pair in clean]
