"""CRC-32 checksums of a segment's columns by block, verified lazily when a block is read.

A block has `BLOCK_BYTES` bytes of one column; a column's last block may be shorter. CRC-32 detects
every error burst of up to 32 bits, and other damage but for one case in 2^32.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BLOCK_BYTES = 1 << 16
"""Small enough that a few photos of a large index can be read alone."""
_BLOCKS_A_TASK = 256


class DamagedBlockError(Exception):
    """A block does not match its checksum."""


def blocks(size: int) -> int:
    """Number of blocks in a column of `size` bytes."""
    return -(-size // BLOCK_BYTES)


def summed(pieces: Iterable[bytes | memoryview], found: list[int]) -> Iterator[bytes | memoryview]:
    """Passes the pieces of a column through, and appends the checksums of its blocks to `found`.

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
    """Verifies the blocks of a column on first use, each once; several threads may use it.

    Args:
        content: of the column.
        crc32: (blocks,) uint32.
    """

    def __init__(self, content: memoryview, crc32: np.ndarray) -> None:
        self._content, self._crc32 = content, crc32
        left = np.ones(len(crc32), bool)  # not yet compared
        self._left: np.ndarray | None = left if len(left) else None  # None if all are

    def check(self, starts: int | np.ndarray, stops: int | np.ndarray) -> None:
        """Verifies the blocks that one or several byte ranges touch; an empty range touches none.

        Raises:
            DamagedBlockError: if one does not match.
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
        # Imported here: it loads ONNX Runtime, which a small index does not need
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
    """Mask of the blocks, of `count`, that some non-empty byte ranges touch: (count,) bool."""
    # Difference array: its running sum is the number of ranges that touch a block
    steps = np.zeros(count + 1, np.int64)
    np.add.at(steps, starts // BLOCK_BYTES, 1)
    np.add.at(steps, -(-stops // BLOCK_BYTES), -1)
    covered: np.ndarray = np.cumsum(steps[:-1]) > 0
    return covered
