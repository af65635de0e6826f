"""`regiontalk report`: the file that comes out, and what happens to what is wrong."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import regiontalk
from regiontalk.data import read_dataset

from ..caption_forms import FORMS, TRUTHS
from ..report.made import HOSTILE, Reader, assert_harmless
from .conftest import random_photo

Command = Callable[..., Any]


def read(file: Path) -> Reader:
    return assert_harmless(file.read_text(encoding="utf-8"))


def data_of(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    (data,) = re.findall(
        r'<script type="application/json" id="report-data">(.*?)</script>', text, re.DOTALL
    )
    found: list[dict[str, Any]] = json.loads(data)
    return found


def image(element: dict[str, str]) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(element["href"].partition(",")[2])))


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


def test_an_evaluation(command: Command, captioned: Path, tmp_path: Path) -> None:
    captions = captioned / "captions.csv"
    captions.write_text(
        captions.read_text().replace("number 3", f"<img src=x onerror=alert(1)>{chr(0x2028)} 3")
    )
    out = tmp_path / "e.html"
    ended = command(
        "report", "--evaluation", captioned, "-o", out, "--bootstrap", 20, "--examples", 20
    )
    assert (ended.status, ended.err) == (0, "")
    page = read(out)
    assert page.all("script") == []

    (retrieval,) = command("evaluate", "retrieval", captioned, "--bootstrap", 20, "--json").json()
    (described,) = command("evaluate", "describe", captioned, "--bootstrap", 20, "--json").json()
    cells = [piece.strip() for piece in page.pieces if piece.strip()]
    for way in ("image_to_text", "text_to_image"):
        for name, value in retrieval[way].items():
            low, high = retrieval["interval"][way][name]
            assert cells[cells.index(f"{value:.1f}") :]
            assert f"{low:.1f} to {high:.1f}" in cells
    for name in ("bleu1", "rouge_l", "cider_d"):
        assert f"{described[name]:.1f}" in cells
    for signature in (retrieval["signature"], described["signature"]):
        assert {str(value) for value in signature.values()} <= set(cells)
    # 10 photos and 20 sentences: each is an example, right or wrong, and each photo has its
    # caption.
    assert len([each for each in page.all("li") if each.get("class") == "example"]) == 10 + 20 + 10
    right = [
        cells[place + 1]
        for place, cell in enumerate(cells)
        if cell == ": the closest right one has rank"
    ]
    ranks = [int(each) for each in right]
    assert len(ranks) == 30
    assert sum(rank == 1 for rank in ranks[:10]) / 10 == pytest.approx(
        retrieval["image_to_text"]["r1"] / 100
    )
    assert sum(rank == 1 for rank in ranks[10:]) / 20 == pytest.approx(
        retrieval["text_to_image"]["r1"] / 100
    )
    cider = [
        float(cells[place + 1])
        for place in range(len(cells) - 2)
        if cells[place + 2].startswith(", BLEU-4")
    ]
    assert len(cider) == 10
    assert cider == sorted(cider, reverse=True)


def test_a_plain_folder_is_taken_whole(command: Command, photos: Path, tmp_path: Path) -> None:
    (photos / "captions.csv").write_text(
        "image,caption\na.jpg,a dog\nb.png,a cat\nmore/c.jpg,two people\n"
    )
    out = tmp_path / "r.html"
    assert command("report", photos, "-o", out).status == 0
    assert [each["data"]["file"] for each in data_of(out) if each["kind"] == "Alignment"] == [
        "a.jpg",
        "b.png",
        "more/c.jpg",
    ]
    ended = command("report", "--evaluation", photos, "-o", out)
    assert (ended.status, ended.err) == (0, "")
    assert "tiny on photos, all" in read(out).text
    assert command("report", "--evaluation", photos, "-o", out, "--split", "test").status == 2


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_captions(command: Command, tmp_path: Path, name: str) -> None:
    for number, photo in enumerate(TRUTHS):
        random_photo(number, (60, 48)).save(tmp_path / photo)
    (tmp_path / name).write_text(FORMS[name], newline="")
    # Only Karpathy's files state splits
    split = ["--split", "train"] if "filename" in FORMS[name] else []
    out = tmp_path / "r.html"
    ended = command("report", tmp_path / name, *split, "-o", out)
    assert ended.status == 0, ended.err
    found = [each["data"] for each in data_of(out) if each["kind"] == "Alignment"]
    assert {each["file"]: each["sentence"] for each in found} == {
        photo: said[0] for photo, said in TRUTHS.items()
    }


def test_a_photo_under_the_name_of_a_file_of_captions(command: Command, tmp_path: Path) -> None:
    random_photo(1, (60, 48)).save(tmp_path / "a.txt", "PNG")
    (tmp_path / "b.txt").write_text("a dog\n")
    ended = command("report", tmp_path / "a.txt", "-o", tmp_path / "r.html")
    assert (ended.status, ended.err) == (0, "")
    assert (
        "expected a photo" in command("report", tmp_path / "b.txt", "-o", tmp_path / "r.html").err
    )


def test_an_evaluation_with_boxes(command: Command, captioned: Path, tmp_path: Path) -> None:
    folder = tmp_path / "boxed"
    shutil.copytree(captioned / "images", folder / "images")
    size = {"width": 64, "height": 48, "boxes_xyxy": [[0, 0, 30, 30]], "labels": ["dog"]}
    lines = [json.dumps({"file_name": f"{number}.jpg", **size}) for number in range(10)]
    (folder / "boxes.jsonl").write_text("\n".join(lines))
    out = tmp_path / "e.html"
    boxes = ("--boxes", folder, "--boxes-every", 2)
    ended = command("report", "--evaluation", captioned, *boxes, "--bootstrap", 20, "-o", out)
    assert (ended.status, ended.err) == (0, "")
    (grounding,) = command(
        "evaluate", "grounding", folder, "--every", 2, "--bootstrap", 20, "--json"
    ).json()
    page = read(out)
    cells = [piece.strip() for piece in page.pieces if piece.strip()]
    row = cells.index("model")
    numbers, edges = (
        grounding["words"]["micro"]["model"],
        grounding["interval"]["words"]["micro"]["model"],
    )
    assert cells[row + 1 : row + 9 : 2] == [f"{value:.1f}" for value in numbers.values()]
    assert cells[row + 2 : row + 10 : 2] == [
        "{:.1f} to {:.1f}".format(*edges[name]) for name in numbers
    ]
    assert str(grounding["signature"]["selection"]) in cells
    dashed = [each for each in page.all("rect") if "stroke-dasharray" in each]
    assert len(dashed) == 5  # the true box of each query
    assert cells.count("dog") == 2 * 5  # on the box and below the photo


def test_too_many_examples_are_told_before_the_work(
    command: Command, captioned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "e.html"
    size = ("--evaluation", captioned, "-o", out, "--examples", 1, "--max-size")
    assert command("report", *size, 0.96).status == 0  # 10 photos, 48 kB each, in half of the page
    out.unlink()
    monkeypatch.setattr("regiontalk.model.load", None)  # it is not come to
    ended = command("report", *size, 0.95)
    assert (ended.status, ended.out) == (2, "")
    assert "--max-size 0.95: 10 photos do not fit into so many megabytes" in ended.err
    assert "or allow 1 megabytes" in ended.err
    assert not out.exists()


def test_an_evaluation_of_learnt_photos_says_so(
    bare: Command, captioned: Path, tiny_pack: Path, tmp_path: Path
) -> None:
    pack = Path(shutil.copytree(tiny_pack, tmp_path / "pack"))
    description = json.loads((pack / "pack.json").read_text())
    description["trained_on"] = {"captions": "Dataset test: 10 photos"}
    (pack / "pack.json").write_text(json.dumps(description))
    out = tmp_path / "e.html"
    ended = bare("report", "--evaluation", captioned, "-o", out, "--pack", pack)
    assert ended.status == 0
    assert "WARNING: the pack tiny was trained on photos that it is measured on" in ended.err
    assert "WARNING: the pack tiny was trained on photos that it is measured on" in read(out).text


def test_a_broken_photo_stops_an_evaluation(
    command: Command, captioned: Path, tmp_path: Path
) -> None:
    (captioned / "images" / "3.jpg").write_bytes(b"no photo")
    ended = command("report", "--evaluation", captioned, "-o", tmp_path / "e.html")
    assert (ended.status, ended.out) == (1, "")
    assert "3.jpg" in ended.err
    assert not (tmp_path / "e.html").exists()


def test_the_samples_with_the_default_pack(bare: Command, tmp_path: Path) -> None:
    samples = Path(regiontalk.__file__).parent / "samples"
    ended = bare("report", samples, "-o", tmp_path / "r.html")
    assert (ended.status, ended.err) == (0, "")
    assert [each["data"]["file"] for each in data_of(tmp_path / "r.html")] == [
        f"{name}.jpg" for name in ("astronaut", "camera", "chelsea", "coffee", "rocket")
    ]
    assert (tmp_path / "r.html").stat().st_size < 1_000_000
