"""`regiontalk index add --captions`: people's own texts from files, and photos found by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "photos.index"


def names(found: list[dict[str, object]]) -> list[str]:
    return [Path(str(each["file"])).name for each in found]


def test_what_describe_writes_and_people_correct(
    command: Command, photos: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table is written, corrected, given to the index, and searched."""
    monkeypatch.setenv("COLUMNS", "300")  # no line is folded, however long the folder
    table = tmp_path / "alt.csv"
    assert command("describe", photos, "--csv", table).status == 0
    lines = table.read_text("utf-8-sig").splitlines()
    (place,) = (number for number, line in enumerate(lines) if "c.jpg" in line)
    lines[place] = lines[place].split(",")[0] + ',"Großmutter Anna in Zürich",100,48,""'
    table.write_text("\n".join(lines), "utf-8")
    ended = command("index", "add", photos, "--index", index, "--captions", table)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"{index}: 3 added, 3 captioned; 3 photos in all\n"

    (found,) = command("search", "großmutter zürich", "--index", index, "--json").json()
    assert (Path(found["file"]).name, found["text"]) == ("c.jpg", "Großmutter Anna in Zürich")
    assert (found["text_words"], found["phrases"]) == (["großmutter", "zürich"], [])
    lines = command("search", "Anna with a dog in the snow", "--index", index).out.splitlines()
    # A line for each
    assert [line.endswith("c.jpg  (its text has anna)") for line in lines] == [True, False, False]
    block = command(
        "search", "Anna with a dog in the snow", "--index", index, "--boxes", "-k", 1
    ).out.splitlines()
    assert block[:2] == [lines[0], f"{'':15}text: Großmutter Anna in Zürich"]
    assert block[2].split()[-1] == "words"
    assert names(
        command("search", "Anna in the snow", "--index", index, "--json", "-k", 1).json()
    ) == ["c.jpg"]
    assert names(
        command("search", "Anna", "--index", index, "--json", "--candidates", 1).json()
    ) == ["c.jpg"]
    boxes = command("search", "Anna", "--index", index, "--boxes").out
    assert "its text has anna" in boxes and "score" not in boxes  # no word of it lies in a box
    like = command("search", "--like", photos / "more" / "c.jpg", "--index", index, "-k", 1).out
    assert [line.endswith("c.jpg") for line in like.splitlines()] == [True]
    ended = command("search", "nobody", "--index", index)
    assert (ended.status, "knows none of the words in 'nobody'" in ended.err) == (1, True)


def test_texts_for_an_index_that_is_there(
    command: Command, bare: Command, photos: Path, index: Path
) -> None:
    """Texts beside photos, put in later and replaced: nothing is looked at again."""
    command("index", "add", photos, "--index", index)
    (photos / "a.jpg.txt").write_text("Anna", "utf-8")
    ended = command("index", "add", photos, "--index", index, "--captions", photos, "--json")
    (counts,) = ended.json()
    assert (counts["unchanged"], counts["captioned"], counts["added"], counts["photos"]) == (
        3,
        1,
        0,
        3,
    )
    (info,) = bare("index", "info", "--index", index, "--json").json()
    assert (info["photos"], info["texts"]) == (3, 1)
    # Of another pack than the default one
    assert bare("index", "verify", "--index", index).status == 2
    assert command("index", "verify", "--index", index).status == 0
    (photos / "a.jpg.txt").write_text("Berta", "utf-8")
    assert (
        "1 captioned" in command("index", "add", photos, "--index", index, "--captions", photos).out
    )
    assert names(command("search", "berta", "--index", index, "--json").json()) == ["a.jpg"]
    assert command("search", "anna", "--index", index).status == 1
    assert "captioned" not in command("index", "add", photos, "--index", index).out
    # Texts stay
    assert names(command("search", "berta", "--index", index, "--json").json()) == ["a.jpg"]


def test_sidecars(command: Command, photos: Path, index: Path) -> None:
    assert command("describe", photos, "--sidecar").status == 0
    assert (
        "3 captioned" in command("index", "add", photos, "--index", index, "--captions", photos).out
    )


def test_captions_of_other_photos(
    command: Command, photos: Path, index: Path, tmp_path: Path
) -> None:
    table = tmp_path / "alt.csv"
    table.write_text("file,caption\nphotos/a.jpg,Anna\nphotos/z.jpg,Zoe\n")
    ended = command("index", "add", photos, "--index", index, "--captions", table)
    assert ended.status == 0
    assert f"{table}: 1 name is none of these photos, such as 'photos/z.jpg'" in ended.err
    table.write_text("file,caption\nz.jpg,Zoe\n")
    ended = command("index", "add", photos, "--index", index.with_name("new"), "--captions", table)
    assert (
        ended.status,
        "none of its 1 names, such as 'z.jpg', is one of these photos" in ended.err,
    ) == (2, True)
    assert not index.with_name("new").exists()  # told before any photo is looked at
    ended = command(
        "index", "add", photos, "--index", index, "--captions", tmp_path / "missing.csv"
    )
    assert (ended.status, "missing.csv" in ended.err) == (2, True)


def test_a_terminal_is_not_steered_by_a_text(command: Command, photos: Path, index: Path) -> None:
    (photos / "a.jpg.txt").write_text("Anna \x1b[31m red")
    command("index", "add", photos, "--index", index, "--captions", photos)
    out = command("search", "anna", "--index", index, "--boxes").out
    assert "\x1b" not in out and "Anna \\x1b[31m red" in out


def test_on_qdrant(
    command: Command, bare: Command, photos: Path, index: Path, tmp_path: Path
) -> None:
    pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
    (photos / "b.png.txt").write_text("Anna in Zürich", "utf-8")
    command("index", "add", photos, "--index", index, "--captions", photos)
    assert bare("index", "push", "--index", index, "--qdrant", tmp_path / "qdrant").status == 0
    for sentence in ("Anna", "Anna with a dog"):
        here, there = (
            command("search", sentence, *place, "--json").json()
            for place in (("--index", index), ("--qdrant", tmp_path / "qdrant"))
        )
        assert names(here) == names(there) and names(here)[0] == "b.png"
        assert [each["text_words"] for each in here] == [each["text_words"] for each in there]
    ended = command("search", "nobody", "--qdrant", tmp_path / "qdrant")
    assert (ended.status, "knows none of the words" in ended.err) == (1, True)
