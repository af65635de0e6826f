"""Writing a store of regions: whatever stops it, it goes on; what does not fit is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regiontalk.data import RegionStore, region_store, region_writer
from regiontalk.errors import DataError

from .made_regions import (
    DIM,
    NAMES,
    PHOTOS,
    REGIONS,
    ROWS,
    append,
    begin,
    flip_a_bit,
    make_rows,
    require_all_rows,
    write,
)

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


@pytest.mark.parametrize("chunk", [1, 4, PHOTOS])
def test_chunks_leave_no_trace(tmp_path: Path, chunk: int) -> None:
    write(tmp_path / "one", chunk)
    write(tmp_path / "other", PHOTOS)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes()


def test_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    writer = begin(tmp_path / "store")
    assert writer.done == 0
    append(writer, 4)
    del writer
    assert not (tmp_path / "store").exists()
    with pytest.raises(DataError, match="half-way written"):
        RegionStore.open(tmp_path / "store")

    writer = begin(tmp_path / "store")
    assert writer.done == 4
    append(writer, 7)
    require_all_rows(writer.finish())


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("write_number", range(12))
def test_stopped_at_any_write_it_loses_at_most_a_chunk(
    tmp_path: Path, write_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two appends make twelve writes: five arrays and the progress each.

    The chosen one stops half-way.
    """
    writer = begin(tmp_path / "store")
    done = 0

    def half(real: Any) -> Any:
        def write_or_stop(file: Path, *args: Any) -> None:
            nonlocal done
            done += 1
            if done <= write_number:
                return real(file, *args)
            if real is real_write_at:
                real(file, args[0], args[1][: len(args[1]) // 2])
            raise StoppedError

        return write_or_stop

    real_write_at, real_write_json = region_writer._write_at, region_store.write_json
    with monkeypatch.context() as patch:
        patch.setattr(region_writer, "_write_at", half(real_write_at))
        patch.setattr(region_store, "write_json", half(real_write_json))
        with pytest.raises(StoppedError):
            for _ in range(2):
                append(writer, 4)

    writer = begin(tmp_path / "store")
    assert writer.done == 4 * (write_number // 6)
    while writer.done < PHOTOS:
        append(writer, 4)
    require_all_rows(writer.finish())


@pytest.mark.parametrize("function", ["write_state", "rename"])
def test_stopped_while_finishing(
    tmp_path: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = begin(tmp_path / "store")
    append(writer, PHOTOS)

    def stop(*_: Any) -> None:
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(Path if function == "rename" else region_writer, function, stop)
        with pytest.raises(StoppedError):
            writer.finish()
    writer = begin(tmp_path / "store")
    assert writer.done == PHOTOS
    require_all_rows(writer.finish())


def test_stopped_while_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(region_writer, "write_state", stop)
        with pytest.raises(StoppedError):
            begin(tmp_path / "store")
    require_all_rows(write(tmp_path / "store"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_for_good_it_goes_on(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "import numpy as np\n"
        "from regiontalk.data import RegionStoreWriter\n"
        f"writer = RegionStoreWriter.open({str(tmp_path / 'store')!r}, {NAMES!r}, "
        f"regions={REGIONS}, dim={DIM}, vision_checksum='net')\n"
        f"rows = dict(np.load({str(tmp_path / 'rows.npz')!r}))\n"
        "writer.append(**{name: array[:6] for name, array in rows.items()})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    np.savez(tmp_path / "rows.npz", allow_pickle=False, **ROWS)
    source = str(Path(region_writer.__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": source}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    writer = begin(tmp_path / "store")
    assert writer.done == 6
    append(writer, 5)
    require_all_rows(writer.finish())


def test_finishing_twice_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path / "store")
    writer = begin(tmp_path / "store")
    assert writer.done == PHOTOS
    require_all_rows(writer.finish())
    with pytest.raises(ValueError, match="more than the store's 11"):
        writer.append(**make_rows(1))


def test_memory_stays_flat(tmp_path: Path) -> None:
    """A store of 32 MB, written and read with a few hundred kB."""
    photos, regions, dim, chunk = 4000, 4, 1000, 20
    features = np.ones((chunk, regions, dim), np.float16)
    rows = (
        np.zeros((chunk, regions, 4), np.float32),
        np.zeros((chunk, regions), np.float32),
        np.ones(chunk, np.int64),
        np.ones((chunk, 2), np.int64),
    )
    names = [str(n) for n in range(photos)]
    tracemalloc.start()
    writer = begin(tmp_path / "store", names=names, regions=regions, dim=dim)
    while writer.done < photos:
        writer.append(features, *rows)
    store = writer.finish()
    total = sum(
        float(store.features[start : start + chunk].sum(dtype=np.float64))
        for start in range(0, photos, chunk)
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == photos * regions * dim
    assert peak < 4_000_000


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision_checksum": "other"}, "vision_checksum is 'net', not 'other'"),
        ({"names": NAMES[::-1]}, "names_sha256 is"),
        ({"names": NAMES[:-1]}, "photos is 11, not 10"),
        ({"regions": 4}, "regions is 3, not 4"),
        ({"dim": 6}, "dim is 5, not 6"),
    ],
)
def test_never_goes_on_with_other_settings(
    tmp_path: Path, finished: bool, changes: dict[str, Any], message: str
) -> None:
    if finished:
        write(tmp_path / "store")
    else:
        append(begin(tmp_path / "store"), 4)
    with pytest.raises(DataError, match=message):
        begin(tmp_path / "store", **changes)


def test_finishing_too_early(tmp_path: Path) -> None:
    writer = begin(tmp_path / "store")
    append(writer, 4)
    with pytest.raises(DataError, match="holds 4 of 11 photos"):
        writer.finish()


@pytest.mark.parametrize("names", [[], ["a", "b", "a"]])
def test_names_must_differ(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DataError, match="photos with different names"):
        begin(tmp_path / "store", names=names)


@pytest.mark.parametrize("place", [200, 3])
def test_a_damaged_half_does_not_go_on(tmp_path: Path, place: int) -> None:
    append(begin(tmp_path / "store"), 4)
    flip_a_bit(tmp_path / "store.part" / "features.npy", place)
    with pytest.raises(DataError, match=r"features\.npy: damaged; delete"):
        begin(tmp_path / "store")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("features", np.nan, "features holds a value that is not finite or too large for float16"),
        ("features", 70_000, "features holds a value that is not finite or too large for float16"),
        ("boxes", np.inf, "boxes holds a value that is not finite"),
        ("scores", 1.5, "scores holds a value out of its range"),
        ("scores", -0.5, "scores holds a value out of its range"),
        ("counts", 0, "counts holds a value out of its range"),
        ("counts", REGIONS + 1, "counts holds a value out of its range"),
        ("sizes", 0, "sizes holds a value out of its range"),
    ],
)
def test_impossible_values_are_refused(
    tmp_path: Path, name: str, value: float, message: str
) -> None:
    writer = begin(tmp_path / "store")
    rows = make_rows()
    rows[name].reshape(-1)[2] = value
    with pytest.raises(ValueError, match=message):
        writer.append(**rows)
    assert writer.done == 0


def test_impossible_shapes_are_refused(tmp_path: Path) -> None:
    writer = begin(tmp_path / "store")
    with pytest.raises(ValueError, match=r"boxes has shape \(11, 3, 3\), expected \(11, 3, 4\)"):
        writer.append(**ROWS | {"boxes": ROWS["boxes"][:, :, :3]})
    with pytest.raises(ValueError, match="counts must be integers, not float64"):
        writer.append(**ROWS | {"counts": ROWS["counts"].astype(np.float64)})
    with pytest.raises(ValueError, match="at least 1"):
        begin(tmp_path / "other", dim=0)


def test_a_full_disk_is_told_and_the_rest_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = begin(tmp_path / "store")
    append(writer, 4)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(region_writer, "_write_at", full)
        with pytest.raises(
            DataError, match=r"cannot be written \(No space left on device\); start again, 4 photos"
        ):
            append(writer, 4)
    assert begin(tmp_path / "store").done == 4


@posix
@pytest.mark.parametrize(
    "name",
    ["progress.json", "progress.json.new", "names.json.new", "features.npy", "boxes.npy.new"],
)
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    mine, part = tmp_path / "letter.txt", tmp_path / "store.part"
    mine.write_text("my own words")
    part.mkdir()
    (part / name).symlink_to(mine)
    if name == "progress.json":
        with pytest.raises(DataError, match=r"progress\.json: not JSON"):
            begin(tmp_path / "store")
    else:
        write(tmp_path / "store")
    assert mine.read_text() == "my own words"


@posix
def test_a_half_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store.part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"store\.part: expected a folder of ours, found a link"):
        begin(tmp_path / "store")
    assert not list((tmp_path / "elsewhere").iterdir())


@posix
def test_rows_are_not_written_through_a_link(tmp_path: Path) -> None:
    writer, mine = begin(tmp_path / "store"), tmp_path / "letter.txt"
    mine.write_text("my own words")
    (tmp_path / "store.part" / "boxes.npy").unlink()
    (tmp_path / "store.part" / "boxes.npy").symlink_to(mine)
    with pytest.raises(DataError, match=r"boxes\.npy: expected a plain file, found a link"):
        append(writer, 4)
    assert mine.read_text() == "my own words"
