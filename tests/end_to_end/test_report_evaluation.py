"""`regiontalk report --evaluation`: numbers and examples of how well a pack does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ..caption_forms import FORMS, TRUTHS
from .conftest import Command, random_photo
from .reported import data_of, read


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
