"""Folders and photos as commands take them: passed over, unreadable, too large."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Command = Callable[..., Any]


@pytest.fixture
def locked(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`more`, the folder in `photos`, may not be read, also by root."""
    if os.name == "posix" and os.geteuid() != 0:
        (photos / "more").chmod(0)
        yield photos / "more"
        (photos / "more").chmod(0o700)
        return
    scandir, lstat = os.scandir, os.lstat

    def refuse(path: Any = ".") -> Any:
        if os.path.basename(path) == "more":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    def not_below(path: Any, **options: Any) -> Any:
        if "more" in Path(os.fsdecode(path)).parent.parts:
            raise PermissionError(13, "Permission denied", path)
        return lstat(path, **options)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "lstat", not_below)
    yield photos / "more"


@pytest.mark.parametrize("name", ["describe", "regions", "inspect"])
def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_done(
    command: Command, locked: Path, name: str
) -> None:
    ended = command(name, locked.parent, "--json")
    assert ended.status == 1
    assert [Path(each["file"]).name for each in ended.json()] == ["a.jpg", "b.png"]
    named, summary = ended.err.splitlines()
    assert (
        f"{locked}: cannot be read (Permission denied). Change its permissions, or exclude it"
        in named
    )
    assert "1 of 3 inputs failed" in summary


def test_a_report_without_the_folder_that_cannot_be_read(
    command: Command, locked: Path, tmp_path: Path
) -> None:
    ended = command("report", locked.parent, "-o", tmp_path / "out.html")
    assert (ended.status, str(locked) in ended.err) == (1, True)
    assert (tmp_path / "out.html").read_text(encoding="utf-8").count('<article class="photo"') == 2


