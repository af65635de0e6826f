"""`regiontalk report --evaluation`: how well a pack does, as one HTML page with numbers, hits and failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regiontalk.cli.console import Report
from regiontalk.cli.evaluating_shared import warn
from regiontalk.cli.options import refuse
from regiontalk.errors import ConfigError

if TYPE_CHECKING:
    from regiontalk.data import BoxedDataset, Dataset, Entities
    from regiontalk.evaluation.results import Reporting
    from regiontalk.model import Model
    from regiontalk.report.examples import QueryLog

EXAMPLES = 8
"""Of each kind."""
EXAMPLE_SIDE = 480
"""Pixels on the long side of an example, at most."""


@dataclass(frozen=True)
class Data:
    """What an evaluation is measured on: captioned photos, and perhaps boxes."""

    folder: str
    split: str
    boxes: str | None
    boxes_split: str | None
    boxes_photos: str | None
    boxes_every: int | None


@dataclass(frozen=True)
class How:
    """How an evaluation is done and shown; `most` is in bytes."""

    beam: int | None
    examples: int
    max_side: int
    most: int
    max_pixels: int | None
    reporting: Reporting


def evaluation_report(data: Data, how: How, load: Callable[[], Model], title: str | None, told: Report) -> bytes:
    """The page.

    Args:
        data: what is measured.
        how: it is measured and shown.
        load: gives the model.
        title: the page's; None for one that says what was measured.
        told: is told how far it is, and what fails.

    Raises:
        ConfigError: if the page would be larger than it may be.
    """
    from regiontalk.data import read_dataset
    from regiontalk.evaluation.captions.run import write_captions
    from regiontalk.evaluation.retrieval.run import retrieve
    from regiontalk.report.evaluation import Evaluated, evaluation_page
    from regiontalk.report.examples import Album
    from regiontalk.report.page import made_with

    dataset = read_dataset(data.folder, data.split)
    boxed = _boxes(data, how.max_pixels)
    each = _room(how, dataset, boxed[0] if boxed is not None else None)
    model = load()
    retrieved = retrieve(model, dataset, how.reporting, told.bar)
    warn(retrieved.result["signature"])
    written = write_captions(model, dataset, how.beam, how.reporting, told.bar)
    grounded = None if boxed is None else _ground(model, *boxed, how.reporting, told)
    album = Album(min(how.max_side, EXAMPLE_SIDE), each, told.failure, how.max_pixels)
    found = Evaluated(dataset, retrieved, written, grounded)
    heading = title or f"{model.pack.settings.name} on {dataset.name}, {dataset.split}"
    page = evaluation_page(heading, found, album, how.examples, made_with(model))
    if len(page) > how.most:
        raise ConfigError(
            f"--max-size {how.most / 1e6:g}: the report would have {len(page) / 1e6:.1f} megabytes. Take fewer "
            "--examples, or allow more"
        )
    return page


def _room(how: How, dataset: Dataset, boxed: BoxedDataset | Entities | None) -> int:
    """The characters that each picture of an evaluation may take: together half of the page.

    Raises:
        ConfigError: if a picture may need more.
    """
    from regiontalk.data import Entities
    from regiontalk.report.evaluation import pictures_shown
    from regiontalk.report.pictures import LEAST_BYTES

    boxes = boxed.boxes if isinstance(boxed, Entities) else boxed
    files = {photo.file for photo in dataset.photos} | {photo.file for photo in (boxes.photos if boxes else ())}
    pictures = min(pictures_shown(how.examples), len(files))  # each is in the page once
    each = how.most // 2 // pictures
    if each < LEAST_BYTES:
        needed = -(-2 * pictures * LEAST_BYTES // 1_000_000)
        raise ConfigError(
            f"--max-size {how.most / 1e6:g}: {pictures} photos do not fit into so many megabytes. Take fewer "
            f"--examples, or allow {needed} megabytes"
        )
    return each


def _boxes(data: Data, max_pixels: int | None) -> tuple[BoxedDataset | Entities, dict[str, Any]] | None:
    """The boxes, if some are named, and how a signature says which of their photos take part."""
    from regiontalk.cli.evaluating_grounding import selection_of
    from regiontalk.data import read_boxes

    if data.boxes is None:
        refuse(
            {
                "--boxes-split": data.boxes_split,
                "--boxes-photos": data.boxes_photos,
                "--boxes-every": data.boxes_every,
            },
            "without --boxes",
        )
        return None
    selection, chosen = selection_of(None, data.boxes_every, leave_out=False, max_pixels=max_pixels)
    return read_boxes(data.boxes, data.boxes_split or "all", data.boxes_photos, selection), chosen


def _ground(
    model: Model, boxed: BoxedDataset | Entities, chosen: dict[str, Any], reporting: Reporting, told: Report
) -> tuple[dict[str, Any], QueryLog]:
    from regiontalk.data import Entities
    from regiontalk.evaluation.grounding.run import SENTENCE, evaluate_classes, evaluate_phrases
    from regiontalk.report.examples import QueryLog

    queries = QueryLog()
    if isinstance(boxed, Entities):
        result = evaluate_phrases(model, boxed, chosen, told.bar, queries, reporting)
    else:
        result = evaluate_classes(model, boxed, SENTENCE, chosen, told.bar, queries, reporting)
    warn(result["signature"])
    return result, queries
