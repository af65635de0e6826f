"""`regiontalk evaluate captions`, `describe` and `objects`: caption metrics and CHAIR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import ending, printable, warn_user
from regiontalk.cli.evaluate import (
    JsonOption,
    PerCaptionOption,
    Sampling,
    named_path,
    per_caption_file,
    read_captioned,
    show,
)
from regiontalk.cli.evaluate_boxes import BoxedData
from regiontalk.cli.options import BeamOption, ModelOptions, refuse
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from regiontalk.data import BoxedDataset
    from regiontalk.data.boxes import Selection
    from regiontalk.evaluation.captions.files import CaptionFiles
    from regiontalk.evaluation.objects.run import ClassList


@dataclass(frozen=True)
class CaptionFileOptions:
    """Options of a comparison of captions in files."""

    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="LIST",
            help="Names of the photos to compare, one a line, in this order.",
        ),
    ] = None
    split: Annotated[
        str, typer.Option("--split", help="Of references that have splits; all for every photo.")
    ] = "test"
    tokenise: Annotated[
        str,
        typer.Option(
            "--tokenise",
            metavar="ptb|plain",
            help="ptb as coco-caption; plain: letters and digits only.",
        ),
    ] = "ptb"
    frequencies: Annotated[
        str | None,
        typer.Option(
            "--frequencies",
            metavar="REFERENCES",
            help="Captions for CIDEr's document frequencies, if not the references.",
        ),
    ] = None
    frequencies_split: Annotated[
        str | None,
        typer.Option("--frequencies-split", help="Of these, if they have splits; train."),
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics", metavar="NAMES", help="Also meteor, spice or meteor,spice; both need Java."
        ),
    ] = None

    def files(self, predictions: str, references: str) -> CaptionFiles:
        """The files and settings of the comparison.

        Raises:
            DataError: if a name is empty.
            ConfigError: if there is a split of --frequencies and no --frequencies.
        """
        from regiontalk.evaluation.captions.files import CaptionFiles

        if self.frequencies is None:
            refuse({"--frequencies-split": self.frequencies_split}, "without --frequencies")
        return CaptionFiles(
            named_path("PREDICTIONS", predictions),
            named_path("REFERENCES", references),
            None if self.images is None else named_path("--images", self.images),
            self.split,
            self.tokenise,
            None if self.frequencies is None else named_path("--frequencies", self.frequencies),
            "train" if self.frequencies_split is None else self.frequencies_split,
            ()
            if self.metrics is None
            else tuple(dict.fromkeys(name.strip() for name in self.metrics.split(","))),
        )


def captions(
    predictions: Annotated[
        str,
        typer.Argument(
            metavar="PREDICTIONS",
            help="COCO results, JSON Lines, CSV, what describe writes (--json, --csv, a folder of "
            "texts); or a caption a line, with --images.",
        ),
    ],
    references: Annotated[
        str,
        typer.Argument(
            metavar="REFERENCES",
            help="A file of captions (JSON, JSON Lines, CSV; docs/data_formats.md) or a folder of "
            "captioned photos.",
        ),
    ],
    *,
    compared: CaptionFileOptions,
    sampling: Sampling,
    per_caption: PerCaptionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Captions of any system against what people wrote: BLEU, ROUGE-L and CIDEr, equal to
    coco-caption's.

    Every photo needs exactly one prediction and at least one reference; what does not fit is named.
    The photos themselves need not be there. All numbers are in percent.

    Examples:

    \b
      regiontalk evaluate captions results.json captions_val2014.json --json
      regiontalk describe photos/ --json > mine.jsonl && regiontalk evaluate captions \
mine.jsonl photos/
      regiontalk evaluate captions mine.txt flickr8k/captions.csv --images test.txt --bootstrap 1000
      regiontalk evaluate captions one.jsonl references.json --frequencies flickr8k/ \
--frequencies-split train
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import captions_text
        from regiontalk.evaluation.captions.files import evaluate_caption_files, write_each

        reporting, files = sampling.reporting(), compared.files(predictions, references)
        target = (
            None if per_caption is None else per_caption_file(per_caption, _read_by_captions(files))
        )
        found = evaluate_caption_files(files, reporting)
        for note in found.notes:
            warn_user(printable(f"note: {note}"))
        result = found.result
        report.json(result.to_json()) if as_json else report.result(captions_text(result))
        if target is not None:  # last: no numbers are lost if it fails
            write_each(target, found.each)


def describe(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="Captioned photos, laid out as Flickr8k's; see docs/data_formats.md.",
        ),
    ],
    *,
    split: Annotated[
        str, typer.Option("--split", help="The part of the data to measure on.")
    ] = "test",
    as_json: JsonOption = False,
    beam: BeamOption = None,
    sampling: Sampling,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="nearest",
            help="Instead take the caption of the most similar training photo.",
        ),
    ] = None,
    train_split: Annotated[
        str | None,
        typer.Option("--train-split", help="Where --baseline takes captions from; train."),
    ] = None,
    options: ModelOptions,
) -> None:
    """Captions against what people wrote: BLEU, ROUGE-L, CIDEr.

    Examples:

    \b
      regiontalk evaluate describe flickr8k/ --split test --json
      regiontalk evaluate describe flickr8k/ --split test --baseline nearest --train-split train
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import captions_text
        from regiontalk.evaluation.captions.run import evaluate_captions, evaluate_nearest

        if baseline not in (None, "nearest"):
            raise ConfigError(f"--baseline {baseline}: there is only one, nearest")
        if baseline and beam is not None:
            raise ConfigError(
                "--beam and --baseline: a baseline searches for no captions; leave one out"
            )
        if not baseline:
            refuse({"--train-split": train_split}, "without --baseline")
        reporting = sampling.reporting()
        dataset = read_captioned(folder, split)
        model = options.load()
        if baseline:
            training = read_captioned(folder, "train" if train_split is None else train_split)
            result = evaluate_nearest(model, dataset, training, reporting, report.bar)
        else:
            result = evaluate_captions(model, dataset, beam, reporting, report.bar)
        show(result, captions_text, as_json, report)


