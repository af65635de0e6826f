"""`regiontalk describe` and `regions`: results, order, pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import regiontalk

Command = Callable[..., Any]


def test_json_is_what_the_model_says(command: Command, photo_file: Path, tiny_pack: Path) -> None:
    ended = command("describe", photo_file, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    expected = regiontalk.load(tiny_pack).describe(photo_file).to_json()
    assert found == expected
    assert list(found) == ["file", "width", "height", "caption", "regions"]
    assert (found["file"], found["width"], found["height"]) == (str(photo_file), 120, 80)
    assert set(found["caption"]) == {"text", "log_prob"}
    assert found["regions"]
    for region in found["regions"]:
        assert list(region) == ["box_xyxy", "score", "caption"]
        assert set(region["caption"]) == {"text", "log_prob"}


def test_text_names_the_photo_and_its_caption(command: Command, photo_file: Path) -> None:
    (expected,) = command("describe", photo_file, "--json").json()
    ended = command("describe", photo_file)
    assert ended.status == 0
    first, second, *_ = ended.out.splitlines()
    assert first == f"{photo_file} (120 x 80)"
    assert second.strip() == expected["caption"]["text"]
    # A heading and an empty line
    assert len(ended.out.splitlines()) == 4 + len(expected["regions"])


def test_a_folder_is_searched_and_the_order_kept(
    command: Command, photos: Path, photo_file: Path
) -> None:
    ended = command("describe", photo_file, photos, photos / "a.jpg", "--json")
    names = [
        photo_file,
        photos / "a.jpg",
        photos / "b.png",
        photos / "more" / "c.jpg",
        photos / "a.jpg",
    ]
    assert ended.status == 0
    assert [each["file"] for each in ended.json()] == [str(name) for name in names]
    assert ended.json()[1] == ended.json()[4]  # a photo given twice is described twice


def test_many_photos_are_described_as_one_by_one(command: Command, photos: Path) -> None:
    together = command("describe", photos, "--json").json()
    for found in together:
        (alone,) = command("describe", found["file"], "--json").json()
        assert alone["caption"]["text"] == found["caption"]["text"]
        assert alone["caption"]["log_prob"] == pytest.approx(found["caption"]["log_prob"], abs=1e-3)
        assert [r["box_xyxy"] for r in alone["regions"]] == [
            r["box_xyxy"] for r in found["regions"]
        ]


def test_beam_and_threads_are_passed_on(
    command: Command, photo_file: Path, tiny_pack: Path
) -> None:
    (found,) = command("describe", photo_file, "--json", "--beam", 1, "--threads", 1).json()
    assert found == regiontalk.load(tiny_pack, threads=1).describe(photo_file, beam=1).to_json()


def test_regions(command: Command, photo_file: Path) -> None:
    (found,) = command("regions", photo_file, "--json").json()
    assert list(found) == ["file", "width", "height", "regions"]
    assert found["regions"][0] == {"box_xyxy": [0.0, 0.0, 120.0, 80.0], "score": 1.0}
    text = command("regions", photo_file)
    assert text.status == 0
    # Name, heading, no whole photo, an empty line
    assert len(text.out.splitlines()) == 2 + len(found["regions"])


@pytest.mark.parametrize("what", ["describe", "regions"])
@pytest.mark.parametrize(
    ("name", "kind"), [("out.png", "PNG"), ("out.JPG", "JPEG"), ("new/out.webp", "WEBP")]
)
def test_draw_one(
    command: Command, photo_file: Path, tmp_path: Path, what: str, name: str, kind: str
) -> None:
    ended = command(what, photo_file, "--draw", tmp_path / name)
    assert (ended.status, ended.err) == (0, "")
    with Image.open(tmp_path / name) as picture:
        assert picture.format == kind
        assert picture.width >= 100
    # Nothing left beside it
    assert [each.name for each in (tmp_path / name).parent.iterdir()] == [Path(name).name]


def test_draw_many(command: Command, photos: Path, tmp_path: Path) -> None:
    # a.jpg's name, but for the case
    (photos / "more" / "A.png").write_bytes((photos / "b.png").read_bytes())
    (photos / "broken.jpg").write_bytes(b"no photo")
    ended = command("describe", photos, photos / "b.png", "--draw", tmp_path / "out")
    assert ended.status == 1
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        "a.png",
        "b.png",
        "c.png",
        "A-2.png",
    }


def test_draw_one_into_a_folder_that_is_there(
    command: Command, photo_file: Path, tmp_path: Path
) -> None:
    assert command("describe", photo_file, "--draw", tmp_path).status == 0
    assert (tmp_path / "blocks.png").is_file()


def test_draw_again_replaces_the_picture(
    command: Command, photo_file: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "out.png"
    picture.write_bytes(b"old")
    assert command("describe", photo_file, "--draw", picture).status == 0
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_draw_replaces_no_photo_that_was_not_named(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes())
    before = (photos / "b.png").read_bytes()
    (tmp_path / "link").symlink_to(photos)
    for folder in (photos, tmp_path / "link"):
        ended = command("regions", photos / "a.jpg", photos / "b.jpg", "--draw", folder)
        assert (ended.status, ended.out) == (2, "")
        assert f"--draw would replace {folder / 'b.png'}, which lies beside the photos" in ended.err
    assert (photos / "b.png").read_bytes() == before
    assert (
        command("regions", photos / "a.jpg", photos / "more" / "c.jpg", "--draw", photos).status
        == 0
    )
    assert (photos / "c.png").is_file()  # there was none
    for _ in range(2):  # elsewhere, pictures are replaced
        assert (
            command(
                "regions", photos / "b.jpg", photos / "a.jpg", "--draw", tmp_path / "out"
            ).status
            == 0
        )
