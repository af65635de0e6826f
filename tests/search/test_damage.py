"""A damaged index gives an error that names the file, or exactly the results of the sound one.

Seeded.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from regiontalk.errors import DataError
from regiontalk.search.engine import ExactEngine, TwoStageEngine
from regiontalk.search.filters import Where
from regiontalk.search.index import Index
from regiontalk.search.writer import IndexWriter

from .made import DIM, PACK, build, columns, craft, day

COPIES = 60


@pytest.fixture(scope="module", params=["float32", "float16", "int8"])
def sound(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """An index of three segments of many blocks, and another that differs a little."""
    folder = tmp_path_factory.mktemp(request.param)
    made, other = folder / "index", folder / "other"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regiontalk.search.checksums.BLOCK_BYTES", 64)
        build(made, [9, 4, 6], dropped=[2, 10], storage=request.param)
        craft(build(other, [9, 4, 6], dropped=[2, 10], storage=request.param), "pooled", 4, 1.0)
        yield made, other


def flip_a_bit(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def change_a_byte(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] = rng.randrange(256)
    file.write_bytes(content)


def change_some_bytes(file: Path, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 20)):
        change_a_byte(file, rng)


def zero_a_run(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    start, length = rng.randrange(len(content)), rng.choice([1, 8, 512, 4096])
    content[start : start + length] = bytes(len(content[start : start + length]))
    file.write_bytes(content)


def cut_off(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))])


def make_longer(file: Path, rng: random.Random) -> None:
    content, place = file.read_bytes(), rng.randrange(file.stat().st_size)
    file.write_bytes(content[:place] + rng.randbytes(rng.randint(1, 100)) + content[place:])


def swap_runs(file: Path, rng: random.Random) -> None:
    content, length = bytearray(file.read_bytes()), rng.choice([4, 32, 128])
    one, other = (rng.randrange(max(1, len(content) - length)) for _ in range(2))
    content[one : one + length], content[other : other + length] = (
        content[other : other + length],
        content[one : one + length],
    )
    file.write_bytes(content)


def delete(file: Path, rng: random.Random) -> None:
    file.unlink()


def swap_files(file: Path, rng: random.Random) -> None:
    other = rng.choice([path for path in sorted(file.parent.iterdir()) if path != file])
    content = file.read_bytes()
    file.write_bytes(other.read_bytes())
    other.write_bytes(content)


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (
    flip_a_bit, change_a_byte, change_some_bytes, zero_a_run, cut_off, make_longer, swap_runs,
    delete, swap_files,
)  # fmt: skip


def damage_copy(sound: tuple[Path, Path], copy: Path, seed: int) -> str:
    """A copy of an index with one damage to one of its files; returns which."""
    made, other = sound
    rng = random.Random(seed)
    shutil.copytree(made, copy)
    file = rng.choice(sorted(copy.iterdir()))
    if rng.random() < 0.1:
        shutil.copy(other / file.name, file)
        return f"{file.name} of another index"
    way = rng.choice(WAYS)
    way(file, rng)
    return f"{way.__name__} {file.name}"


def answers(folder: Path) -> Iterator[object]:
    """All that can be asked of an index, each from a newly opened one."""
    words = np.random.default_rng(1).normal(size=(4, DIM)).astype(np.float32)
    where = Where(
        path="/photos/*", taken_from=day(1), taken_to=day(17), least=(12, 12), most=(99, 99)
    )
    for candidates in (None, 5):
        for ask in ("photos", "like", "boxes", "filtered", "matching"):
            index = Index.open(folder, PACK)
            engine = ExactEngine(index) if candidates is None else TwoStageEngine(index, candidates)
            if ask == "matching":
                yield engine.matching(where)
                continue
            hits = (
                engine.photos(words, 7, where)
                if ask == "filtered"
                else getattr(engine, ask)(words, 7)
            )
            arrays = [
                (hit.regions.vectors, hit.regions.boxes_xyxy, hit.regions.scores) for hit in hits
            ]
            yield [
                (hit.entry, hit.score, getattr(hit, "region", 0), hit.regions.hubness)
                for hit in hits
            ]
            yield [[array.tobytes() for array in each] for each in arrays]
    yield [entry for _, entry in Index.open(folder).entries()]


def compare(expected: list[object], folder: Path, what: str) -> bool:
    """Whether a damaged index refuses at least one question.

    What it answers must be as expected.
    """
    try:
        for number, (mine, sound) in enumerate(zip(answers(folder), expected, strict=True)):
            assert mine == sound, f"{what}: answer {number} differs"
    except DataError as error:
        assert str(folder) in str(error), what
        return True
    return False


@pytest.mark.parametrize("part", range(4))
def test_damaged_copies(sound: tuple[Path, Path], tmp_path: Path, part: int) -> None:
    expected, refused = list(answers(sound[0])), 0
    for seed in range(part, COPIES, 4):
        copy = tmp_path / str(seed)
        refused += compare(expected, copy, damage_copy(sound, copy, seed))
    assert refused > COPIES / 4 / 2


def test_a_writer_makes_no_damage_sound(sound: tuple[Path, Path], tmp_path: Path) -> None:
    """Whatever it copies from a damaged index: what can be read is what was there before."""
    expected = {entry.path: entry for _, entry in Index.open(sound[0]).entries()}
    for seed in range(COPIES // 2):
        copy = tmp_path / str(seed)
        what = damage_copy(sound, copy, seed)
        with suppress(DataError), IndexWriter(copy, PACK) as writer:
            writer.commit(columns([30]))
            writer.merge()
        with suppress(DataError):
            for _, entry in Index.open(copy).entries():
                assert entry.path.endswith("/30.jpg") or expected[entry.path] == entry, what
