"""`regiontalk describe`, `align` and `regions`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.alt_texts import AltTextOption, AltTexts, CsvOption, OverwriteOption, SidecarOption
from regiontalk.cli.console import Report, ending
from regiontalk.cli.each_photo import for_each_photo, printed
from regiontalk.cli.options import (
    BeamOption,
    DrawOption,
    ExcludeOption,
    JsonOption,
    MaxPixelsOption,
    PackOption,
    PhotosArgument,
    ThreadsOption,
)
from regiontalk.cli.stream import PhotoChoice, look_at

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.structures import Description, Regions


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(describe)
    app.command()(align)
    app.command()(regions)


def describe(
    photos: PhotosArgument,
    as_json: JsonOption = False,
    draw: DrawOption = None,
    pack: PackOption = None,
    beam: BeamOption = None,
    threads: ThreadsOption = None,
    exclude: ExcludeOption = None,
    max_pixels: MaxPixelsOption = None,
    csv: CsvOption = None,
    alt_text: AltTextOption = None,
    sidecar: SidecarOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a caption for each photo and for each of its regions.

    Examples:

    \b
      regiontalk describe photo.jpg --draw described.png
      regiontalk describe holiday/ --json > holiday.jsonl
      regiontalk describe holiday/ --csv alt.csv --sidecar
    """
    from regiontalk.cli.text import description_text

    def results(model: Model, looked: list[Regions]) -> Iterable[Description]:
        from regiontalk.model import distinct

        return model.describe_regions([distinct(each) for each in looked], beam)

    show, choice = printed(as_json, description_text), PhotoChoice(exclude, max_pixels)
    texts = AltTexts(csv, alt_text, sidecar, overwrite)
    for_each_photo(photos, choice, draw, (pack, threads), results, show, _draw_description, texts)


def regions(
    photos: PhotosArgument,
    as_json: JsonOption = False,
    draw: DrawOption = None,
    pack: PackOption = None,
    threads: ThreadsOption = None,
    exclude: ExcludeOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Find the regions of photos, without words.

    Example:

    \b
      regiontalk regions photo.jpg --json
    """
    from regiontalk.cli.text import regions_text

    show, choice = printed(as_json, regions_text), PhotoChoice(exclude, max_pixels)
    for_each_photo(photos, choice, draw, (pack, threads), lambda _, looked: looked, show, _draw_regions)


def align(
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A photo.")],
    sentence: Annotated[str, typer.Argument(metavar="SENTENCE", help="What people say about it, in quotes.")],
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta",
            metavar="BETA",
            help="How strongly words keep to their neighbours' region, from 0; the pack's by default.",
        ),
    ] = None,
    as_json: JsonOption = False,
    draw: DrawOption = None,
    pack: PackOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Tie the words of a sentence to the regions of a photo.

    Example:

    \b
      regiontalk align photo.jpg "a black dog jumps over a fence" --draw aligned.png
    """
    from regiontalk.cli.pictures import draw_picture, plan_pictures
    from regiontalk.cli.text import alignment_text

    with ending() as report:
        from regiontalk.drawing import draw_alignment
        from regiontalk.model import load

        files = [Path(photo)] if _is_one_photo(photo, report) else []
        pictures = plan_pictures(draw, [photo], files) if files else {}
        model = load(pack, threads)
        (read,) = model.read(sentence)
        show, choice = printed(as_json, alignment_text), PhotoChoice(max_pixels=max_pixels)
        for batch in look_at(model, files, report, choice):
            for file, looked in batch:
                alignment = model.align(looked, read, beta)
                show(alignment, report)
                if file in pictures:
                    picture = partial(draw_alignment, alignment=alignment)
                    draw_picture(file, pictures[file], picture, report, choice)


def _is_one_photo(name: str, report: Report) -> bool:
    if name and not os.path.isdir(name):
        return True
    report.failure(name or "''", "expected a photo, found a folder" if name else "an empty file name; name a photo")
    return False


def _draw_description(photo: Photo, description: Description) -> Image.Image:
    from regiontalk.drawing import draw_description

    return draw_description(photo, description)


def _draw_regions(photo: Photo, found: Regions) -> Image.Image:
    from regiontalk.drawing import draw_regions

    return draw_regions(photo, found)
