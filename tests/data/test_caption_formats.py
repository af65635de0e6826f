"""Files of captions: every format, recognised by suffix or content, and joined with photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.data import read_dataset
from regiontalk.data.caption_formats import (
    bar_rows,
    entry_row,
    is_bar_table,
    is_captions_file,
    is_json_lines,
    is_table,
    is_token_list,
    line_rows,
    list_rows,
    parser_of,
    read_captions_file,
    table_rows,
    token_rows,
)
from regiontalk.data.captions import CaptionRow
from regiontalk.errors import DataError

from ..caption_forms import CSV, FORMS, TOKENS, TRUTHS


@pytest.mark.parametrize("name", FORMS)
def test_every_format(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name], newline="")
    assert read_captions_file(tmp_path / name).captions == TRUTHS


@pytest.mark.parametrize("name", FORMS)
def test_every_format_is_recognised(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name], newline="")
    assert is_captions_file(tmp_path / name)


def test_what_is_no_file_of_captions(tmp_path: Path) -> None:
    contents = {
        "a.txt": b"A dog runs\n",
        "b.txt": b"",
        "c.token": b"\xff\xd8\xff",
        "d.jpg": CSV.encode(),
        "e": b"{}",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "f.json").mkdir()
    for name in (*contents, "f.json", "gone.json"):
        assert not is_captions_file(tmp_path / name), name


@pytest.mark.parametrize("folder", ["images", "."])
@pytest.mark.parametrize("name", FORMS)
def test_every_format_with_its_photos(tmp_path: Path, name: str, folder: str) -> None:
    (tmp_path / name).write_text(FORMS[name], newline="")
    (tmp_path / folder).mkdir(exist_ok=True)
    for photo in TRUTHS:
        (tmp_path / folder / photo).touch()
    dataset = read_dataset(tmp_path / name, "all" if "val2014" in name else "train")
    assert {photo.file: list(photo.captions) for photo in dataset.photos} == {
        tmp_path / folder / photo: captions for photo, captions in TRUTHS.items()
    }


@pytest.mark.parametrize("name", [name for name in FORMS if "val2014" not in name])
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name].replace("a.jpg", "../a.jpg"), newline="")
    (tmp_path / "b.jpg").touch()
    with pytest.raises(DataError, match=r"file names that leave the folder: 1 \('../a.jpg'\)"):
        read_dataset(tmp_path / name, "train")


@pytest.mark.parametrize("folder", ["Images", "captions", "Flicker8k_Dataset", "flickr30k_images"])
def test_photos_where_published_datasets_have_them(tmp_path: Path, folder: str) -> None:
    (tmp_path / "captions.txt").write_text(CSV)
    (tmp_path / "images").mkdir()  # without the photos
    (tmp_path / folder).mkdir(exist_ok=True)
    for photo in TRUTHS:
        (tmp_path / folder / photo).touch()
    assert (
        read_dataset(tmp_path / "captions.txt", "train").photos[0].file.parent == tmp_path / folder
    )


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("x.txt", "A dog runs\nA cat\n", "found 'A dog runs'"),
        ("x.txt", " \n", "found nothing"),
        ("x.json", "5", "found 5"),
        ("x.json", '{"a.jpg": "A dog"}', r"found an object with \['a.jpg'\]"),
        ("x", "[UNK] dog", r"found '\[UNK\] dog'"),
    ],
)
def test_what_is_in_no_format(tmp_path: Path, name: str, text: str, found: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(
        DataError, match=f"{name}: expected Karpathy's splits, COCO's captions, .*; {found}"
    ):
        read_captions_file(tmp_path / name)


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.txt"])
def test_damaged_json(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"image": "a.jpg", "caption')
    with pytest.raises(DataError, match=f"{name}.*: not JSON"):
        read_captions_file(tmp_path / name)


def test_plain_text_is_no_captions_of_photos() -> None:
    assert parser_of(Path("x.txt"), "a dog\n[a cat]\n") is None
    assert parser_of(Path("x.txt"), TOKENS) is not None


@given(
    st.sampled_from(["x.json", "x.jsonl", "x.csv", "x.txt"]),
    st.lists(
        st.sampled_from(
            [
                *'{}[]",:#|\t\n1',
                "image",
                "caption",
                "images",
                "annotations",
                "id",
                "a.jpg#0\t",
                "null",
            ]
        )
    ).map("".join),
)
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    parser = parser_of(Path(name), text)
    try:
        rows = list(parser(Path(name), text)) if parser else []
    except DataError as error:
        assert str(error).startswith(name)
    else:
        assert all(
            isinstance(caption, str) for row in rows for caption in (row.name, *row.captions)
        )


def test_one_entry_alone(tmp_path: Path) -> None:
    (tmp_path / "described.json").write_text(
        '{"file": "a.jpg", "caption": {"text": "a dog"}, "regions": []}'
    )
    assert read_captions_file(tmp_path / "described.json").captions == {"a.jpg": ["a dog"]}


def test_two_photos_of_one_bare_name(case: Callable[[str], Path]) -> None:
    found = read_captions_file(case("karpathy_paths/samename.json"))
    assert found.captions == {"val2014/a.jpg": ["A cup."], "train2014/a.jpg": ["A cat."]}
    found = read_captions_file(case("karpathy_paths/dataset_coco.json"))
    assert list(found.captions) == ["val2014/a.jpg", "val2014/b.jpg"]
    assert found.aliases == {"1": ["val2014/a.jpg"]}


@pytest.mark.parametrize("name", ["results.JSON", "captions_val2014.json"])
def test_a_suffix_in_capitals(case: Callable[[str], Path], name: str) -> None:
    assert len(read_captions_file(case(f"capital_suffix/{name}")).captions) == 2


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        ({"image": "a.jpg", "caption": "A dog"}, CaptionRow("a.jpg", None, ["A dog"])),
        ({"image_id": 7, "caption": "A dog"}, CaptionRow("7", None, ["A dog"])),
        (
            {"file_name": "x/a.jpg", "text": "A dog", "split": "dev"},
            CaptionRow("x/a.jpg", "dev", ["A dog"]),
        ),
        (
            {"file_name": "a.jpg", "captions": ["A", "B"], "split": ""},
            CaptionRow("a.jpg", None, ["A", "B"]),
        ),
        (
            {"image": "a.jpg", "caption": ["A", "B"], "image_id": "c7"},
            CaptionRow("a.jpg", None, ["A", "B"], ("c7",)),
        ),
        (
            {"file": "a.jpg", "caption": {"text": "A", "log_prob": -1}, "regions": []},
            CaptionRow("a.jpg", None, ["A"]),
        ),
        (
            {"file_name": "a.jpg", "image_id": 7, "caption": "A"},
            CaptionRow("a.jpg", None, ["A"], ("7",)),
        ),
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


@pytest.mark.parametrize(
    "text", ["", "{}", '{"a": 1}\n', "[\n{}\n]", '{\n"a": 1\n}', "5\n6", "[" * 100_000 + "\n"]
)
def test_no_json_lines(text: str) -> None:
    assert not is_json_lines(text)


FILE = Path("f.csv")


def test_a_table() -> None:
    text = 'split,caption,image,more\ntest,"A cat,\nasleep",a.jpg,1\n\n,A dog,b.jpg,\n'
    assert list(table_rows(FILE, text)) == [
        CaptionRow("a.jpg", "test", ["A cat,\nasleep"]),
        CaptionRow("b.jpg", None, ["A dog"]),
    ]


def test_a_table_of_alternative_texts() -> None:
    text = "file;caption;image\r\n./=1.jpg;A dog, a cat;7\r\n"
    # File is just another column
    assert list(table_rows(FILE, text)) == [CaptionRow("7", None, ["A dog, a cat"])]
    assert list(table_rows(FILE, text.replace("image", "more"))) == [
        CaptionRow("=1.jpg", None, ["A dog, a cat"])
    ]
    assert list(table_rows(FILE, "image,caption\n./=1.jpg,A dog\n")) == [
        CaptionRow("./=1.jpg", None, ["A dog"])
    ]


@pytest.mark.parametrize(
    "heading", ["image,caption", "file_name,text", "file_name, caption", "image_id,caption"]
)
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
        assert [sees(text) for sees in texts.values()] == [
            sees is its_own for sees in texts.values()
        ]
    for text in (
        "",
        "a dog\n",
        "an image, a caption\n",
        "image\tcaption\n",
        "image;" + "a" * 200_000,
    ):
        assert not any(sees(text) for sees in texts.values())


@pytest.mark.parametrize(
    "line",
    ["#" * 200_000, "a" + " " * 200_000 + "b", "a|" + "1" * 200_000 + "x", "a| 1" + " " * 200_000],
)
def test_long_lines_take_no_longer_than_they_are(line: str) -> None:
    assert not is_token_list(line)
    for read in (bar_rows, token_rows):
        try:
            assert len(list(read(FILE, f"heading\n{line}"))) < 2
        except DataError as error:
            assert len(str(error)) < 200
