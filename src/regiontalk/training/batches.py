"""Sampling of batches, and their prefetching.

Batches are prefetched by a thread or, where a GPU trains, by the worker processes of a
`DataLoader`.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from regiontalk.errors import RegionTalkError, TrainingError
from regiontalk.training.sentences import Sentences
from regiontalk.vision.session import available_cpus

MOST_PROCESSES = 12
"""Worker processes at most: each keeps two batches ready, and a batch of photos takes tens of
megabytes."""
LARGE_BYTES = 1 << 12
"""Smaller arrays go through the pipe between processes, larger ones through shared memory."""
WORKER_DIED = (
    "a process that makes batches died, perhaps for want of memory, or of shared memory "
    "(/dev/shm); the same command goes on from the last checkpoint"
)


class Shuffled:
    """Endless batches of rows; each epoch's permutation depends on the seed and the epoch alone."""

    def __init__(self, items: int, batch: int, seed: int) -> None:
        self.items, self.batch, self.seed = items, min(batch, items), seed
        self.epoch_steps = items // self.batch

    def rows(self, step: int) -> np.ndarray:
        epoch, within = divmod(step, self.epoch_steps)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.items)
        return order[within * self.batch : (within + 1) * self.batch]

    def generator(self, step: int) -> np.random.Generator:
        """Random generator of a step, for all else that is random in it."""
        return np.random.default_rng([self.seed, step, 1])


