"""`regiontalk index add` with the looking done by Ray, on this machine's cores or on a cluster.

pip install 'regiontalk[ray]' python examples/bulk_index_ray.py photos/ --index photos.index # on
this machine python examples/bulk_index_ray.py photos/ --index photos.index --address auto --workers
100 # on a cluster

Each worker looks at photos with a model of its own, on one core. This process alone writes the
index, in the order of the files, a commit every 256 of them: the index is, byte for byte, the one
that `regiontalk index add` makes, as long as all machines have CPUs of one kind (other instructions
round differently). Stopped at any moment, even killed, the same command goes on, and so does
`regiontalk index add`.

Every machine must see the photos, and a pack that is named, under the same paths. What a worker
cannot open, this process tries itself, and names if it cannot either. Photos that were only moved
or touched are looked at for nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import ray
import ray.data
import ray.exceptions
import safetensors.numpy
import typer

from regiontalk.cli.console import ending
from regiontalk.cli.index import GOES_ON, IndexOption, StorageOption, hooks_of, tally_text
from regiontalk.cli.options import JsonOption, MaxPixelsOption, PackOption, PhotosArgument
from regiontalk.cli.photos import find_inputs
from regiontalk.errors import DataError, PackError, PhotoError
from regiontalk.model import Model, load
from regiontalk.search.adding import Hooks, Known, add_changed, look_at_new
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.storage import NO_DATE, Entry, FileState, require_storage
from regiontalk.search.update import FileRead, Update, open_read, read_file
from regiontalk.search.writer import IndexWriter
from regiontalk.structures import Regions
from regiontalk.vision.session import available_cpus

MOST_IN_A_TASK = 64
"""Photos: about a second's work, so that handing it out costs little beside it."""

NOTHING = b""
"""Stands for the regions of a photo that a worker could not open."""


def bulk_index(
    photos: PhotosArgument,
    index: IndexOption,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Each on a core of its own; this machine's cores by default."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="A Ray cluster's, or 'auto'; this machine alone without it."
        ),
    ] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
    pack: PackOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Add new and changed photos to an index, looked at by Ray's workers."""
    with ending(GOES_ON) as report:
        require_storage(storage, "--storage")
        files = find_inputs(photos, report)
        model, hooks = load(pack, max_pixels=max_pixels), hooks_of(report)
        with IndexWriter(index, PackIdentity.of(model.pack), storage) as writer:
            update = Update(writer)
            changed = update.changed(files)
            workers = workers or available_cpus()
            _start(address, workers)
            there = os.path.abspath(pack) if pack and os.path.isdir(pack) else pack
            add_changed(update, changed, Bulk(changed, model, there, workers, hooks).look, hooks)
            writer.merge()
            total = writer.manifest.photos
        report.summary(len(files), "photos")
        counts = {"index": index, "photos": total, **update.tally.to_json()}
        report.json(counts) if as_json else report.result(tally_text(counts))


