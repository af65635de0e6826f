"""`regiontalk evaluate objects`: which things captions name that are not there, and whether they name the main one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import ending
from regiontalk.cli.evaluating_grounding import (
    DataArgument,
    EveryOption,
    FormatOption,
    ImagesOption,
    LeaveOutOption,
    PhotosOption,
    read_boxed,
    selection_of,
)
from regiontalk.cli.evaluating_shared import (
    BootstrapOption,
    JsonOption,
    PerCaptionOption,
    SeedOption,
    SplitOption,
    named_path,
    per_caption_file,
    reporting_of,
    warn,
)
from regiontalk.cli.options import BeamOption, MaxPixelsOption, PackOption, ThreadsOption, refuse
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from regiontalk.evaluation.objects.run import ClassList

CaptionsOption = Annotated[
    str | None,
    typer.Option(
        "--captions",
        metavar="FILE",
        help="Any system's captions instead of a pack's: COCO results, JSON Lines, CSV, what describe --json prints; "
        "or a caption a line, with --images.",
    ),
]
HumanOption = Annotated[
    str | None,
    typer.Option(
        "--human", metavar="FILE", help="People's captions of the same photos, measured beside; a folder too."
    ),
]
ClassesOption = Annotated[
    str,
    typer.Option("--classes", metavar="data|voc|coco", help="The classes that count: the data's, VOC's 20, COCO's 80."),
]


def add_to(evaluate_app: typer.Typer) -> None:
    """Add this command to `regiontalk evaluate`."""
    evaluate_app.command()(objects)


def objects(
    data: DataArgument,
    captions: CaptionsOption = None,
    human: HumanOption = None,
    classes: ClassesOption = "data",
    kind: FormatOption = "auto",
    split: SplitOption = "all",
    photos: PhotosOption = None,
    images: ImagesOption = None,
    every: EveryOption = None,
    leave_out: LeaveOutOption = False,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = None,
    per_caption: PerCaptionOption = None,
    as_json: JsonOption = False,
    pack: PackOption = None,
    beam: BeamOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Captions against what is on the photo: things named that are not there (CHAIR), the main thing, and recall.

    The boxes say what is there; of their classes, captions may use any of many words. A pack captions the photos; for
    --captions the photos need not be there, and there may be several a photo.

    Examples:

    \b
      regiontalk evaluate objects voc/ --every 6 --bootstrap 1000
      regiontalk evaluate objects instances_val2014.json --captions results.json --human captions_val2014.json --json
      regiontalk evaluate objects voc/ --captions captions.json --leave-out --per-caption each.jsonl
    """
    with ending() as report:
        from regiontalk.cli.object_text import objects_text
        from regiontalk.data import Entities
        from regiontalk.evaluation.captions.files import write_each
        from regiontalk.evaluation.objects.photo_captions import (
            read_photo_captions,
            with_captions,
            write_photo_captions,
        )
        from regiontalk.evaluation.objects.run import evaluate_objects
        from regiontalk.model import load

        counted = _class_list(classes)
        reporting = reporting_of(bootstrap, seed)
        if captions is not None:
            refuse({"--pack": pack, "--beam": beam, "--threads": threads}, "with --captions")
        given = {"--captions": captions, "--human": human}
        paths = {flag: named_path(flag, name) for flag, name in given.items() if name is not None}
        target = (
            None if per_caption is None else per_caption_file(per_caption, _read_by(data, images, [*paths.values()]))
        )
        selection, chosen = selection_of(images, every, leave_out, max_pixels)
        boxed = read_boxed(data, split, photos, replace(selection, need_files=captions is None), kind)
        if isinstance(boxed, Entities) or boxed.kind != "labels":
            raise DataError(f"{data}: its boxes have no classes; give Pascal VOC's, COCO's instances or boxes.jsonl")
        listed = None if images is None else _lines(images)
        read = {flag: read_photo_captions(path, boxed, Path(data), listed) for flag, path in paths.items()}
        boxed = with_captions(boxed, [*read.values()], selection)
        if captions is None:
            written = write_photo_captions(load(pack, threads, max_pixels), boxed, beam, chosen, report.bar)
        else:
            written = read["--captions"]
        result = evaluate_objects(boxed, written, read.get("--human"), counted, chosen, reporting)
        warn(result.signature)
        report.json(result.to_json()) if as_json else report.result(objects_text(result))
        if target is not None:  # last: no numbers are lost if it fails
            write_each(target, result.each)


def _class_list(name: str) -> ClassList:
    from regiontalk.evaluation.objects.run import CLASS_LISTS

    for known in CLASS_LISTS:
        if name == known:
            return known
    raise ConfigError(f"--classes {name}: expected {', '.join(CLASS_LISTS)}")


def _read_by(data: str, images: str | None, captions: list[Path]) -> list[Path]:
    """The files that are read and could be taken for the one that is written."""
    from regiontalk.data.folder import files_of_captions

    folder = Path(data)
    of_boxes = [folder / "boxes.jsonl"] if folder.is_dir() else [folder]
    of_captions = [file for path in captions for file in files_of_captions(path)]
    return [*of_boxes, *of_captions, *([] if images is None else [Path(images)])]


def _lines(images: str) -> list[str]:
    """The photos that plain text is about, in the order of its lines."""
    from regiontalk.data.folder import read_names

    return read_names(Path(images))
