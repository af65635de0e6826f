"""Files of captions: every format, recognised by suffix or content, and joined with photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.data import read_dataset
from regiontalk.data.caption_formats import is_captions_file, parser_of, read_captions_file
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
    contents = {"a.txt": b"A dog runs\n", "b.txt": b"", "c.token": b"\xff\xd8\xff", "d.jpg": CSV.encode(), "e": b"{}"}
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
    assert read_dataset(tmp_path / "captions.txt", "train").photos[0].file.parent == tmp_path / folder


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
    with pytest.raises(DataError, match=f"{name}: expected Karpathy's splits, COCO's captions, .*; {found}"):
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
        st.sampled_from([*'{}[]",:#|\t\n1', "image", "caption", "images", "annotations", "id", "a.jpg#0\t", "null"])
    ).map("".join),
)
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    parser = parser_of(Path(name), text)
    try:
        rows = list(parser(Path(name), text)) if parser else []
    except DataError as error:
        assert str(error).startswith(name)
    else:
        assert all(isinstance(caption, str) for row in rows for caption in (row.name, *row.captions))


def test_one_entry_alone(tmp_path: Path) -> None:
    (tmp_path / "described.json").write_text('{"file": "a.jpg", "caption": {"text": "a dog"}, "regions": []}')
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
