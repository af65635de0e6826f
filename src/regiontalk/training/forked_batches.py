"""Batches made by forked processes, which share memory with their parent: no pipe is quick enough for a GPU.

A batch of photos takes tens of megabytes. Its arrays are written to a place in memory that was shared before the fork,
and only what remains, a description of them, goes through a pipe.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import torch

from regiontalk.errors import TrainingError

PLACE_BYTES = 1 << 28
"""Reserved for each batch on its way; what is not written to takes no memory. Larger batches go through the pipe."""
ALIGNMENT = 64
"""Bytes; arrays begin at multiples of it."""


@dataclass(frozen=True)
class Packed:
    """A batch without its arrays.

    Attributes:
        pickled: all but the arrays.
        spans: where in its place each array begins and ends, in bytes.
    """

    pickled: bytes
    spans: list[tuple[int, int]]


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


def make(step: int, place: int) -> Packed:
    assert _batch is not None
    return pack(_batch(step), _places[place])


def pack(batch: Any, place: mmap.mmap) -> Packed:
    """A batch whose arrays lie in `place`, if they fit."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(batch, protocol=5, buffer_callback=buffers.append)
    spans, begin = [], 0
    for buffer in buffers:
        end = begin + buffer.raw().nbytes
        if end > len(place):
            return Packed(pickle.dumps(batch, protocol=5), [])
        place[begin:end] = buffer.raw()
        spans.append((begin, end))
        begin = -(-end // ALIGNMENT) * ALIGNMENT
    return Packed(pickled, spans)


def unpack(packed: Packed, place: mmap.mmap) -> Any:
    """The batch again; its arrays lie in `place` still."""
    view = memoryview(place)
    return pickle.loads(packed.pickled, buffers=[view[begin:end] for begin, end in packed.spans])
