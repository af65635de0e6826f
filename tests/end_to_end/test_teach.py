"""`regiontalk teach` as a user types it: captions in German for a pack that knows English words."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from regiontalk.pack import Pack

from .conftest import Command

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="needs the extra train (PyTorch)"
)


@pytest.fixture
def german(tmp_path: Path) -> Path:
    """60 captioned photos."""
    from ..training.taught_world import write_photos  # here, as it needs PyTorch

    return write_photos(tmp_path / "holiday")


@needs_torch
def test_teach_and_then_describe_and_search(
    command: Command, bare: Command, german: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "my-pack"
    taught = command("teach", german, "-o", mine, "--epochs", 8, "--anyway")
    assert taught.status == 0
    lines = taught.out.splitlines()
    assert lines[0] == "40 photos with 40 captions, 14 new words; measured on 20 photos held out:"
    titles = [
        "photo to text R@1",
        "photo to text R@5",
        "text to photo R@1",
        "text to photo R@5",
        "mean of these",
    ]
    assert lines[1].split() == ["before", "after"]
    assert [" ".join(line.split()[:-2]) for line in lines[2:8]] == [*titles, "CIDEr"]
    pack = Pack.load(mine)
    assert lines[8:] == [f"{mine}: pack my-pack, sha256 {pack.checksum}"]
    assert not (tmp_path / "my-pack.work").exists()
    photo = german / "000.png"
    assert bare("describe", photo, "--pack", mine).status == 0
    assert bare("align", photo, "Ein grüner Würfel", "--pack", mine).status == 0
    measured = bare(
        "evaluate", "retrieval", german, "--split", "train", "--pack", mine, "--json"
    ).json()
    assert measured[0]["signature"]["pack"]


@needs_torch
def test_json_and_the_work_folder(command: Command, german: Path, tmp_path: Path) -> None:
    ended = command(
        "teach",
        german,
        "-o",
        tmp_path / "mine",
        "--epochs",
        1,
        "--anyway",
        "--json",
        "--work",
        tmp_path / "w",
    )
    (result,) = ended.json()
    assert result["pack"] == {
        "folder": str(tmp_path / "mine"),
        "sha256": Pack.load(tmp_path / "mine").checksum,
    }
    assert (result["photos"], result["held_out"], result["new_words"]) == (40, 20, 14)
    assert (
        set(result["before"])
        == set(result["after"])
        == {
            *(f"{way}_r{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5)),
            "mean_recall",
            "cider",
        }
    )
    assert (tmp_path / "w" / "regions" / "train").is_dir()


@needs_torch
def test_a_worse_pack_is_told_and_not_written(
    command: Command, german: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regiontalk.training import teach

    monkeypatch.setattr(teach, "worsened", lambda before, after: ["CIDEr falls from 9.0 to 1.0"])
    ended = command("teach", german, "-o", tmp_path / "mine", "--epochs", 1)
    assert ended.status == 1 and "sha256" not in ended.out
    assert ended.err == (
        f"regiontalk: {tmp_path / 'mine'}: not written, worse on the photos held out: CIDEr falls "
        "from 9.0 to 1.0; --anyway writes it\n"
    )
    (result,) = command("teach", german, "-o", tmp_path / "mine", "--epochs", 1, "--json").json()
    assert result["pack"] is None and result["worse"] == ["CIDEr falls from 9.0 to 1.0"]
    assert not (tmp_path / "mine").exists()


@needs_torch
def test_mistakes_are_told_in_sentences(
    command: Command, photos: Path, captioned: Path, tmp_path: Path
) -> None:
    for given, told in (
        ((photos, "-o", tmp_path / "mine"), f"{photos}: no captions found; expected captions.csv"),
        ((captioned, "-o", tmp_path / "mine"), "2 captioned photos, expected at least 40"),
        ((tmp_path / "nowhere", "-o", tmp_path / "mine"), "no such folder"),
        ((captioned, "-o", photos), "holds something that is not a pack and will not be replaced"),
        (("", "-o", tmp_path / "mine"), "PHOTOS: expected a path, found an empty one"),
    ):
        ended = command("teach", *given)
        assert (ended.status, ended.out) == (2, "")
        assert told in ended.err
    assert not (tmp_path / "mine").exists()


@needs_torch
def test_a_broken_photo_is_named(command: Command, german: Path, tmp_path: Path) -> None:
    (german / "007.png").write_bytes(b"no photo")
    ended = command("teach", german, "-o", tmp_path / "mine")
    assert (ended.status, ended.out) == (1, "")
    assert str(german / "007.png") in ended.err


def test_without_pytorch(tmp_path: Path) -> None:
    given = ["teach", "photos", "-o", str(tmp_path / "mine")]
    code = (
        f"import sys; sys.modules['torch'] = None; from regiontalk.cli import main; main({given!r})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "regiontalk: training and export need torch, which is not installed. "
        "Install it with: pip install 'regiontalk[train]'"
    ]
