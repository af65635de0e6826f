"""`regiontalk describe --csv --alt-text --sidecar`: captions into files, and from there back."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regiontalk.data import read_dataset
from regiontalk.data.folder import read_captions

from ..xmp_samples import DARKTABLE, LIGHTROOM, others, texts

Command = Callable[..., Any]
NAMES = ["a.jpg", "b.png", "more/c.jpg"]


def rows_in(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def captions(command: Command, photos: Path) -> list[str]:
    """The tiny pack's captions of the three photos."""
    return [each["caption"]["text"] for each in command("describe", photos, "--json").json()]


def test_a_table(command: Command, photos: Path, tmp_path: Path) -> None:
    ended = command("describe", photos, "--json", "--csv", tmp_path / "alt.csv")
    assert (ended.status, ended.err) == (
        0,
        f"regiontalk: {tmp_path / 'alt.csv'}: 3 texts written\n",
    )
    for row, described in zip(rows_in(tmp_path / "alt.csv"), ended.json(), strict=True):
        assert row == {
            "file": Path(described["file"]).relative_to(tmp_path).as_posix(),
            "caption": described["caption"]["text"],
            "width": str(described["width"]),
            "height": str(described["height"]),
            "regions": "; ".join(region["caption"]["text"] for region in described["regions"]),
        }