def test_an_index_keeps_what_lies_below_a_folder_that_cannot_be_read(
    command: Command, photos: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    index = tmp_path / "photos.index"
    assert command("index", "add", photos, "--index", index).status == 0
    (photos / "b.png").unlink()
    locked = request.getfixturevalue("locked")
    ended = command("index", "add", photos, "--index", index, "--prune", "--json")
    assert (ended.status, f"{locked}: cannot be read" in ended.err) == (1, True)
    (counts,) = ended.json()
    assert (counts["photos"], counts["dropped"]) == (2, 1)


def test_a_folder_that_is_excluded_need_not_be_read(command: Command, locked: Path) -> None:
    ended = command("describe", locked.parent, "--json", "--exclude", "more", "--exclude", "*.png")
    assert (ended.status, ended.err) == (0, "")
    assert [Path(each["file"]).name for each in ended.json()] == ["a.jpg"]


@pytest.mark.parametrize("name", ["describe", "regions", "inspect", "index", "report"])
def test_exclude_and_max_pixels_for_each_command(
    command: Command, photos: Path, tmp_path: Path, name: str
) -> None:
    more = {"index": ["--index", tmp_path / "i"], "report": ["-o", tmp_path / "out.html"]}.get(
        name, []
    )
    words = ["index", "add"] if name == "index" else [name]
    ended = command(*words, photos, *more, "--exclude", "more", "--max-pixels", 60 * 48)
    assert ended.status == 1
    failed, summary = ended.err.splitlines()
    assert "b.png: expected a photo of at most 2,880 pixels, found 80 x 48 = 3,840" in failed
    assert "--max-pixels" in failed and "1 of 2" in summary


def test_max_pixels_of_align(command: Command, photos: Path) -> None:
    assert command("align", photos / "b.png", "a dog", "--max-pixels", 80 * 48).status == 0
    assert (
        "at most 3,839 pixels"
        in command("align", photos / "b.png", "a dog", "--max-pixels", 80 * 48 - 1).err
    )


OPENS_PHOTOS = {
    "retrieval": "evaluate retrieval {captioned}",
    "captions of photos": "evaluate describe {captioned}",
    "nearest": "evaluate describe {captioned} --baseline nearest",
    "grounding": "evaluate grounding {captioned}",
    "naming": "evaluate regions {captioned}",
    "captions of regions": "evaluate regions {regions} --neighbours {others} --dense "
    "--similarity rouge_l",
    "objects": "evaluate search {captioned}",
    "report": "report --evaluation {captioned} --boxes {captioned} -o {out}.html",
    "like": "search --like {photo} --index {index}",
    "drawn": "search dog --index {index} --draw {out}",
    "sentences": "search --like {photo} --sentences {regions}",
}
"""Commands of whose photos none is opened by what `PhotoChoice` says alone."""


@pytest.fixture
def opened(command: Command, captioned: Path, tmp_path: Path) -> dict[str, Path]:
    """What the commands above need.

    The files of captions of boxes do not say how large their photos are.
    """
    images, index = captioned / "images", tmp_path / "photos.index"
    boxed = {"width": 64, "height": 48, "boxes_xyxy": [[0, 0, 30, 20]], "labels": ["dog"]}
    write_lines(
        captioned / "boxes.jsonl", [{"file_name": f"{number}.jpg", **boxed} for number in range(12)]
    )
    for name, numbers in {"regions": range(6), "others": range(6, 12)}.items():
        said = {"box_xyxy": [0, 0, 30, 20], "captions": ["a dog"]}
        write_lines(
            images / f"{name}.jsonl", [{"image": f"{number}.jpg", **said} for number in numbers]
        )
    assert command("index", "add", images, "--index", index).status == 0
    more = {name: images / f"{name}.jsonl" for name in ("regions", "others")}
    return {
        **more,
        "captioned": captioned,
        "photo": images / "0.jpg",
        "index": index,
        "out": tmp_path / "out",
    }


def write_lines(file: Path, lines: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("line", OPENS_PHOTOS.values(), ids=OPENS_PHOTOS.keys())
def test_max_pixels_reaches_every_photo(
    command: Command, opened: dict[str, Path], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the default is too small for any photo, each must be opened by what the option says."""
    monkeypatch.setattr("regiontalk.photos.opening.MAX_PIXELS", 10)
    words = [word.format(**opened) for word in line.split()]
    assert re.search("expected a photo of at most [15]0 pixels", command(*words).err)
    ended = command(*words, "--max-pixels", 64 * 48)
    assert (ended.status, [said for said in ended.err.splitlines() if "pixels" in said]) == (0, [])


def test_max_pixels_means_nothing_where_no_photo_is_opened(
    command: Command, opened: dict[str, Path]
) -> None:
    for words, why in {
        ("search", "dog", "--index", opened["index"]): "without --like or --draw",
        ("evaluate", "retrieval", "--scores", "scores.npy"): "without a folder of captioned photos",
    }.items():
        ended = command(*words, "--max-pixels", 9)
        assert (
            ended.status == 2 and "--max-pixels: does not apply" in ended.err and why in ended.err
        )


def test_a_photo_of_108_megapixels(command: Command, tmp_path: Path) -> None:
    Image.new("L", (12000, 9000), 99).save(tmp_path / "phone.jpg")
    ended = command("describe", tmp_path / "phone.jpg", "--json", "--draw", tmp_path / "out.png")
    assert (ended.status, ended.err) == (0, "")
    assert ended.json()[0]["width"] == 12000


@pytest.mark.parametrize("pattern", ["", "/"])
def test_an_empty_pattern(command: Command, photos: Path, pattern: str) -> None:
    ended = command("describe", photos, "--exclude", pattern)
    assert (ended.status, ended.out) == (2, "")
    assert "--exclude: expected a name" in ended.err


def test_options_of_photos_mean_nothing_without_one(
    command: Command, captioned: Path, tmp_path: Path
) -> None:
    assert (
        "--exclude, --max-pixels: does not apply"
        in command("inspect", "--exclude", "x", "--max-pixels", 9).err
    )
    ended = command(
        "report", "--evaluation", captioned, "--exclude", "x", "-o", tmp_path / "out.html"
    )
    assert (ended.status, "--exclude: does not apply with --evaluation" in ended.err) == (2, True)


def test_other_kinds_are_counted_once_for_all_folders(
    command: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regiontalk.photos.kinds.heif_is_read", lambda: False)
    for name in ("x.HEIC", "more/y.heif", "z.jxl", "more/w.CR2"):
        (photos / name).write_bytes(b"whatever")
    shutil.copytree(photos, tmp_path / "again")
    for words in (
        ["describe", photos, tmp_path / "again"],
        ["index", "add", photos, tmp_path / "again", "--index", tmp_path / "i"],
    ):
        ended = command(*words)
        assert ended.status == 0
        assert ended.err.splitlines() == [
            "regiontalk: 4 HEIC photos passed over: they need pip install 'regiontalk[heif]'",
            "regiontalk: 2 JPEG XL photos passed over: save them as JPEG",
            "regiontalk: 2 raw photos passed over: develop them and save them as JPEG",
        ]


def test_a_folder_of_other_kinds_only(command: Command, tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.jxl").write_bytes(b"whatever")
    ended = command("describe", tmp_path / "only")
    assert ended.status == 1
    assert "no photo in this folder" in ended.err
    assert "1 JPEG XL photo passed over" in ended.err


def test_cases_of_a_mixed_folder(
    command: Command, case: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regiontalk.photos.kinds.heif_is_read", lambda: False)
    ended = command("describe", case("mixed_folder"), "--json")
    assert (ended.status, len(ended.json())) == (0, 1)
    assert "1 HEIC photo passed over" in ended.err and "1 JPEG XL photo passed over" in ended.err


def test_folders_of_systems_are_passed_over_with_a_word(command: Command, photos: Path) -> None:
    for name in ("@eaDir", "more/@eaDir", "#recycle", "lost+found"):
        (photos / name).mkdir()
        shutil.copy(photos / "a.jpg", photos / name)
    ended = command("describe", photos, "--json")
    assert (ended.status, len(ended.json())) == (0, 3)
    (said,) = ended.err.splitlines()
    assert str(photos / "@eaDir") in said and "and 1 more" in said


def test_a_pipe_and_a_link_to_a_device_in_a_folder(command: Command, photos: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs pipes")
    os.mkfifo(photos / "c.jpg")
    (photos / "d.jpg").symlink_to("/dev/zero")
    ended = command("describe", photos, "--json")
    assert (ended.status, len(ended.json())) == (1, 3)
    assert ended.err.count("found a pipe, socket or device") == 2
    assert "2 of 5 inputs failed" in ended.err


def test_too_little_memory_for_one_photo(
    command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regiontalk.photos import prepare

    def fail_for_b(image: Image.Image, size: int) -> Any:
        if image.size == (80, 48):
            raise MemoryError
        return prepare(image, size)

    monkeypatch.setattr("regiontalk.photos.opening.prepare", fail_for_b)
    ended = command("describe", photos, "--json")
    assert (ended.status, len(ended.json())) == (1, 2)
    assert (
        "b.png: expected a photo that can be decoded, found a photo and too little memory for it"
        in ended.err
    )


@pytest.mark.parametrize(
    "place", ["regiontalk.model.load", "regiontalk.model.Model.describe_regions"]
)
def test_too_little_memory_for_a_command(
    command: Command, photos: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(place, fail)
    ended = command("describe", photos)
    assert (ended.status, ended.out) == (1, "")
    assert (
        ended.err
        == "regiontalk: too little memory; close other programs, or give the command less at once\n"
    )


def test_a_panic_for_want_of_memory(
    command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pyo3 raises it where Python gives no memory for a pack's tensors."""

    class PanicException(BaseException):
        pass

    def fail(data: bytes) -> None:
        raise PanicException("PyObject pointer is null")

    monkeypatch.setattr("safetensors.deserialize", fail)
    ended = command("describe", photos)
    assert (ended.status, ended.out) == (1, "")
    assert (
        ended.err
        == "regiontalk: too little memory; close other programs, or give the command less at once\n"
    )


def test_too_little_memory_before_a_command(bare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("regiontalk.cli.app", fail)
    ended = bare("--help")
    assert (ended.status, "too little memory" in ended.err) == (1, True)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".JPG", ".WebP"])
def test_pictures_have_suffixes_in_any_case(
    command: Command, photo_file: Path, tmp_path: Path, suffix: str
) -> None:
    assert command("describe", photo_file, "--draw", tmp_path / f"OUT{suffix}").status == 0
    assert (tmp_path / f"OUT{suffix}").stat().st_size > 0


def test_pictures_of_photos_with_long_names(
    command: Command, photo_file: Path, tmp_path: Path
) -> None:
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        shutil.copy(photo_file, tmp_path / folder / f"{'ä' * 125}.jpg")  # 254 bytes
    ended = command(
        "describe",
        *(tmp_path / name for name in ("one", "two", "three")),
        "--draw",
        tmp_path / "out",
    )
    assert (ended.status, ended.err) == (0, "")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 3
    assert all(len(os.fsencode(name)) <= 255 and name.startswith("ä" * 120) for name in names)
