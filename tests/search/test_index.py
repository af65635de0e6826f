"""Indexes on disk: what goes in comes out, commits are whole, damage and strangers are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from regiontalk.errors import DataError
from regiontalk.search.columns import columns_of
from regiontalk.search.index import Index
from regiontalk.search.manifest import Manifest, read_manifest, segment_number
from regiontalk.search.storage import FIRST_DATE, LAST_DATE, NO_DATE
from regiontalk.search.update import Update, read_file
from regiontalk.search.writer import IndexWriter

from .made import DIM, PACK, build, columns, craft, damage, found

MakeIndex = Callable[..., Index]


def numbers(index: Index) -> list[int]:
    """The photos that count, in order, each checked against its maker."""
    return [int(Path(entry.path).stem) for _, entry in index.entries()]


def test_what_goes_in_comes_out(make_index: MakeIndex) -> None:
    index = make_index([3, 1, 2])
    index.verify()
    assert (index.photos, len(index)) == (6, 6)
    for position, entry in index.entries():
        made, regions = found(position)
        assert entry == made
        read = index.regions(position)
        for name in ("vectors", "boxes_xyxy", "scores"):
            assert np.array_equal(getattr(read, name), getattr(regions, name))
        assert read.hubness == np.float32(regions.hubness)
        assert (read.file, read.width, read.height) == (made.path, made.width, made.height)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_segments_are_safetensors(make_index: MakeIndex, storage: str) -> None:
    index = make_index([5], storage=storage)
    (segment,) = index.segments
    tensors = safetensors.numpy.load_file(index.folder / segment.record.file)
    checksums = tensors.pop("checksums")
    # A block each, if not empty
    assert (checksums.dtype, checksums.shape) == (np.uint32, (13 + (storage == "int8"),))
    for name, tensor in tensors.items():
        assert np.array_equal(tensor, getattr(segment.columns, name)), name
    pooled = [index.regions(position).vectors.mean(axis=0) for position in range(5)]
    np.testing.assert_allclose(tensors["pooled"], pooled, rtol=0.02, atol=0.02)


def test_dropped_photos_do_not_count(make_index: MakeIndex) -> None:
    index = make_index([3, 4], dropped=[0, 5])
    assert numbers(index) == [1, 2, 3, 4, 6]
    assert (index.photos, len(index)) == (5, 7)


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_merging_changes_no_photo(make_index: MakeIndex, storage: str) -> None:
    index = make_index([4, 4, 1, 3, 2], dropped=[1, 2, 3, 9], storage=storage)
    before = {entry.path: index.regions(position) for position, entry in index.entries()}
    with IndexWriter(index.folder, PACK) as writer:
        writer.merge()
        assert len(writer.manifest.segments) < 5
    merged = Index.open(index.folder, PACK)
    merged.verify()
    assert [entry for _, entry in merged.entries()] == [
        found(n)[0] for n in (0, 4, 5, 6, 7, 8, 10, 11, 12, 13)
    ]
    assert len(merged) == merged.photos == 10
    for position, entry in merged.entries():
        assert np.array_equal(merged.regions(position).vectors, before[entry.path].vectors)
        assert merged.regions(position).hubness == before[entry.path].hubness != 0
    files = {path.name for path in index.folder.iterdir() if segment_number(path.name)}
    assert files == {each.file for each in merged.manifest.segments}
    # Whoever opened it before still reads the old files
    assert [entry for _, entry in index.entries()]


def test_merging_keeps_few_segments_of_bounded_size(tmp_path: Path) -> None:
    with IndexWriter(tmp_path / "index", PACK, most_photos=16) as writer:
        for number in range(50):
            writer.commit(columns([number]))
            writer.merge()
        kept = [each.kept for each in writer.manifest.segments]
    assert sum(kept) == 50
    assert max(kept) <= 16
    assert len(kept) <= 8
    assert numbers(Index.open(tmp_path / "index")) == list(range(50))


def test_a_segment_of_dropped_photos_vanishes(make_index: MakeIndex) -> None:
    index = make_index([2], dropped=[0, 1])
    with IndexWriter(index.folder, PACK) as writer:
        writer.merge()
    assert not Index.open(index.folder).segments
    assert sorted(path.name for path in index.folder.iterdir()) == ["lock", "manifest.json"]


def test_leftovers_of_a_killed_writer_are_cleared(make_index: MakeIndex) -> None:
    folder = make_index([2]).folder
    for name in (
        "segment-000099.safetensors",
        "segment-000002.safetensors.new",
        "manifest.json.new",
    ):
        (folder / name).write_bytes(b"half")
    (folder / "notes.txt").write_text("not ours")
    with IndexWriter(folder, PACK):
        pass
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["lock", "manifest.json", "notes.txt", "segment-000001.safetensors"]
    assert numbers(Index.open(folder)) == [0, 1]


def test_a_writer_killed_before_its_first_commit_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "lock").write_text("process 999999 on elsewhere\n")
    with IndexWriter(tmp_path / "index", PACK) as writer:
        assert not writer.manifest.segments


def test_a_full_disk_changes_nothing(
    make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_index([3]).folder

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with IndexWriter(folder, PACK) as writer:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device.*keeps its 3 photos") as raised:
            writer.commit(columns([7]))
        assert raised.value.filename == str(folder)
        monkeypatch.undo()
        assert not (folder / "segment-000002.safetensors").exists()
        writer.commit(columns([8]))  # room was made
    assert numbers(Index.open(folder)) == [0, 1, 2, 8]


def test_strangers_are_refused(make_index: MakeIndex, tmp_path: Path) -> None:
    folder = make_index([2]).folder
    other = replace(PACK, name="other", checksum="cd" * 32)
    for use in (lambda: Index.open(folder, other), lambda: IndexWriter(folder, other).__enter__()):
        with pytest.raises(
            DataError, match=r"made with the pack 'tiny' \(abababababab\), not with 'other'.*--pack"
        ):
            use()
    with pytest.raises(DataError, match="stores float32, not int8"):
        IndexWriter(folder, PACK, "int8").__enter__()
    with pytest.raises(DataError, match="expected an index, found none"):
        Index.open(tmp_path / "nothing")
    with pytest.raises(DataError, match="expected an index, found none"):
        IndexWriter(tmp_path / "nothing", None).__enter__()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds 'holiday.jpg' and is no index"):
        IndexWriter(tmp_path / "full", PACK).__enter__()
    with pytest.raises(DataError, match="found a file"):
        IndexWriter(tmp_path / "full" / "holiday.jpg", PACK).__enter__()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "made.index"]


def test_damage_is_found(make_index: MakeIndex) -> None:
    index = make_index([4])
    (record,) = index.manifest.segments
    file = index.folder / record.file
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in [*range(0, 700, 50), *rng.integers(0, len(whole), 30).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=record.file):
            Index.open(index.folder).verify()
    for cut in (0, 5, 100, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="damaged or cut off"):
            Index.open(index.folder)
    file.unlink()
    with pytest.raises(DataError, match="no such file"):
        Index.open(index.folder)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("boxes", np.nan, "boxes_xyxy holds a value that is not finite"),
        ("boxes", 7, "region 0 must be the whole photo"),
        ("vectors", np.inf, "vectors holds a value that is not finite"),
        ("dimensions", -5, "region 0 must be the whole photo"),
        ("taken", 2**62, "the date 4611686018427387904 lies beyond the year 9999"),
        ("taken", NO_DATE + 1, "before the year 1"),
    ],
)
def test_a_damaged_photo_is_named_as_such(
    make_index: MakeIndex, name: str, value: float, said: str
) -> None:
    index = craft(make_index([3]), name, 0, value)
    with pytest.raises(
        DataError,
        match=rf"segment-000001.*: damaged, .*{said}.*\. Delete the index and make it again",
    ):
        index.regions(0)
    assert index.regions(1).vectors.shape[1] == index.manifest.pack.dim


def test_every_date_of_a_photo_can_be_said() -> None:
    entry, regions = found(1)
    for taken, text in (
        (FIRST_DATE, "-01-01T00:00:00"),
        (LAST_DATE, "9999-12-31T23:59:59"),
        (None, ""),
    ):
        read = columns_of(replace(entry, taken=taken), regions, "float32").entry(0)
        assert read.taken == taken
        assert (read.to_json()["taken"] or "").endswith(text)


def index_of_a_file(folder: Path, photo: Path) -> Index:
    """An index of one file, whatever is in it."""
    photo.write_bytes(b"content")
    with IndexWriter(folder, PACK) as writer:
        update = Update(writer)
        assert update.changed([photo]) == [photo]
        read, _ = read_file(str(photo))
        assert not update.knows(read)
        update.add(
            replace(found(3)[0], path=read.path, sha256=read.sha256, state=read.state), found(3)[1]
        )
        update.commit()
    return Index.open(folder)


def test_regions_of_a_touched_photo_are_not_taken_from_a_damaged_segment(tmp_path: Path) -> None:
    """Under a new checksum nobody would ever see the damage."""
    folder, photo = tmp_path / "index", tmp_path / "a.jpg"
    file = damage(index_of_a_file(folder, photo), "boxes", 0, np.nan)
    os.utime(photo, (1, 1))
    with IndexWriter(folder, PACK) as writer:
        update = Update(writer)
        assert update.changed([photo]) == [photo]
        with pytest.raises(
            DataError, match=rf"{file.name}: damaged, its checksum does not fit in 'boxes'\. Delete"
        ):
            update.take_known(read_file(str(photo))[0])
    with pytest.raises(DataError, match="its checksum does not fit"):
        Index.open(folder).verify()


def test_merging_copies_no_damage(make_index: MakeIndex) -> None:
    index = make_index([3, 3])
    file = damage(index, "vectors", 0, np.nan)
    before = (index.folder / "manifest.json").read_bytes()
    with (
        IndexWriter(index.folder, PACK) as writer,
        pytest.raises(DataError, match=f"{file.name}: damaged, its checksum does not fit"),
    ):
        writer.merge()
    assert (index.folder / "manifest.json").read_bytes() == before
    assert file.exists()


def test_a_damaged_segment_that_nothing_is_copied_from_can_be_left_behind(
    make_index: MakeIndex,
) -> None:
    index = make_index([3, 3], dropped=[0, 1, 2])
    file = damage(index, "vectors", 0, np.nan)
    with IndexWriter(index.folder, PACK) as writer:
        writer.merge()
    Index.open(index.folder).verify()
    assert not file.exists()


def test_a_reader_between_two_states_looks_again(make_index: MakeIndex) -> None:
    folder = make_index([2, 2]).folder
    old = read_manifest(folder)
    with IndexWriter(folder, PACK) as writer:
        writer.merge()
    looks: list[Manifest] = []

    def look(where: Path) -> Manifest:
        looks.append(old if not looks else read_manifest(where))
        return looks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regiontalk.search.index.read_manifest", look)
        assert numbers(Index.open(folder)) == [0, 1, 2, 3]
    assert len(looks) > 2


CUT_OFF_WHILE_OPEN = """
import os, sys
import numpy as np
from regiontalk.errors import DataError
from regiontalk.search.engine import ExactEngine, TwoStageEngine
from regiontalk.search.index import Index
index = Index.open(sys.argv[1])
exact, stages = ExactEngine(index), TwoStageEngine(index, 5)
words = np.ones((4, int(sys.argv[2])), np.float32)
asks = {
    "photos": lambda: exact.photos(words, 7), "like": lambda: exact.like(words, 7),
    "boxes": lambda: exact.boxes(words, 7),
    "stages": lambda: stages.photos(words, 7),
    "entry": lambda: index.entry(0), "regions": lambda: index.regions(0),
    "verify": index.segments[0].columns.check,
}
for ask in asks.values():
    ask()
os.truncate(index.folder / index.manifest.segments[0].file, 100)
for name, ask in asks.items():
    try:
        ask()
    except DataError as error:
        print(name, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file that is mapped can be cut off there")
def test_a_segment_that_is_cut_off_while_it_is_open(tmp_path: Path) -> None:
    """In a process of its own: the system would end one that reads on."""
    index = build(tmp_path / "index", [300])
    line = [sys.executable, "-c", CUT_OFF_WHILE_OPEN, str(index.folder), str(DIM)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    said, file = ended.stdout.splitlines(), index.folder / index.manifest.segments[0].file
    assert [each.split()[0] for each in said] == [
        "photos",
        "like",
        "boxes",
        "stages",
        "entry",
        "regions",
        "verify",
    ]
    assert all(f"{file}: damaged, cut off since it was opened" in each for each in said)
