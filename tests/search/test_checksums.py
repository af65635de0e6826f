"""Columns' checksums by blocks: exactly the blocks that are asked for are compared, each once."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.search import checksums
from regiontalk.search.checksums import BlockChecks, DamagedBlockError, blocks, summed

SIZE = 1000
"""Bytes; 16 blocks of 64."""


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "BLOCK_BYTES", 64)
        patch.setattr(checksums, "_BLOCKS_A_TASK", 3)
        yield


def column(damaged: int | None = None) -> BlockChecks:
    content = np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)
    crc32 = [zlib.crc32(content[start : start + 64]) for start in range(0, SIZE, 64)]
    if damaged is not None:
        content[damaged] ^= 1
    return BlockChecks(memoryview(content.tobytes()), np.array(crc32, np.uint32))


@given(st.lists(st.binary(max_size=200), max_size=9))
def test_pieces_of_any_size_have_the_same_checksums(pieces: list[bytes]) -> None:
    found: list[int] = []
    assert list(summed(pieces, found)) == pieces
    whole = b"".join(pieces)
    assert found == [zlib.crc32(whole[start : start + 64]) for start in range(0, len(whole), 64)]
    assert len(found) == blocks(len(whole))


@given(
    st.integers(0, SIZE - 1),
    st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), min_size=1),
)
def test_damage_is_found_by_those_who_read_its_block(
    place: int, runs: list[tuple[int, int]]
) -> None:
    runs = [(min(run), max(run)) for run in runs if run[0] != run[1]] or [(0, 1)]
    inside = any(start // 64 <= place // 64 <= (stop - 1) // 64 for start, stop in runs)
    one, many = column(place), column(place)
    starts, stops = np.array(runs).T

    def each_alone() -> None:
        for start, stop in runs:
            one.check(start, stop)

    for check in (each_alone, lambda: many.check(starts, stops)):
        for _ in range(2):  # it is found again
            if inside:
                with pytest.raises(DamagedBlockError):
                    check()
            else:
                check()


def test_a_block_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, compared = column(), list[int]()
    compare = sound._compare_some
    monkeypatch.setattr(
        sound, "_compare_some", lambda wanted: (compared.extend(wanted.tolist()), compare(wanted))
    )
    sound.check(70, 70)  # nothing
    sound.check(70, 200)
    sound.check(np.array([0, 130]), np.array([10, 140]))
    assert sorted(compared) == [0, 1, 2, 3]
    for _ in range(2):
        sound.check(0, SIZE)
    assert sorted(compared) == list(range(16))


def test_an_empty_column() -> None:
    empty = BlockChecks(memoryview(b""), np.empty(0, np.uint32))
    empty.check(0, 0)
    empty.check(np.array([100]), np.array([200]))
