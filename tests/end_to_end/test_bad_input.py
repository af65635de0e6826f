"""All that a user can get wrong: a clear message, the right exit status, never a traceback."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Command = Callable[..., Any]


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises more pixels than fit anywhere."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def broken(tmp_path: Path, photo_file: Path) -> dict[str, Path]:
    """Files that are no whole photos, by what is wrong with them."""
    contents = {
        "empty": b"",
        "text": b"this is no photo",
        "truncated": photo_file.read_bytes()[:400],
        "bomb": png_that_claims(60_000, 60_000),
    }
    files = {"missing": tmp_path / "missing.jpg"}
    for name, content in contents.items():
        files[name] = tmp_path / f"{name}.jpg"
        files[name].write_bytes(content)
    return files


@pytest.mark.parametrize("what", ["missing", "empty", "text", "truncated", "bomb"])
@pytest.mark.parametrize("name", ["describe", "regions", "align"])
def test_a_broken_photo(command: Command, broken: dict[str, Path], name: str, what: str) -> None:
    more = ["a dog"] if name == "align" else []
    ended = command(name, broken[what], *more, "--json")
    assert (ended.status, ended.out) == (1, "")
    assert str(broken[what]) in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_bomb_is_refused_with_the_limit(command: Command, broken: dict[str, Path]) -> None:
    assert "100" in command("describe", broken["bomb"]).err


def test_the_others_are_described(
    command: Command, broken: dict[str, Path], photo_file: Path
) -> None:
    ended = command("describe", broken["text"], photo_file, broken["missing"], photo_file, "--json")
    assert ended.status == 1
    assert [each["file"] for each in ended.json()] == [str(photo_file)] * 2
    first, second, summary = ended.err.splitlines()
    assert "missing.jpg" in first + second
    assert "text.jpg" in first + second
    assert "2 of 4" in summary


ODD = {
    "one_pixel.png": ("RGB", (1, 1)),
    "line.png": ("RGB", (3000, 1)),
    "cmyk.jpg": ("CMYK", (40, 30)),
    "sixteen.png": ("I;16", (40, 30)),
    "grey.jpg": ("L", (40, 30)),
    "bits.png": ("1", (40, 30)),
    "palette.gif": ("P", (40, 30)),
    "transparent.png": ("RGBA", (40, 30)),
    "transparent_grey.png": ("LA", (40, 30)),
    "floats.tiff": ("F", (40, 30)),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_photo_is_described(command: Command, tmp_path: Path, name: str) -> None:
    mode, size = ODD[name]
    Image.new(mode, size).save(tmp_path / name)
    ended = command("describe", tmp_path / name, "--json", "--draw", tmp_path / "out.png")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert (found["width"], found["height"]) == size


def test_of_an_animation_the_first_frame_counts(command: Command, tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (30, 20), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "one.gif")
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    still, moving = command("describe", tmp_path / "one.gif", tmp_path / "two.gif", "--json").json()
    assert still["caption"] == moving["caption"]


def test_a_photo_on_its_side_is_turned(command: Command, tmp_path: Path, photo_file: Path) -> None:
    with Image.open(photo_file) as photo:
        exif = photo.getexif()
        exif[0x0112] = 6
        photo.save(tmp_path / "side.jpg", exif=exif)
    (found,) = command("describe", tmp_path / "side.jpg", "--json").json()
    assert (found["width"], found["height"]) == (80, 120)


def test_a_folder_without_photos(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = command("describe", tmp_path / "empty", "--json", "--draw", tmp_path / "out")
    assert (ended.status, ended.out) == (1, "")
    assert str(tmp_path / "empty") in ended.err
    assert not (tmp_path / "out").exists()


def test_an_empty_name(command: Command) -> None:
    ended = command("describe", "", "--json")
    assert (ended.status, ended.out) == (1, "")
    assert "empty" in ended.err


def test_names_that_steer_a_terminal_are_escaped(
    command: Command, tmp_path: Path, photo_file: Path
) -> None:
    name = tmp_path / "red\x1b[31m\nblue\udcff.jpg"
    name.write_bytes(photo_file.read_bytes())
    text = command("describe", name)
    assert text.status == 0
    assert "\x1b" not in text.out
    assert "red\\x1b[31m\\nblue" in text.out.splitlines()[0]
    (found,) = command("describe", name, "--json").json()
    assert found["file"] == str(name)

    name.write_bytes(b"broken")
    ended = command("describe", name)
    assert ended.status == 1
    assert "\x1b" not in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe"],
        ["describe", "{photo}", "--nonsense"],
        ["describe", "{photo}", "--beam", "0"],
        ["describe", "{photo}", "--beam", "many"],
        ["describe", "{photo}", "--threads", "0"],
        ["describe", "{photo}", "--draw", "out.txt"],
        ["describe", "{photo}", "--draw", ""],
        ["describe", "{photo}", "--draw", "{photo}"],
        ["describe", "{photo}", "{photo}", "--draw", "out.png"],
        ["describe", "{photo}", "{photo}", "--draw", "{photo}"],
        ["align", "{photo}"],
        ["align", "{photo}", "a dog", "too much"],
        ["align", "{photo}", "a dog", "--beta", "much"],
        ["evaluate", "happiness", "."],
        ["train", "nothing", "x.toml"],
        ["train"],
        ["fly"],
    ],
)
def test_a_wrong_command(command: Command, photo_file: Path, arguments: list[str]) -> None:
    before = photo_file.read_bytes()
    ended = command(*(each.replace("{photo}", str(photo_file)) for each in arguments))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err
    assert photo_file.read_bytes() == before


def test_a_picture_never_replaces_a_photo(command: Command, photos: Path) -> None:
    before = (photos / "b.png").read_bytes()
    ended = command("describe", photos, "--draw", photos)
    assert (ended.status, ended.out) == (2, "")
    assert "b.png" in ended.err
    assert (photos / "b.png").read_bytes() == before


def test_an_output_folder_that_is_a_file(command: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    ended = command("describe", photos, "--draw", tmp_path / "out")
    assert (ended.status, ended.out) == (2, "")
    assert "is a file" in ended.err
    assert (tmp_path / "out").read_text() == "precious"


def test_a_folder_that_cannot_be_made(command: Command, photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    ended = command("describe", photo_file, "--json", "--draw", tmp_path / "file" / "out.png")
    assert ended.status == 1
    assert len(ended.json()) == 1
    assert "out.png" in ended.err


def test_a_full_disk(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "replace", fail)
    ended = command("describe", photos, "--json", "--draw", tmp_path / "out")
    assert ended.status == 1
    assert len(ended.json()) == 3
    assert ended.err.count("No space left on device") == 3
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(
    sys.platform != "linux", reason="a limit on file sizes stands for the full disk"
)
def test_no_half_picture_on_a_disk_that_fills_up(
    process: Callable[..., Any], photo_file: Path, tmp_path: Path
) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    started = process(
        "describe", photo_file, "--json", "--draw", tmp_path / "out.png", preexec_fn=limit
    )
    out, err = started.communicate(timeout=60)
    assert started.returncode == 1
    assert len(out.splitlines()) == 1
    assert "out.png" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_pack(bare: Command, damaged_pack: Path, photo_file: Path) -> None:
    for arguments in (
        ["describe", photo_file],
        ["align", photo_file, "a dog"],
        ["regions", photo_file],
    ):
        ended = bare(*arguments, "--pack", damaged_pack)
        assert (ended.status, ended.out) == (2, "")
        assert "vision.onnx" in ended.err
        assert "sha256" in ended.err


@pytest.mark.parametrize("pack", ["missing", ".", "", "a\nb"])
def test_a_pack_that_is_none(
    bare: Command, photo_file: Path, pack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = bare("describe", photo_file, "--pack", pack)
    assert (ended.status, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1


def test_the_default_pack_is_missing(
    bare: Command, photo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regiontalk.pack.loading._INCLUDED", tmp_path)
    ended = bare("describe", photo_file)
    assert (ended.status, ended.out) == (2, "")
    assert "everyday-en" in ended.err
    assert "--pack" in ended.err


@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra train (PyTorch)")
@pytest.mark.parametrize(
    "what", [["train", "vision"], ["train", "alignment"], ["train", "captioner"], ["export"]]
)
def test_a_config_that_is_wrong(bare: Command, tmp_path: Path, what: list[str]) -> None:
    config = tmp_path / "config.toml"
    for content, expected in (
        (None, "no such file"),
        ("this is [no toml", "not a TOML file"),
        ("colour = 'red'", "unknown setting colour"),
        ("", "is missing"),
    ):
        if content is not None:
            config.write_text(content)
        ended = bare(*what, config)
        assert (ended.status, ended.out) == (2, "")
        assert str(config) in ended.err
        assert expected in ended.err


@pytest.mark.parametrize(
    "what", [["train", "vision"], ["train", "alignment"], ["train", "captioner"], ["export"]]
)
def test_without_pytorch(what: list[str]) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from regiontalk.cli import main; "
        f"main({[*what, 'x.toml']!r})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "regiontalk: training and export need torch, which is not installed. "
        "Install it with: pip install 'regiontalk[train]'"
    ]
