"""`regiontalk report --evaluation`: a pack's metrics, hits and failures as one HTML page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import Report
from regiontalk.cli.evaluate import Sampling, warn
from regiontalk.cli.evaluate_boxes import BoxedData
from regiontalk.cli.options import flags, refuse
from regiontalk.errors import ConfigError

if TYPE_CHECKING:
    from regiontalk.cli.report import PageOptions
    from regiontalk.data import BoxedDataset, Dataset, Entities
    from regiontalk.evaluation.grounding.run import GroundingResult
    from regiontalk.evaluation.results import Reporting
    from regiontalk.model import Model
    from regiontalk.report.examples import QueryLog

EXAMPLES = 8
"""Default number of examples of each kind."""
EXAMPLE_SIDE = 480
"""Pixels on the long side of an example, at most."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Options of an evaluation report."""

    evaluation: Annotated[
        bool,
        typer.Option(
            "--evaluation",
            help="Measure the pack on captioned photos; show numbers, hits and failures.",
        ),
    ] = False
    examples: Annotated[
        int | None,
        typer.Option(
            "--examples", min=1, max=100, metavar="N", help="With --evaluation: of each kind; 8."
        ),
    ] = None
    boxes: Annotated[
        str | None,
        typer.Option(
            "--boxes", metavar="DATA", help="With --evaluation: also ground words in these boxes."
        ),
    ] = None
    boxes_split: Annotated[
        str | None, typer.Option("--boxes-split", help="The part of the boxes; all.")
    ] = None
    boxes_photos: Annotated[
        str | None,
        typer.Option("--boxes-photos", metavar="FOLDER", help="Where the photos of the boxes lie."),
    ] = None
    boxes_every: Annotated[
        int | None,
        typer.Option(
            "--boxes-every",
            min=1,
            max=1_000_000,
            metavar="N",
            help="Of these by name, the first, every N-th on.",
        ),
    ] = None
    sampling: Sampling


def evaluation_report(
    data: tuple[str, str],
    asked: EvaluationOptions,
    page: PageOptions,
    how: tuple[int | None, int | None],
    load: Callable[[], Model],
    console: Report,
) -> bytes:
    """The page of an evaluation.

    Args:
        data: captioned photos: their folder or file, and the split.
        page: the default title is the pack, the dataset and the split.
        how: beam, and pixels of a photo at most.
        console: gets progress and failures.

    Raises:
        ConfigError: if the page would exceed `--max-size`.
    """
    from regiontalk.data import read_dataset
    from regiontalk.evaluation.captions.run import write_captions
    from regiontalk.evaluation.retrieval.run import retrieve
    from regiontalk.report.evaluation import Evaluated, evaluation_page
    from regiontalk.report.examples import Album
    from regiontalk.report.page import made_with

    reporting, examples, (beam, max_pixels) = (
        asked.sampling.reporting(),
        asked.examples or EXAMPLES,
        how,
    )
    dataset = read_dataset(*data)
    boxed = _boxes(asked, max_pixels)
    each = _room(page, examples, dataset, None if boxed is None else boxed[0])
    model = load()
    retrieved = retrieve(model, dataset, reporting, console.bar)
    warn(retrieved.result.signature)
    written = write_captions(model, dataset, beam, reporting, console.bar)
    grounded = None if boxed is None else _ground(model, *boxed, reporting, console)
    album = Album(min(page.max_side, EXAMPLE_SIDE), each, console.failure, max_pixels)
    found = Evaluated(dataset, retrieved, written, grounded)
    heading = page.title or f"{model.pack.settings.name} on {dataset.name}, {dataset.split}"
    made = evaluation_page(heading, found, album, examples, made_with(model))
    if len(made) > page.most_bytes:
        raise ConfigError(
            f"--max-size {page.max_size:g}: the report would have {len(made) / 1e6:.1f} megabytes. "
            "Take fewer --examples, or allow more"
        )
    return made


def _room(
    page: PageOptions, examples: int, dataset: Dataset, boxed: BoxedDataset | Entities | None
) -> int:
    """Size limit of each picture of an evaluation, in characters: together half of the page.

    Raises:
        ConfigError: if a picture may need more.
    """
    from regiontalk.data import Entities
    from regiontalk.report.evaluation import pictures_shown
    from regiontalk.report.pictures import LEAST_BYTES

    boxes = boxed.boxes if isinstance(boxed, Entities) else boxed
    files = {photo.file for photo in dataset.photos} | {
        photo.file for photo in (boxes.photos if boxes else ())
    }
    pictures = min(pictures_shown(examples), len(files))  # each is in the page once
    each = page.most_bytes // 2 // pictures
    if each < LEAST_BYTES:
        needed = -(-2 * pictures * LEAST_BYTES // 1_000_000)
        raise ConfigError(
            f"--max-size {page.max_size:g}: {pictures} photos do not fit into so many megabytes. "
            f"Take fewer --examples, or allow {needed} megabytes"
        )
    return each


def _boxes(
    asked: EvaluationOptions, max_pixels: int | None
) -> tuple[BoxedDataset | Entities, dict[str, Any]] | None:
    """The photos of `--boxes`, if given, and their selection's entries of a signature."""
    if asked.boxes is None:
        refuse(
            {flag: value for flag, value in flags(asked).items() if flag.startswith("--boxes-")},
            "without --boxes",
        )
        return None
    split = "all" if asked.boxes_split is None else asked.boxes_split
    return BoxedData(
        asked.boxes, split=split, photos=asked.boxes_photos, every=asked.boxes_every
    ).read(max_pixels)


def _ground(
    model: Model,
    boxed: BoxedDataset | Entities,
    chosen: dict[str, Any],
    reporting: Reporting,
    console: Report,
) -> tuple[GroundingResult, QueryLog]:
    from regiontalk.data import Entities
    from regiontalk.evaluation.grounding.class_names import SENTENCE
    from regiontalk.evaluation.grounding.run import evaluate_classes, evaluate_phrases
    from regiontalk.report.examples import QueryLog

    queries = QueryLog()
    if isinstance(boxed, Entities):
        result = evaluate_phrases(model, boxed, chosen, console.bar, queries, reporting)
    else:
        result = evaluate_classes(model, boxed, SENTENCE, chosen, console.bar, queries, reporting)
    warn(result.signature)
    return result, queries