def test_a_table_has_the_names_of_json_where_it_lies(
    command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    ended = command("describe", "photos/", "--json", "--csv", "alt.csv")
    assert [row["file"] for row in rows_in(Path("alt.csv"))] == [
        each["file"] for each in ended.json()
    ]


def test_text_files(command: Command, photos: Path, captions: list[str], tmp_path: Path) -> None:
    ended = command("describe", photos, photos / "a.jpg", "--alt-text", tmp_path / "new" / "texts")
    assert (ended.status, ended.err) == (
        0,
        f"regiontalk: {tmp_path / 'new' / 'texts'}: 3 texts written\n",
    )
    found = {name: (tmp_path / "new" / "texts" / f"{name}.txt").read_text() for name in NAMES}
    assert found == {name: f"{caption}\n" for name, caption in zip(NAMES, captions, strict=True)}


def test_sidecars(command: Command, photos: Path, captions: list[str]) -> None:
    (photos / "b.xmp").write_bytes(LIGHTROOM)
    (photos / "more" / "c.jpg.xmp").write_bytes(DARKTABLE)
    before = {name: (photos / name).read_bytes() for name in NAMES}
    ended = command("describe", photos, "--sidecar")
    assert (ended.status, ended.err) == (0, "regiontalk: sidecars: 3 texts written\n")
    assert sorted(each.name for each in photos.rglob("*.xmp")) == [
        "a.jpg.xmp",
        "b.xmp",
        "c.jpg.xmp",
    ]
    for name, caption in zip(("a.jpg.xmp", "b.xmp", "more/c.jpg.xmp"), captions, strict=True):
        said = texts((photos / name).read_bytes())
        assert said == {
            field: {"x-default": caption} for field in ("description", "AltTextAccessibility")
        }
    assert others((photos / "b.xmp").read_bytes()) == others(LIGHTROOM)
    assert others((photos / "more" / "c.jpg.xmp").read_bytes()) == others(DARKTABLE)
    assert {name: (photos / name).read_bytes() for name in NAMES} == before


def test_all_at_once_keeps_edited_texts(
    command: Command, photos: Path, captions: list[str], tmp_path: Path
) -> None:
    table, folder = tmp_path / "alt.csv", tmp_path / "texts"
    line = ["describe", photos, "--csv", table, "--alt-text", folder, "--sidecar"]
    assert command(*line, "--json", "--draw", tmp_path / "drawn").status == 0
    assert len(list((tmp_path / "drawn").iterdir())) == 3
    edited = [folder / "b.png.txt", photos / "b.png.xmp", table]
    for file in edited:
        assert captions[1] in file.read_text()
        file.write_text(file.read_text().replace(captions[1], "Two friends"))
    (photos / "new.jpg").write_bytes((photos / "a.jpg").read_bytes())
    before = [file.read_bytes() for file in edited[:2]]
    ended = command(*line)
    assert ended.status == 0
    told = "1 text written, 3 kept (--overwrite replaces them)"
    assert (
        ended.err
        == f"regiontalk: {table}: {told}\nregiontalk: {folder}: {told}\nregiontalk: sidecars: "
        f"{told}\n"
    )
    assert [file.read_bytes() for file in edited[:2]] == before
    assert "Two friends" in [row["caption"] for row in rows_in(table)]
    assert [row["file"] for row in rows_in(table)] == [
        f"photos/{name}" for name in [*NAMES, "new.jpg"]
    ]
    assert command(*line, "--overwrite").status == 0
    for file in edited:
        assert "Two friends" not in file.read_text()


def test_they_are_captions(
    command: Command, bare: Command, photos: Path, captions: list[str], tmp_path: Path
) -> None:
    """Each of the three is a folder of one's own or a file of captions.

    For training, and to measure captions with.
    """
    texts_ = tmp_path / "texts"
    command("describe", photos, "--csv", tmp_path / "alt.csv", "--alt-text", texts_, "--sidecar")
    expected = {name: [caption] for name, caption in zip(NAMES, captions, strict=True)}
    assert read_captions(photos).captions == read_captions(texts_).captions == expected
    for source in (photos, tmp_path / "alt.csv"):
        dataset = read_dataset(source, "train")
        assert dataset.files == [photos / name for name in NAMES]
        assert [list(photo.captions) for photo in dataset.photos] == list(expected.values())
    for predictions in (tmp_path / "alt.csv", texts_, photos):
        for references in (photos, texts_, tmp_path / "alt.csv"):
            ended = bare("evaluate", "captions", predictions, references, "--json")
            assert ended.status == 0, ended.err
            assert ended.json()[0]["bleu1"] == 100
    assert (
        command("evaluate", "describe", photos, "--split", "all", "--json").json()[0]["bleu1"]
        == 100
    )


def test_a_damaged_sidecar_is_named_and_the_rest_done(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "b.png.xmp").write_bytes(b"<damaged")
    ended = command("describe", photos, "--json", "--sidecar", "--csv", tmp_path / "alt.csv")
    assert (ended.status, len(ended.json())) == (1, 3)
    first, *_ = ended.err.splitlines()
    assert first.startswith(f"regiontalk: {photos / 'b.png.xmp'}: not an XMP sidecar (")
    assert "sidecars: 2 texts written" in ended.err
    assert "1 of 3 inputs failed" in ended.err
    assert (photos / "b.png.xmp").read_bytes() == b"<damaged"
    assert len(rows_in(tmp_path / "alt.csv")) == 3


def test_a_photo_that_fails_twice_is_one_failure(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "b.png.xmp").write_bytes(b"<damaged")
    (tmp_path / "texts" / "b.png.txt").mkdir(parents=True)
    ended = command(
        "describe", photos, "--sidecar", "--alt-text", tmp_path / "texts", "--overwrite"
    )
    assert ended.status == 1
    assert str(tmp_path / "texts" / "b.png.txt") in ended.err
    assert str(photos / "b.png.xmp") in ended.err
    assert "1 of 3 inputs failed" in ended.err


def test_broken_photos_have_no_text(command: Command, photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").write_bytes(b"no photo")
    ended = command("describe", photos, "--csv", tmp_path / "alt.csv", "--sidecar")
    assert ended.status == 1
    assert [row["file"] for row in rows_in(tmp_path / "alt.csv")] == [
        "photos/a.jpg",
        "photos/more/c.jpg",
    ]
    assert not (photos / "b.png.xmp").exists()


@pytest.mark.skipif(os.name != "posix", reason="no such names elsewhere")
def test_odd_names(command: Command, photos: Path, tmp_path: Path) -> None:
    content = (photos / "a.jpg").read_bytes()
    for name in ("=1+1.jpg", "x\\..\\up.jpg", "a\nb.jpg"):
        (photos / name).write_bytes(content)
    ended = command(
        "describe", photos, "--csv", photos / "captions.csv", "--alt-text", tmp_path / "texts"
    )
    assert ended.status == 1
    why = "a name that no folder of texts can hold on every system; rename the photo"
    assert f"regiontalk: {photos}/x\\..\\up.jpg: {why}\n" in ended.err
    why = "a name with characters that a table cannot hold; rename the photo"
    assert f"regiontalk: {photos}/a\\nb.jpg: {why}\n" in ended.err
    assert "2 of 6 inputs failed" in ended.err
    assert (tmp_path / "texts" / "=1+1.jpg.txt").is_file()
    assert len(list((tmp_path / "texts").rglob("*.txt"))) == 4
    cells = [row["file"] for row in rows_in(photos / "captions.csv")]
    assert cells == ["./=1+1.jpg", "a.jpg", "b.png", "more/c.jpg", "x\\..\\up.jpg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--overwrite"],
            "--overwrite: does not apply without --csv, --alt-text or --sidecar; leave it out",
        ),
        (["--csv", "alt.txt"], "--csv 'alt.txt': expected a file that ends in .csv"),
        (["--csv", ""], "--csv '': expected a file that ends in .csv"),
        (
            ["--csv", "damaged.csv"],
            "damaged.csv: expected a table with the columns file and caption",
        ),
        (["--csv", "photos/a.jpg/alt.csv"], "photos/a.jpg/alt.csv: "),
        (["--alt-text", ""], "--alt-text '': expected a folder"),
        (
            ["--alt-text", "photos/a.jpg"],
            "--alt-text 'photos/a.jpg': expected a folder, which may be a new one",
        ),
        (
            ["again", "--alt-text", "t"],
            "photos/a.jpg and again/a.jpg would both be t/a.jpg.txt; name a folder that holds",
        ),
        (
            ["t/a.jpg.txt", "--alt-text", "t"],
            "--alt-text would replace the photo t/a.jpg.txt; choose another folder",
        ),
    ],
)
def test_mistakes_are_told_before_any_work(
    command: Command,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(photos.parent)
    for place in ("again/a.jpg", "t/a.jpg.txt"):
        Path(place).parent.mkdir()
        Path(place).write_bytes((photos / "a.jpg").read_bytes())
    Path("damaged.csv").write_text("image,caption\n")
    ended = command("describe", "photos", *options)
    assert (ended.status, ended.out) == (1 if "a.jpg/alt" in message else 2, "")
    assert message in ended.err
    assert Path("damaged.csv").read_text() == "image,caption\n"
    assert not list(Path().rglob("*.xmp"))


def test_an_interrupted_run_keeps_its_rows(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regiontalk.cli import photos as photo_commands

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def draw(file: Path, *rest: object) -> None:
        if file.name == "c.jpg":
            interrupt()

    monkeypatch.setattr(photo_commands, "draw_picture", draw)
    ended = command("describe", photos, "--csv", tmp_path / "alt.csv", "--draw", tmp_path / "drawn")
    assert ended.status == 130
    assert [row["file"] for row in rows_in(tmp_path / "alt.csv")] == [
        "photos/a.jpg",
        "photos/b.png",
    ]
