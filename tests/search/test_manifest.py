"""Manifests that somebody crafted.

Each is refused by name, nothing is read or deleted that they should not name.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regiontalk.errors import DataError
from regiontalk.search.index import Index
from regiontalk.search.manifest import json_sha256, read_manifest
from regiontalk.search.writer import IndexWriter

from .made import PACK, columns

MakeIndex = Callable[..., Index]
posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")

WRONG_NUMBERS = (
    None, True, -1, 0, 1.0, 1.5, 10**30, -(10**30), 2**63, 2**64, 1e308,
    "1", "", [], [1], {}, math.inf, math.nan,
)  # fmt: skip
"""Values that no number of a manifest has: it has whole ones from 1 on, but for `crc32` and
`dropped`."""


def craft(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a manifest, and makes its checksum fit."""
    file = folder / "manifest.json"
    content = json.loads(file.read_text())
    del content["sha256"]
    change(content)
    file.write_text(json.dumps({**content, "sha256": json_sha256(content)}))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def refused(folder: Path, found: str = "") -> None:
    """Sees that reader and writer refuse an index, name its manifest, and change nothing."""
    before = files_of(folder)
    with pytest.raises(DataError, match=rf"manifest\.json: .*{found}"):
        Index.open(folder)
    with pytest.raises(DataError, match=r"manifest\.json: "), IndexWriter(folder, PACK):
        pass
    assert files_of(folder) == before


def change(manifest: Path, **fields: object) -> None:
    """Changes a manifest without its checksum."""
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **fields}))


