"""Reading a store of regions: what is there, and every kind of damage."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regiontalk.data import RegionStore
from regiontalk.errors import DataError
from regiontalk.files import json_sha256

from .made_regions import NAMES, PHOTOS, ROWS, begin, flip_a_bit, require_all_rows, write

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    require_all_rows(store)
    assert len(store) == PHOTOS
    assert store.vision_checksum == "net"
    assert (store.features.dtype, store.boxes.dtype) == (np.float16, np.float32)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert not (tmp_path / "store" / "progress.json").exists()


def test_arrays_are_maps_that_cannot_be_changed(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    assert isinstance(store.features, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.features[0] = 1


def test_rows_of_names(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    rows = store.rows(["photo 7.jpg", "photo 0.jpg"])
    assert rows.tolist() == [7, 0]
    np.testing.assert_array_equal(store.features[rows], ROWS["features"][[7, 0]].astype(np.float16))
    with pytest.raises(DataError, match=r"lacks 1 photos: \['x\.jpg'\]"):
        store.rows(["photo 1.jpg", "x.jpg"])


def test_a_store_of_another_network_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "store")
    assert len(RegionStore.open(tmp_path / "store", vision_checksum="net")) == PHOTOS
    with pytest.raises(
        DataError, match=r"another vision network \(net, expected other\); write the store again"
    ):
        RegionStore.open(tmp_path / "store", vision_checksum="other")


def test_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no store of regions$"):
        RegionStore.open(tmp_path / "nowhere")
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="exists and is not a store"):
        begin(tmp_path / "photos")
    (tmp_path / "photos" / "header.json").write_text('{"format": "other"}')
    with pytest.raises(DataError, match="not the header of a store"):
        RegionStore.open(tmp_path / "photos")


def damage_header(folder: Path) -> None:
    header = json.loads((folder / "header.json").read_text())
    header["layout"]["dim"] = 4
    (folder / "header.json").write_text(json.dumps(header))


def damage_version(folder: Path) -> None:
    header = json.loads((folder / "header.json").read_text())
    (folder / "header.json").write_text(json.dumps(header | {"format_version": 99}))


def damage_names(folder: Path) -> None:
    (folder / "names.json").write_text(json.dumps(NAMES[:-1]))


def cut_features(folder: Path) -> None:
    content = (folder / "features.npy").read_bytes()
    (folder / "features.npy").write_bytes(content[:-1])


def swap_type(folder: Path) -> None:
    np.save(folder / "features.npy", ROWS["features"])


def lose_boxes(folder: Path) -> None:
    (folder / "boxes.npy").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_header, "header.json: damaged"),
        (damage_version, "header.json: format 99, this version reads 1"),
        (damage_names, "damaged, names.json does not fit"),
        (cut_features, "features.npy: damaged"),
        (swap_type, r"features.npy: damaged, expected float16 \(11, 3, 5\)"),
        (lose_boxes, "boxes.npy: no such file"),
    ],
)
def test_damage_is_found_on_opening(tmp_path: Path, damage: Any, message: str) -> None:
    write(tmp_path / "store")
    damage(tmp_path / "store")
    with pytest.raises(DataError, match=message):
        RegionStore.open(tmp_path / "store")


def test_a_flipped_bit_is_found_by_verify(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    flip_a_bit(tmp_path / "store" / "scores.npy", -1)
    with pytest.raises(DataError, match=r"scores\.npy: damaged"):
        store.verify()


WRONG_NUMBERS = (None, True, -1, 1.0, 10**30, 2**63, 2**64, "1", [], {})


def craft(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a header, and makes its checksum fit."""
    file = folder / "header.json"
    content = json.loads(file.read_text())
    del content["sha256"]
    change(content)
    file.write_text(json.dumps({**content, "sha256": json_sha256(content)}))


@pytest.mark.parametrize("value", WRONG_NUMBERS)
@pytest.mark.parametrize(
    "name", ["photos", "regions", "dim", "done", "crc32", "names_sha256", "vision_checksum"]
)
def test_headers_that_cannot_be(tmp_path: Path, name: str, value: Any) -> None:
    write(tmp_path / "store")

    def change(content: dict[str, Any]) -> None:
        if name == "crc32":
            content["crc32"]["boxes"] = value
        else:
            (content if name == "done" else content["layout"])[name] = value

    craft(tmp_path / "store", change)
    if (name, value) == ("vision_checksum", "1"):  # a text as good as any
        assert len(RegionStore.open(tmp_path / "store")) == PHOTOS
        return
    for use in (RegionStore.open, begin):
        with pytest.raises(DataError, match=r"(header|names)\.json"):
            use(tmp_path / "store")


@pytest.mark.parametrize(
    ("name", "value"), [("layout", 5), ("crc32", {}), ("crc32", []), ("foreign", 1), ("layout", {})]
)
def test_fields_of_a_header_that_cannot_be(tmp_path: Path, name: str, value: Any) -> None:
    write(tmp_path / "store")
    craft(tmp_path / "store", lambda content: content.update({name: value}))
    with pytest.raises(DataError, match=r"header\.json: damaged, .*Delete the folder"):
        RegionStore.open(tmp_path / "store")


@pytest.mark.parametrize(
    "names", [5, {}, "photos", [1] * PHOTOS, [["a"]] * PHOTOS, NAMES[:-1] + NAMES[:1]]
)
def test_names_that_cannot_be(tmp_path: Path, names: Any) -> None:
    write(tmp_path / "store")
    (tmp_path / "store" / "names.json").write_text(json.dumps(names))
    craft(
        tmp_path / "store",
        lambda content: content["layout"].update(names_sha256=json_sha256(names)),
    )
    with pytest.raises(DataError, match=r"names\.json does not fit"):
        RegionStore.open(tmp_path / "store")


@posix
@pytest.mark.parametrize("name", ["header.json", "names.json", "features.npy"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_no_file_that_is_not_regular_is_read(tmp_path: Path, name: str, kind: str) -> None:
    file = write(tmp_path / "store")._folder / name
    file.unlink()
    os.mkfifo(file) if kind == "pipe" else file.symlink_to("/dev/zero")
    with pytest.raises(
        DataError, match=f"{name}: expected a regular file, found a pipe, socket or device"
    ):
        RegionStore.open(tmp_path / "store")