class CaptionedPhotos:
    """Endless batches of photos, each with some of its captions.

    Captions of a photo share one forward pass of the vision network. An epoch passes over the
    photos as often as it takes to sample every caption about once. A photo occurs at most once in a
    batch, so every other photo's sentence is a true negative. A batch is a function of the seed and
    the step alone.

    Args:
        sentences: L captions; photos without any are left out.
        batch: K, photos in a batch.
        captions: C, captions of each photo in a batch; a photo that has fewer repeats its own.
        seed: of all permutations.
    """

    def __init__(self, sentences: Sentences, batch: int, captions: int, seed: int) -> None:
        self.photos, starts = np.unique(sentences.photos, return_index=True)
        self.rows_of_photo = np.split(
            np.arange(len(sentences)), starts[1:]
        )  # a photo's captions are contiguous
        self.captions, self.seed = captions, seed
        self.order = Shuffled(len(self.photos), batch, seed)
        self.passes = max(1, round(len(sentences) / (len(self.photos) * captions)))
        self.epoch_steps = self.order.epoch_steps * self.passes

    def rows(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of photos (K,), and rows of sentences (C, K): those of photo k in column k."""
        chosen = self.order.rows(step)
        epoch, turn = divmod(step // self.order.epoch_steps, self.passes)
        columns = [self.captions_of(photo, epoch, turn) for photo in chosen]
        return self.photos[chosen], np.stack(columns, axis=1)

    def captions_of(self, photo: int, epoch: int, turn: int) -> np.ndarray:
        """Rows of the captions that a photo contributes in one pass of an epoch.  # (C,)"""
        rows = np.random.default_rng([self.seed, epoch, photo, 2]).permutation(
            self.rows_of_photo[photo]
        )
        return rows.take(np.arange(turn * self.captions, (turn + 1) * self.captions), mode="wrap")


class Turns:
    """Interleaves datasets, one in each batch, so that dataset style does not identify negatives.

    Args:
        orders: batches of the datasets' photos.
        shares: passes over each dataset per epoch.
        seed: of the order of datasets.
    """

    def __init__(
        self, orders: Sequence[CaptionedPhotos], shares: Sequence[float], seed: int
    ) -> None:
        self.orders, self.seed = orders, seed
        self.steps = [
            max(1, round(order.epoch_steps * share))
            for order, share in zip(orders, shares, strict=True)
        ]
        self.epoch_steps = sum(self.steps)

    def turn(self, step: int) -> tuple[int, int]:
        """The dataset of a step, and the number of the step among that dataset's own."""
        epoch, within = divmod(step, self.epoch_steps)
        every = np.repeat(np.arange(len(self.steps)), self.steps)
        order = np.random.default_rng([self.seed, epoch, 5]).permutation(every)
        dataset = int(order[within])
        return dataset, epoch * self.steps[dataset] + int((order[:within] == dataset).sum())


def mixture(sizes: Sequence[int], shares: Sequence[float], seed: int) -> np.ndarray:
    """Rows of an epoch that samples several sources, each by its share.

    Args:
        sizes: of the sources.
        shares: passes over each source per epoch; a fractional pass takes the same rows in every
            epoch.
        seed: of the sampling.

    Returns:
        (n, 2) int64: source, row.
    """
    parts = []
    for number, (size, share) in enumerate(zip(sizes, shares, strict=True)):
        order = np.random.default_rng([seed, number, 7]).permutation(size)
        rows = np.resize(order, max(1, round(size * share)))
        parts.append(np.stack([np.full(len(rows), number), rows], axis=1))
    return np.concatenate(parts)


def loading_processes() -> int:
    """Number of worker processes that prefetch batches; 0 for a thread.

    A GPU waits for its batches, and threads would take turns with the one that keeps it busy. On a
    CPU all cores are busy training anyway.
    """
    if not torch.cuda.is_available() or "fork" not in multiprocessing.get_all_start_methods():
        return 0
    return min(available_cpus(), MOST_PROCESSES)


def batches_ahead(batch: Callable[[int], Any], steps: range, processes: int) -> Iterator[Any]:
    """The batches of some steps, in order, with prefetching.

    `batch` makes a step's batch on the CPU: in worker processes, or with 0 of them in a thread.
    """
    if processes and steps:
        yield from loaded_batches(batch, steps, processes)
    elif steps:  # a DataLoader without processes does not prefetch
        with ThreadPoolExecutor(1) as thread:
            upcoming = thread.submit(batch, steps.start)
            for step in steps[1:]:
                ready, upcoming = upcoming.result(), thread.submit(batch, step)
                yield ready
            yield upcoming.result()


def loaded_batches(batch: Callable[[int], Any], steps: range, processes: int) -> Iterator[Any]:
    """Prefetch with a `DataLoader`, forked because `batch` holds networks and open files."""
    # Its own generator: it draws a seed, and the run's numbers depend on the global one
    loader = DataLoader(
        BatchOfStep(batch, steps),
        batch_size=None,
        num_workers=processes,
        multiprocessing_context="fork",
        generator=torch.Generator(),
    )
    try:
        for made in loader:
            if isinstance(made, RegionTalkError):
                raise made
            yield from_tensors(made)
    except (EOFError, ConnectionError) as error:  # it died while a tensor was being received
        raise TrainingError(WORKER_DIED) from error


@contextmanager
def worker_deaths_as_errors() -> Iterator[None]:
    """Within it, the death of a `DataLoader` worker is a `TrainingError`.

    PyTorch raises its own error from a signal handler, so anywhere in the current step.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(WORKER_DIED) from error


class BatchOfStep(Dataset[Any]):
    """Map-style dataset of the batches of some steps, for a `DataLoader`."""

    def __init__(self, batch: Callable[[int], Any], steps: range) -> None:
        self.batch, self.steps = batch, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, place: int) -> Any:
        try:
            return to_tensors(self.batch(self.steps[place]))
        except RegionTalkError as error:  # a DataLoader would add a traceback to its message
            return error


@dataclass(frozen=True)
class AsTensor:
    """An array as a tensor, which passes between processes in shared memory, not through a pipe."""

    tensor: Tensor


def to_tensors(value: Any) -> Any:
    """A batch (a dataclass, possibly nested) with its large arrays as tensors."""
    if isinstance(value, np.ndarray) and value.nbytes >= LARGE_BYTES:
        return AsTensor(torch.from_numpy(np.ascontiguousarray(value)))
    return with_fields(value, to_tensors)


def from_tensors(value: Any) -> Any:
    """Inverse of `to_tensors`."""
    return value.tensor.numpy() if isinstance(value, AsTensor) else with_fields(value, from_tensors)


def with_fields(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a dataclass with `change` applied to each field; anything else as it is."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return replace(
        value, **{each.name: change(getattr(value, each.name)) for each in fields(value)}
    )
