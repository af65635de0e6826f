"""Checksums of a segment's columns, block by block, compared when what they cover is read.

A block is `BLOCK_BYTES` of a column, the last of a column what is left. Its checksum is its CRC-32,
which finds all damage of up to 32 neighbouring bits, and other damage but for one case in 2^32.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK_BYTES = 1 << 16
"""Little enough for a few photos of a large index to be read alone."""
_BLOCKS_A_TASK = 256


class DamagedBlockError(Exception):
    """A block does not fit its checksum."""


def blocks(size: int) -> int:
    """How many blocks so many bytes are."""
    return -(-size // BLOCK_BYTES)


def summed(pieces: Iterable[bytes | memoryview], found: list[int]) -> Iterator[bytes | memoryview]:
    """Passes the pieces of a column on, and adds the checksums of its blocks to `found`.

    >>> found = []
    >>> list(summed([b"ab", b"c"], found)), found == [zlib.crc32(b"abc")]
    ([b'ab', b'c'], True)
    """
    filled = 0  # bytes of the last block so far
    for piece in pieces:
        left = memoryview(piece)
        while left:
            part = left[: BLOCK_BYTES - filled]
            if not filled:
                found.append(0)
            found[-1] = zlib.crc32(part, found[-1])
            filled = (filled + len(part)) % BLOCK_BYTES
            left = left[len(part) :]
        yield piece


class BlockChecks:
    """Compares the blocks of a column with their checksums when they are asked for, each once.

    Several threads may ask.

    Args:
        content: of the column.
        crc32: (blocks,) uint32.
    """

    def __init__(self, content: memoryview, crc32: np.ndarray) -> None:
        self._content, self._crc32 = content, crc32
        left = np.ones(len(crc32), bool)  # not yet compared
        self._left: np.ndarray | None = left if len(left) else None  # None if all are

    def check(self, starts: int | np.ndarray, stops: int | np.ndarray) -> None:
        """Compares the blocks of some runs of bytes; a run that stops where it starts has none.

        Raises:
            DamagedBlockError: if one does not fit.
        """
        left = self._left
        if left is None:
            return
        if isinstance(starts, np.ndarray):
            wanted = np.flatnonzero(left & _covered(starts, np.asarray(stops), len(left)))
        else:
            first = starts // BLOCK_BYTES
            wanted = first + np.flatnonzero(
                left[first : blocks(int(stops)) if stops > starts else first]
            )
        if len(wanted):
            self._compare(wanted)
            left[wanted] = False
            if not left.any():
                self._left = None

    def _compare(self, wanted: np.ndarray) -> None:
        tasks = [wanted[at : at + _BLOCKS_A_TASK] for at in range(0, len(wanted), _BLOCKS_A_TASK)]
        if len(tasks) == 1:
            self._compare_some(tasks[0])
            return
        # Brings ONNX Runtime, which a small index needs not
        from regiontalk.vision.session import available_cpus

        with ThreadPoolExecutor(available_cpus()) as pool:
            for _ in pool.map(self._compare_some, tasks):
                pass

    def _compare_some(self, wanted: np.ndarray) -> None:
        for block in wanted.tolist():
            start = block * BLOCK_BYTES
            if zlib.crc32(self._content[start : start + BLOCK_BYTES]) != self._crc32[block]:
                raise DamagedBlockError


def _covered(starts: np.ndarray, stops: np.ndarray, count: int) -> np.ndarray:
    """Which of `count` blocks some runs of bytes, none empty, lie in: (count,) bool."""
    steps = np.zeros(count + 1, np.int64)
    np.add.at(steps, starts // BLOCK_BYTES, 1)
    np.add.at(steps, -(-stops // BLOCK_BYTES), -1)
    covered: np.ndarray = np.cumsum(steps[:-1]) > 0
    return covered
