"""`regiontalk report`: the file that comes out, and what happens to what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

import regiontalk
from regiontalk.data import read_dataset

from ..report.made import HOSTILE
from .conftest import Command
from .reported import data_of, image, read


def test_photos_with_sentences(
    command: Command, photos: Path, tmp_path: Path, tiny_pack: Path
) -> None:
    sentences = tmp_path / "captions.txt"
    sentences.write_text(f"a red dog\n\na {HOSTILE} cat\n")
    out = tmp_path / "new" / "r.html"
    ended = command(
        "report", photos, "--sentences", sentences, "-o", out, "--title", HOSTILE, "--beta", 0.5
    )
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"{out}: {out.stat().st_size / 1e6:.1f} MB\n"
    assert [each.name for each in out.parent.iterdir()] == ["r.html"]

    page, views = read(out), data_of(out)
    assert [each["kind"] for each in views] == [
        "Alignment",
        "Description",
        "Description",
        "Alignment",
        "Description",
    ]
    names = ["a.jpg", "a.jpg", "b.png", "more/c.jpg", "more/c.jpg"]
    assert [each["data"]["file"] for each in views] == names
    assert str(photos) not in out.read_text()  # nobody need know where they lie
    assert [image(each).size for each in page.all("image")] == [(60, 48), (80, 48), (100, 48)]
    assert page.text.count(HOSTILE) == 2

    model = regiontalk.load(tiny_pack)
    (described,) = command("describe", photos / "b.png", "--json").json()
    assert views[2]["data"] == described | {"file": "b.png"}
    aligned = model.align(photos / "a.jpg", "a red dog", 0.5).to_json() | {
        "file": "a.jpg",
        "beta": 0.5,
    }
    assert {name: value for name, value in views[0]["data"].items() if name != "scores"} == aligned


def test_one_sentence_for_all(command: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a dog in the snow")
    out = tmp_path / "r.html"
    assert (
        command(
            "report", photos, "--sentences", tmp_path / "one.txt", "-o", out, "--limit", 2
        ).status
        == 0
    )
    found = [each["data"]["sentence"] for each in data_of(out) if each["kind"] == "Alignment"]
    assert found == ["a dog in the snow"] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\n\n", ["a.jpg", "b.png"]),
        ("\n\na\r\n", ["more/c.jpg"]),
        ("a\nb\nc\n\n\n", ["a.jpg", "b.png", "more/c.jpg"]),
    ],
)
def test_an_empty_line_leaves_its_photo_alone(
    command: Command, photos: Path, tmp_path: Path, text: str, expected: list[str]
) -> None:
    (tmp_path / "lines.txt").write_bytes(text.replace("b", "the").replace("c", "dog").encode())
    out = tmp_path / "r.html"
    assert command("report", photos, "--sentences", tmp_path / "lines.txt", "-o", out).status == 0
    assert [
        each["data"]["file"] for each in data_of(out) if each["kind"] == "Alignment"
    ] == expected


@pytest.mark.parametrize(("split", "count"), [(None, 10), ("train", 2)])
def test_a_dataset(
    command: Command, captioned: Path, tmp_path: Path, split: str | None, count: int
) -> None:
    out = tmp_path / "r.html"
    ended = command("report", captioned, *([] if split is None else ["--split", split]), "-o", out)
    assert (ended.status, ended.err) == (0, "")
    aligned = [each["data"] for each in data_of(out) if each["kind"] == "Alignment"]
    expected = [photo.captions[0] for photo in read_dataset(captioned, split or "test").photos]
    assert [each["sentence"] for each in aligned] == expected
    assert len(aligned) == count
    assert len(read(out).all("li")) > count  # a list of contents


def test_broken_photos_are_named_and_the_others_shown(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "a.jpg").write_bytes(b"no photo")
    (tmp_path / "lines.txt").write_text("a red dog\na blue cat\nxyzzy\nthe snow\n")
    out = tmp_path / "r.html"
    given = (photos, photos / "a.jpg", "-o", out, "--sentences", tmp_path / "lines.txt")
    ended = command("report", *given)
    assert ended.status == 1
    assert ended.err.count("a.jpg: expected a photo") == 2
    assert "The pack knows none of the words in 'xyzzy'" in ended.err or "'xyzzy'" in ended.err
    assert [(each["kind"], each["data"]["file"]) for each in data_of(out)] == [
        ("Alignment", "b.png"),
        ("Description", "b.png"),
        ("Description", "more/c.jpg"),
    ]
    assert data_of(out)[0]["data"]["sentence"] == "a blue cat"
    assert "Not tied to the photo, for lack of a known word: xyzzy" in read(out).text


def test_without_a_good_photo_there_is_no_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    ended = command("report", tmp_path / "a.jpg", tmp_path / "gone.jpg", "-o", tmp_path / "r.html")
    assert (ended.status, ended.out) == (1, "")
    assert [each.name for each in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file names")
def test_hostile_file_names(command: Command, photos: Path, tmp_path: Path) -> None:
    evil = photos / "<img src=x onerror=alert(1)>'\"&\n.jpg"
    (photos / "a.jpg").rename(evil)
    out = tmp_path / "r.html"
    assert command("report", evil, "-o", out).status == 0
    assert "<img src=x onerror=alert(1)>'\"&\\n.jpg" in read(out).text


def test_photos_are_made_smaller(command: Command, tmp_path: Path) -> None:
    Image.effect_noise((1500, 900), 90).convert("RGB").save(tmp_path / "large.png")
    out = tmp_path / "r.html"
    assert command("report", tmp_path / "large.png", "-o", out).status == 0
    (shown,) = read(out).all("image")
    assert image(shown).size == (1024, 614)
    assert (shown["width"], shown["height"]) == ("1500", "900")  # the boxes' unit
    assert command("report", tmp_path / "large.png", "-o", out, "--max-side", 200).status == 0
    assert image(read(out).all("image")[0]).size == (200, 120)
    assert (
        command("report", *[tmp_path / "large.png"] * 4, "-o", out, "--max-size", 0.5).status == 0
    )
    assert out.stat().st_size <= 500_000
    assert 320 <= image(read(out).all("image")[0]).width < 1024


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "r.txt"], "-o 'r.txt': expected a file that ends in .html"),
        (["--split", "dev"], "--split dev: only captioned photos have splits"),
        (["--boxes", "b.jsonl"], "--boxes: does not apply without --evaluation"),
        (["--boxes-every", "2"], "--boxes-every: does not apply without --evaluation"),
        (["--max-size", "nan"], "Invalid value for '--max-size'"),
        (
            ["--bootstrap", "10", "--examples", "3"],
            "--examples, --bootstrap: does not apply without --evaluation",
        ),
        (["--seed", "0"], "--seed: does not apply without --evaluation"),
        (["--evaluation", "--seed", "0"], "--seed: does not apply without --bootstrap"),
        (["--evaluation", "--boxes-split", "dev"], "--boxes-split: does not apply without --boxes"),
        (
            ["--sentences", "two.txt"],
            "two.txt: expected a line for each of the 3 photos, or one for all, found 2",
        ),
        (["--sentences", "gone.txt"], "gone.txt: no such file"),
        (
            ["--max-size", "0.5", "--limit", "3", "--evaluation"],
            "--limit: does not apply with --evaluation",
        ),
        (
            ["--evaluation", "more"],
            "--evaluation: expected one folder or file of captioned photos, found 2 names",
        ),
    ],
)
def test_what_makes_no_sense(
    command: Command,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("two.txt").write_text("a dog\na cat\n")
    if "--boxes-split" in arguments:
        Path("photos/captions.csv").write_text("image,caption\na.jpg,a dog\n")
        arguments = [*arguments, "--split", "train"]
    before = sorted(Path().rglob("*"))
    ended = command("report", "photos", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err
    assert sorted(Path().rglob("*")) == before


def test_captions_and_sentences_at_once(command: Command, captioned: Path, tmp_path: Path) -> None:
    ended = command(
        "report", captioned, "--sentences", tmp_path / "a.txt", "-o", tmp_path / "r.html"
    )
    assert ended.status == 2
    assert "--sentences: these photos have captions of their own" in ended.err


def test_a_photo_is_never_replaced(command: Command, photos: Path) -> None:
    (photos / "a.jpg").rename(photos / "a.html")
    before = (photos / "a.html").read_bytes()
    # As A.html where upper and lower case are one
    (photos / "other.html").hardlink_to(photos / "a.html")
    for name in ("a.html", "other.html"):
        ended = command("report", photos / "a.html", "-o", photos / name)
        assert ended.status == 2
    assert (photos / "a.html").read_bytes() == before


@pytest.mark.parametrize("evaluation", [False, True])
def test_what_cannot_be_written_is_told_before_the_work(
    command: Command,
    captioned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    evaluation: bool,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("regiontalk.model.load", None)  # it is not come to
    for target in (tmp_path / "file" / "r.html", Path("/proc/no/r.html")):
        ended = command("report", captioned, *["--evaluation"][:evaluation], "-o", target)
        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith(f"regiontalk: {target}: ")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dataset", "file"]


def test_the_samples_with_the_default_pack(bare: Command, tmp_path: Path) -> None:
    samples = Path(regiontalk.__file__).parent / "samples"
    ended = bare("report", samples, "-o", tmp_path / "r.html")
    assert (ended.status, ended.err) == (0, "")
    assert [each["data"]["file"] for each in data_of(tmp_path / "r.html")] == [
        f"{name}.jpg" for name in ("astronaut", "camera", "chelsea", "coffee", "rocket")
    ]
    assert (tmp_path / "r.html").stat().st_size < 1_000_000
