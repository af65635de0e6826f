"""Batches made by forked processes, which share memory with their parent: no pipe is quick enough for a GPU.

A batch of photos takes tens of megabytes. The large arrays among the fields of a batch, a dataclass that may hold
others, are written to a place in memory that was shared before the fork; what remains goes through a pipe.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch

from regiontalk.errors import TrainingError

PLACE_BYTES = 1 << 28
"""Reserved for each batch on its way; what is not written to takes no memory. What does not fit takes the pipe."""
LARGE_BYTES = 1 << 12
"""Smaller arrays go through the pipe too."""
ALIGNMENT = 64
"""Bytes; arrays begin at multiples of it."""


@dataclass(frozen=True)
class Placed:
    """An array in shared memory: at which byte it begins, its shape and its type."""

    begin: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def array(self, place: mmap.mmap) -> np.ndarray:
        return np.ndarray(self.shape, self.dtype, place, self.begin)


def forked_batches(batch: Callable[[int], Any], steps: range, processes: int) -> Iterator[Any]:
    """The batches of some steps, in order, two for each process made before they are asked for.

    The arrays of a batch are good until the next one is asked for.

    Raises:
        TrainingError: if a process died.
    """
    ahead = 2 * processes
    places = [mmap.mmap(-1, PLACE_BYTES) for _ in range(ahead + 1)]  # one more: the batch that is in use
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), initializer=begin, initargs=(batch, places, os.getpid())
    )
    try:
        upcoming = deque(pool.submit(make, step, step % len(places)) for step in steps[:ahead])
        for step in steps:
            ready = upcoming.popleft().result()
            if step + ahead < steps.stop:
                upcoming.append(pool.submit(make, step + ahead, (step + ahead) % len(places)))
            yield unpack(ready, places[step % len(places)])
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process that makes batches died, perhaps for want of memory; the same command goes on from the last "
            "checkpoint"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_batch: Callable[[int], Any] | None = None
"""What makes batches in a forked process: it holds networks and open files, which no pipe could carry there."""
_places: list[mmap.mmap] = []


def begin(batch: Callable[[int], Any], places: list[mmap.mmap], parent: int) -> None:
    """Prepare a process for `make`: Ctrl-C is its parent's affair, and it ends when that was killed."""
    global _batch, _places
    _batch, _places = batch, places
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()


def end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def make(step: int, place: int) -> Any:
    assert _batch is not None
    return Packer(_places[place]).pack(_batch(step))


class Packer:
    """Moves a batch's large arrays into shared memory, one after the other."""

    def __init__(self, place: mmap.mmap) -> None:
        self.place, self.used = place, 0

    def pack(self, value: Any) -> Any:
        """The batch with `Placed` for its large arrays."""
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{each.name: self.pack(getattr(value, each.name)) for each in fields(value)})
        if not isinstance(value, np.ndarray) or not LARGE_BYTES <= value.nbytes <= len(self.place) - self.used:
            return value
        placed = Placed(self.used, value.shape, value.dtype)
        placed.array(self.place)[...] = value
        self.used = -(-(self.used + value.nbytes) // ALIGNMENT) * ALIGNMENT
        return placed


def unpack(value: Any, place: mmap.mmap) -> Any:
    """The batch again; its arrays lie in `place` still."""
    if isinstance(value, Placed):
        return value.array(place)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: unpack(getattr(value, each.name), place) for each in fields(value)})
    return value