@dataclass(frozen=True)
class NamedThings:
    """Options: the captions to measure, people's captions, and the classes that count."""

    captions: Annotated[
        str | None,
        typer.Option(
            "--captions",
            metavar="FILE",
            help="Any system's captions instead of a pack's: COCO results, JSON Lines, CSV, what "
            "describe --json prints; or a caption a line, with --images.",
        ),
    ] = None
    human: Annotated[
        str | None,
        typer.Option(
            "--human",
            metavar="FILE",
            help="People's captions of the same photos, measured beside; a folder too.",
        ),
    ] = None
    classes: Annotated[
        str,
        typer.Option(
            "--classes",
            metavar="data|voc|coco",
            help="The classes that count: the data's, VOC's 20, COCO's 80.",
        ),
    ] = "data"

    def paths(self) -> dict[str, Path]:
        """The files of captions by flag.

        Raises:
            DataError: if a name is empty.
        """
        given = {"--captions": self.captions, "--human": self.human}
        return {flag: named_path(flag, name) for flag, name in given.items() if name is not None}


def objects(
    *,
    data: BoxedData,
    named: NamedThings,
    sampling: Sampling,
    per_caption: PerCaptionOption = None,
    as_json: JsonOption = False,
    beam: BeamOption = None,
    options: ModelOptions,
) -> None:
    """Captions against what is on the photo: things named that are not there (CHAIR), the main
    thing, and recall.

    The boxes say what is there; of their classes, captions may use any of many words. A pack
    captions the photos; for --captions the photos need not be there, and there may be several a
    photo.

    Examples:

    \b
      regiontalk evaluate objects voc/ --every 6 --bootstrap 1000
      regiontalk evaluate objects instances_val2014.json --captions results.json \
--human captions_val2014.json --json
      regiontalk evaluate objects voc/ --captions captions.json --leave-out --per-caption each.jsonl
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import objects_text
        from regiontalk.data.folder import read_names
        from regiontalk.evaluation.captions.files import write_each
        from regiontalk.evaluation.objects import photo_captions
        from regiontalk.evaluation.objects.run import evaluate_objects

        counted = _class_list(named.classes)
        reporting = sampling.reporting()
        if named.captions is not None:
            of_a_pack = {"--pack": options.pack, "--beam": beam, "--threads": options.threads}
            refuse(of_a_pack, "with --captions")
        paths, target = named.paths(), None
        if per_caption is not None:
            target = per_caption_file(per_caption, _read_by_objects(data, [*paths.values()]))
        selection, chosen = data.selection(options.max_pixels)
        boxed = _classed(data, replace(selection, need_files=named.captions is None))
        listed = None if data.images is None else read_names(Path(data.images))
        read = {
            flag: photo_captions.read_photo_captions(path, boxed, Path(data.path), listed)
            for flag, path in paths.items()
        }
        boxed = photo_captions.with_captions(boxed, [*read.values()], selection)
        if named.captions is None:
            model, write = options.load(), photo_captions.write_photo_captions
            written = write(model, boxed, beam, chosen, report.bar)
        else:
            written = read["--captions"]
        result = evaluate_objects(boxed, written, read.get("--human"), counted, chosen, reporting)
        show(result, objects_text, as_json, report)
        if target is not None:  # last: no numbers are lost if it fails
            write_each(target, result.each)


def _class_list(name: str) -> ClassList:
    from regiontalk.evaluation.objects.run import CLASS_LISTS

    for known in CLASS_LISTS:
        if name == known:
            return known
    raise ConfigError(f"--classes {name}: expected {', '.join(CLASS_LISTS)}")


def _read_by_captions(files: CaptionFiles) -> list[Path]:
    """All input files, with a folder's lists of splits."""
    from regiontalk.data.folder import files_of_captions

    read = [] if files.images is None else [files.images]
    for captions in filter(None, (files.predictions, files.references, files.frequencies)):
        read += [*files_of_captions(captions), *captions.glob("*.txt")]
    return read


def _read_by_objects(data: BoxedData, captions: list[Path]) -> list[Path]:
    """The input files that the output might replace."""
    from regiontalk.data.folder import files_of_captions

    folder = Path(data.path)
    of_boxes = [folder / "boxes.jsonl"] if folder.is_dir() else [folder]
    of_captions = [file for path in captions for file in files_of_captions(path)]
    return [*of_boxes, *of_captions, *([] if data.images is None else [Path(data.images)])]


def _classed(data: BoxedData, selection: Selection) -> BoxedDataset:
    """Photos whose boxes have names of classes.

    Raises:
        DataError: if they have none.
    """
    from regiontalk.data import Entities

    boxed = data.read_selected(selection)
    if isinstance(boxed, Entities) or boxed.kind != "labels":
        raise DataError(
            f"{data.path}: its boxes have no classes; give Pascal VOC's, "
            "COCO's instances or boxes.jsonl"
        )
    return boxed
