"""`regiontalk evaluate captions`: measure any system's captions against what people wrote, without Java."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import ending, printable, warn_user
from regiontalk.cli.evaluating_shared import (
    BootstrapOption,
    JsonOption,
    PerCaptionOption,
    SeedOption,
    named_path,
    per_caption_file,
    reporting_of,
)
from regiontalk.cli.options import refuse

if TYPE_CHECKING:
    from regiontalk.evaluation.captions.files import CaptionFiles

PredictionsArgument = Annotated[
    str,
    typer.Argument(
        metavar="PREDICTIONS",
        help="COCO results, JSON Lines, CSV, what describe writes (--json, --csv, a folder of texts); or a caption a "
        "line, with --images.",
    ),
]
ReferencesArgument = Annotated[
    str,
    typer.Argument(
        metavar="REFERENCES",
        help="A file of captions (JSON, JSON Lines, CSV; docs/data_formats.md) or a folder of captioned photos.",
    ),
]
ImagesOption = Annotated[
    str | None,
    typer.Option("--images", metavar="LIST", help="Names of the photos to compare, one a line, in this order."),
]
SplitOption = Annotated[str, typer.Option("--split", help="Of references that have splits; all for every photo.")]
TokeniseOption = Annotated[
    str, typer.Option("--tokenise", metavar="ptb|plain", help="ptb as coco-caption; plain: letters and digits only.")
]
FrequenciesOption = Annotated[
    str | None,
    typer.Option(
        "--frequencies", metavar="REFERENCES", help="Captions for CIDEr's document frequencies, if not the references."
    ),
]
FrequenciesSplitOption = Annotated[
    str | None, typer.Option("--frequencies-split", help="Of these, if they have splits; train.")
]
MetricsOption = Annotated[
    str | None,
    typer.Option("--metrics", metavar="NAMES", help="Also meteor, spice or meteor,spice; both need Java."),
]


def add_to(evaluate_app: typer.Typer) -> None:
    """Add this command to `regiontalk evaluate`."""
    evaluate_app.command()(captions)


def captions(
    predictions: PredictionsArgument,
    references: ReferencesArgument,
    images: ImagesOption = None,
    split: SplitOption = "test",
    tokenise: TokeniseOption = "ptb",
    frequencies: FrequenciesOption = None,
    frequencies_split: FrequenciesSplitOption = None,
    metrics: MetricsOption = None,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = None,
    per_caption: PerCaptionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Captions of any system against what people wrote: BLEU, ROUGE-L and CIDEr, equal to coco-caption's.

    Every photo needs exactly one prediction and at least one reference; what does not fit is named. The photos
    themselves need not be there. All numbers are in percent.

    Examples:

    \b
      regiontalk evaluate captions results.json captions_val2014.json --json
      regiontalk describe photos/ --json > mine.jsonl && regiontalk evaluate captions mine.jsonl photos/
      regiontalk evaluate captions mine.txt flickr8k/captions.csv --images test.txt --bootstrap 1000
      regiontalk evaluate captions one.jsonl references.json --frequencies flickr8k/ --frequencies-split train
    """
    with ending() as report:
        from regiontalk.cli.text import captions_text
        from regiontalk.evaluation.captions.files import CaptionFiles, evaluate_caption_files, write_each

        if frequencies is None:
            refuse({"--frequencies-split": frequencies_split}, "without --frequencies")
        reporting = reporting_of(bootstrap, seed)
        files = CaptionFiles(
            named_path("PREDICTIONS", predictions),
            named_path("REFERENCES", references),
            None if images is None else named_path("--images", images),
            split,
            tokenise,
            None if frequencies is None else named_path("--frequencies", frequencies),
            "train" if frequencies_split is None else frequencies_split,
            tuple(dict.fromkeys(name.strip() for name in metrics.split(","))) if metrics is not None else (),
        )
        target = None if per_caption is None else per_caption_file(per_caption, _read_by(files))
        found = evaluate_caption_files(files, reporting)
        for note in found.notes:
            warn_user(printable(f"note: {note}"))
        report.json(found.together) if as_json else report.result(captions_text(found.together))
        if target is not None:  # last: no numbers are lost if it fails
            write_each(target, found.each)


def _read_by(files: CaptionFiles) -> list[Path]:
    """All files that are read, a folder's lists of splits too."""
    from regiontalk.data.folder import files_of_captions

    read = [] if files.images is None else [files.images]
    for captions in filter(None, (files.predictions, files.references, files.frequencies)):
        read += [*files_of_captions(captions), *captions.glob("*.txt")]
    return read