def test_a_manifest_that_is_not_what_it_should_be(make_index: MakeIndex) -> None:
    folder = make_index([2]).folder
    file = folder / "manifest.json"
    whole = file.read_text()
    for fields, message in (
        (
            {"format_version": 2},
            "expected format_version 3 or 4, found 2.*make it again.*regiontalk index add",
        ),
        ({"format": "regiontalk-pack"}, "not the manifest of an index"),
        ({"storage": "int8"}, "checksum does not fit"),
        ({"sha256": "0"}, "checksum does not fit"),
    ):
        change(file, **fields)
        with pytest.raises(DataError, match=message):
            read_manifest(folder)
        file.write_text(whole)
    for text in ("", whole[: len(whole) // 2], "[]", "\xff"):
        file.write_text(text, encoding="latin-1")
        with pytest.raises(DataError, match=r"manifest\.json"):
            read_manifest(folder)


def wrong_values() -> Iterator[tuple[str, Any]]:
    """Fields of a segment, and values that they cannot have."""
    for name in ("photos", "regions", "path_bytes", "crc32"):
        yield from ((name, value) for value in WRONG_NUMBERS if name != "crc32" or value != 0)
    names = (
        "../elsewhere",
        "/etc/passwd",
        "segment-1.safetensors",
        "lock",
        "segment-00000x.safetensors",
        "manifest.json",
    )
    yield from (
        ("file", value)
        for value in (*names, "segment-000001.safetensors\n", "segment-٠٠٠٠٠١.safetensors", 5)
    )
    yield from (
        ("dropped", value)
        for value in ([2, 1], [1, 1], [-1], [4], [0.0], [True], ["0"], [[0]], {}, "0", None)
    )
    yield from (("foreign", 1), ("photos", 5), ("regions", 3))


@pytest.mark.parametrize(("name", "value"), list(wrong_values()))
def test_a_segment_that_cannot_be(make_index: MakeIndex, name: str, value: Any) -> None:
    folder = make_index([4]).folder
    craft(folder, lambda content: content["segments"][0].update({name: value}))
    before = files_of(folder)
    with pytest.raises(DataError, match=r"(manifest\.json|segment-000001\.safetensors): "):
        Index.open(folder)
    with pytest.raises(DataError), IndexWriter(folder, PACK) as writer:
        writer.columns(("segment-000001.safetensors", 0))
    assert files_of(folder) == before


@pytest.mark.parametrize("value", [*WRONG_NUMBERS, 1])
def test_the_next_number_is_above_all_that_count(make_index: MakeIndex, value: Any) -> None:
    folder = make_index([2]).folder
    craft(folder, lambda content: content.update(next_number=value))
    refused(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("segments", None), ("segments", {}), ("segments", [1]), ("segments", [{}]), 
        ("pack", None), ("pack", []), ("pack", {"name": "tiny"}), ("storage", 5),
        ("storage", "float64"), ("foreign", 1), ("next_number", 2**64),
    ],
)  # fmt: skip
def test_fields_that_cannot_be(make_index: MakeIndex, field: str, value: Any) -> None:
    folder = make_index([2]).folder
    craft(folder, lambda content: content.update({field: value}))
    refused(folder, field)


@pytest.mark.parametrize(
    "pack",
    [
        {"name": 5},
        {"name": "a\nb"},
        {"checksum": "ab"},
        {"checksum": 5},
        {"dim": 0},
        {"dim": 8.0},
        {"dim": 2**40},
    ],
)
def test_a_pack_that_cannot_be(make_index: MakeIndex, pack: dict[str, Any]) -> None:
    folder = make_index([2]).folder
    craft(folder, lambda content: content["pack"].update(pack))
    refused(folder, "pack")


def test_a_segment_counts_once(make_index: MakeIndex) -> None:
    folder = make_index([2]).folder
    craft(folder, lambda content: content["segments"].append(content["segments"][0]))
    refused(folder, "each file once")


def test_a_key_counts_once(make_index: MakeIndex) -> None:
    folder = make_index([2]).folder
    file = folder / "manifest.json"
    file.write_text(file.read_text().replace('"storage"', '"storage": "float32", "storage"', 1))
    refused(folder, "not JSON")


def test_deep_and_huge_manifests(make_index: MakeIndex) -> None:
    folder = make_index([2]).folder
    for text in (
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 100_000,
        f'{{"format_version": {"9" * 5000}}}',
    ):
        (folder / "manifest.json").write_text(text)
        refused(folder)


def crafted(rng: random.Random, content: dict[str, Any]) -> None:
    """One to three random changes of values anywhere in a manifest."""
    for _ in range(rng.randint(1, 3)):
        place: Any = content
        while True:
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
            if not (isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8):
                break
            place = place[key]
        other = rng.choice(
            [
                "segment-000001.safetensors",
                "segment-000002.safetensors",
                "segment-000003.safetensors",
            ]
        )
        values = [*WRONG_NUMBERS[:-2], 1, 2, 3, other, [0], [0, 1], [rng.randrange(9)]]
        place[key] = deepcopy(rng.choice(values))


@pytest.mark.parametrize("seed", range(20))
def test_crafted_manifests_delete_nothing_that_counts(make_index: MakeIndex, seed: int) -> None:
    folder = make_index([4, 2], dropped=[1]).folder
    craft(folder, lambda content: crafted(random.Random(seed), content))
    before = files_of(folder)
    counted = set(before)
    with suppress(DataError, OSError), IndexWriter(folder, PACK) as writer:
        counted = {each.file for each in writer.manifest.segments}
        writer.commit(columns([20]))
    after = files_of(folder)
    assert {name: after[name] for name in counted & set(before)} == {
        name: before[name] for name in counted & set(before)
    }


@posix
@pytest.mark.parametrize("name", ["manifest.json", "segment-000001.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "folder"])
def test_no_file_that_is_not_regular_is_read(make_index: MakeIndex, name: str, kind: str) -> None:
    folder = make_index([2]).folder
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "folder":
        (folder / name).mkdir()
    else:
        (folder / name).symlink_to("/dev/zero" if kind == "device" else "/dev/tty")
    with pytest.raises(DataError, match=rf"{name}: expected a (regular )?file, found a "):
        Index.open(folder)
    with pytest.raises(DataError), IndexWriter(folder, PACK) as writer:
        writer.columns(("segment-000001.safetensors", 0))


@posix
@pytest.mark.parametrize(
    "name", ["manifest.json.new", "segment-000002.safetensors.new", "segment-000002.safetensors"]
)
def test_a_writer_writes_through_no_link(make_index: MakeIndex, tmp_path: Path, name: str) -> None:
    folder, mine = make_index([2]).folder, tmp_path / "letter.txt"
    mine.write_text("my own words")
    with IndexWriter(folder, PACK) as writer:
        (folder / name).symlink_to(mine)  # after leftovers were cleared
        writer.commit(columns([7]))
    assert mine.read_text() == "my own words"
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert Index.open(folder).photos == 3


def test_a_file_in_the_place_of_a_new_segment_is_not_lost_to_a_failed_write(
    make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_index([2]).folder

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with IndexWriter(folder, PACK) as writer:
        writer.manifest = replace(writer.manifest, segments=(), next_number=1)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            writer.commit(columns([7]))
        monkeypatch.undo()
    assert Index.open(folder).photos == 2
    assert read_manifest(folder).next_number == 2