class Worker:
    """Looks at photos where Ray has put it.

    Args:
        pack: as for `load`, there.
        checksum: that it must have.
        max_pixels: see `open_photo`.
    """

    def __init__(self, pack: str | None, checksum: str, max_pixels: int | None) -> None:
        self._model: Model | None = None
        self._max_pixels = max_pixels
        self._problem = f"the pack {pack or 'that is the default'} is another one there"
        try:
            model = load(pack, threads=1)
        except PackError as error:
            self._problem = str(error)
        else:
            self._model = model if model.pack.checksum == checksum else None

    def __call__(self, task: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What was found in each file of `task["files"]`, or why this worker finds nothing.

        In the order of the names.
        """
        for name in task["files"]:
            if self._model is None:
                yield {"file": name, "regions": NOTHING, "problem": self._problem}
                continue
            try:
                read, content = read_file(os.fsdecode(name))
                entry, photo = open_read(
                    read, content, self._model.pack.settings.vision.size, self._max_pixels
                )
            except PhotoError:
                yield {"file": name, "regions": NOTHING, "problem": ""}
                continue
            (regions,) = self._model.look([photo])
            yield {"file": name, "regions": to_bytes(entry, regions), "problem": ""}


class Bulk:
    """What Ray's workers find in many photos, asked for some at a time.

    Args:
        files: all of them.
        model: of this process, for photos that a worker cannot open.
        pack: for the workers.
        workers: how many.
        hooks: are called meanwhile.
    """

    def __init__(
        self, files: Sequence[Path], model: Model, pack: str | None, workers: int, hooks: Hooks
    ) -> None:
        self._model, self._hooks = model, hooks
        worker = (pack, model.pack.checksum, model.max_pixels)
        self._rows = iter(_dataset(files, worker, workers).iter_rows()) if files else iter(())

    def look(self, files: Sequence[Path], known: Known) -> Iterator[list[tuple[Entry, Regions]]]:
        """See `regiontalk.search.adding.Look`.

        Together the calls must name files in the order in which all were given.

        Raises:
            DataError: if the workers fail, or do not have the pack.
        """
        for file in files:
            row = self._row(file)
            if row["regions"] == NOTHING:
                yield from look_at_new(self._model, [file], known, self._hooks)
                continue
            entry, regions = from_bytes(file, row["regions"])
            if not known(FileRead(entry.path, entry.sha256, entry.state)):
                yield [(entry, regions)]
            self._hooks.advance(1)

    def _row(self, file: Path) -> dict[str, Any]:
        """A file's; those before it are not needed."""
        try:
            row = next(each for each in self._rows if each["file"] == os.fsencode(file))
        except ray.exceptions.RayError as error:
            raise DataError(
                f"Ray's workers failed: {getattr(error, 'cause', None) or error}"
            ) from error
        if row["problem"]:
            raise DataError(f"a worker of Ray's cannot look at photos: {row['problem']}")
        return row


def _dataset(
    files: Sequence[Path], worker: tuple[str | None, str, int | None], workers: int
) -> ray.data.Dataset:
    """A row for each file, in order, when it is ready, from so many workers that are made alike."""
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    step = max(1, min(MOST_IN_A_TASK, len(files) // (4 * workers)))
    names = [os.fsencode(file) for file in files]
    tasks = [{"files": names[start : start + step]} for start in range(0, len(names), step)]
    pool = ray.data.ActorPoolStrategy(size=workers)
    given = ray.data.from_items(tasks, override_num_blocks=len(tasks))
    return given.flat_map(Worker, fn_constructor_args=worker, compute=pool, num_cpus=1)


def _start(address: str | None, workers: int) -> None:
    """Connects to a cluster, or starts Ray on this machine alone, which tells nobody about it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    alone = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    ray.init(address=address or "local", logging_level=logging.ERROR, **alone)
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def to_bytes(entry: Entry, regions: Regions) -> bytes:
    """What an index keeps of a photo."""
    kept = {"boxes": regions.boxes_xyxy, "scores": regions.scores, "vectors": regions.vectors}
    taken = NO_DATE if entry.taken is None else entry.taken
    numbers = np.array(
        [regions.width, regions.height, entry.state.size, entry.state.mtime_ns, taken]
    )
    sha256, hubness = np.frombuffer(entry.sha256, np.uint8), np.array([regions.hubness])
    return safetensors.numpy.save(
        {**kept, "numbers": numbers, "sha256": sha256, "hubness": hubness}
    )


def from_bytes(file: Path, found: bytes) -> tuple[Entry, Regions]:
    """What `to_bytes` was given; features are not kept."""
    kept = safetensors.numpy.load(found)
    width, height, size, mtime_ns, taken = kept["numbers"].tolist()
    state, taken = FileState(size, mtime_ns), None if taken == NO_DATE else taken
    entry = Entry(str(file), kept["sha256"].tobytes(), state, width, height, taken)
    features, hubness = np.empty((len(kept["boxes"]), 0), np.float32), float(kept["hubness"][0])
    regions = Regions(
        str(file), width, height, kept["boxes"], kept["scores"], features, kept["vectors"], hubness
    )
    return entry, regions


if __name__ == "__main__":
    typer.run(bulk_index)
