"""`regiontalk evaluate`: measure a pack on captioned photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import Report, ending
from regiontalk.cli.options import BeamOption, PackOption, ThreadsOption

if TYPE_CHECKING:
    from regiontalk.data import Dataset
    from regiontalk.model import Model

FolderArgument = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="Captioned photos, laid out as Flickr8k's; see docs/data_formats.md."),
]
SplitOption = Annotated[str, typer.Option("--split", help="The part of the data to measure on.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object: the numbers and how they came about.")]

evaluate_app = typer.Typer(
    no_args_is_help=True,
    help="""Measure a pack on captioned photos.

Example:

\b
  regiontalk evaluate retrieval flickr8k/ --split test --json
""",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(evaluate_app, name="evaluate")


@evaluate_app.command()
def retrieval(
    folder: FolderArgument,
    split: SplitOption = "test",
    as_json: JsonOption = False,
    pack: PackOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Photos find their sentences and sentences their photo.

    Prints recall at 1, 5 and 10 in percent and the median rank of the closest ground truth.

    Example:

    \b
      regiontalk evaluate retrieval flickr8k/ --split test --json
    """
    with ending() as report:
        from regiontalk.cli.text import retrieval_text
        from regiontalk.evaluation.runs import evaluate_retrieval

        model, dataset = _prepare(folder, split, pack, threads, report)
        result = evaluate_retrieval(model, dataset, report.bar.advance)
        report.json(result) if as_json else report.result(retrieval_text(result))


@evaluate_app.command()
def describe(
    folder: FolderArgument,
    split: SplitOption = "test",
    as_json: JsonOption = False,
    pack: PackOption = None,
    beam: BeamOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Captions against what people wrote: BLEU-1 to BLEU-4.

    Example:

    \b
      regiontalk evaluate describe flickr8k/ --split test --json
    """
    with ending() as report:
        from regiontalk.cli.text import bleu_text
        from regiontalk.evaluation.runs import evaluate_captions

        model, dataset = _prepare(folder, split, pack, threads, report)
        result = evaluate_captions(model, dataset, beam, report.bar.advance)
        report.json(result) if as_json else report.result(bleu_text(result))


def _prepare(folder: str, split: str, pack: str | None, threads: int | None, report: Report) -> tuple[Model, Dataset]:
    from regiontalk.data import read_dataset
    from regiontalk.errors import DataError
    from regiontalk.model import load

    if not folder:
        raise DataError("an empty folder name; name a folder of captioned photos")
    dataset = read_dataset(folder, split)
    model = load(pack, threads)
    report.bar.expect(len(dataset), "photos")
    return model, dataset
