"""`regiontalk describe`, `align` and `regions`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import Report, ending
from regiontalk.cli.options import BeamOption, DrawOption, JsonOption, PackOption, PhotosArgument, ThreadsOption
from regiontalk.errors import PhotoError

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.structures import Alignment, Description, Regions

DRAWN_SIDE = 1600
"""A large JPEG is decoded to about this many pixels for its picture: more than a screen shows."""


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
) -> None:
    """Write a caption for each photo and for each of its regions.

    Examples:

    \b
      regiontalk describe photo.jpg --draw described.png
      regiontalk describe holiday/ --json > holiday.jsonl
    """
    from regiontalk.cli.text import description_text

    def results(model: Model, looked: list[Regions]) -> Iterable[Description]:
        from regiontalk.model import distinct

        return model.describe_regions([distinct(each) for each in looked], beam)

    _for_each_photo(photos, draw, (pack, threads), results, _printer(as_json, description_text), _draw_description)


def regions(
    photos: PhotosArgument,
    as_json: JsonOption = False,
    draw: DrawOption = None,
    pack: PackOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Find the regions of photos, without words.

    Example:

    \b
      regiontalk regions photo.jpg --json
    """
    from regiontalk.cli.text import regions_text

    def to_json(found: Regions) -> dict[str, Any]:
        from regiontalk.structures import regions_to_json

        size = {"width": found.width, "height": found.height}
        return {"file": found.file, **size, "regions": regions_to_json(found)}

    printer = _printer(as_json, regions_text, to_json)
    _for_each_photo(photos, draw, (pack, threads), lambda _, looked: looked, printer, _draw_regions)


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
) -> None:
    """Tie the words of a sentence to the regions of a photo.

    Example:

    \b
      regiontalk align photo.jpg "a black dog jumps over a fence" --draw aligned.png
    """
    from regiontalk.cli.pictures import plan_pictures
    from regiontalk.cli.stream import look_at
    from regiontalk.cli.text import alignment_text

    with ending() as report:
        files = [Path(photo)] if _is_one_photo(photo, report) else []
        pictures = plan_pictures(draw, [photo], files) if files else {}
        model = _load(pack, threads)
        (read,) = model.read(sentence)
        show = _printer(as_json, alignment_text)
        for batch in look_at(model, files, report):
            for file, looked in batch:
                alignment = model.align(looked, read, beta)
                show(alignment, report)
                if file in pictures:
                    _draw(file, pictures[file], _draw_alignment, alignment, report)


def _for_each_photo(
    given: list[str],
    draw: str | None,
    load: tuple[str | None, int | None],
    results: Callable[[Model, list[Regions]], Iterable[Any]],
    show: Callable[[Any, Report], None],
    picture: Callable[[Photo, Any], Image.Image],
) -> None:
    """What `describe` and `regions` share: photos in, a result and perhaps a picture out for each, in order."""
    from regiontalk.cli.pictures import plan_pictures
    from regiontalk.cli.stream import find_inputs, look_at

    with ending() as report:
        files = find_inputs(given, report)
        inputs = len(files) + report.failures
        pictures = plan_pictures(draw, given, files)
        model = _load(*load)
        report.bar.expect(len(files), "photos")
        for batch in look_at(model, files, report):
            found = results(model, [looked for _, looked in batch])
            for (file, _), result in zip(batch, found, strict=True):
                show(result, report)
                if file in pictures:
                    _draw(file, pictures[file], picture, result, report)
        report.summary(inputs, "inputs")


def _load(pack: str | None, threads: int | None) -> Model:
    from regiontalk.model import load

    return load(pack, threads)


def _printer(
    as_json: bool, text: Callable[[Any], str], to_json: Callable[[Any], dict[str, Any]] | None = None
) -> Callable[[Any, Report], None]:
    """How results are shown: JSON lines or text."""

    def show(result: Any, report: Report) -> None:
        if as_json:
            report.json(result.to_json() if to_json is None else to_json(result))
        else:
            report.result(text(result))

    return show


def _is_one_photo(name: str, report: Report) -> bool:
    if name and not os.path.isdir(name):
        return True
    report.failure(name or "''", "expected a photo, found a folder" if name else "an empty file name; name a photo")
    return False


def _draw(file: Path, target: Path, picture: Callable[[Photo, Any], Image.Image], result: Any, report: Report) -> None:
    """Open a photo once more, now at a size worth looking at, and write its picture."""
    from regiontalk.cli.pictures import save_picture
    from regiontalk.photos import open_photo

    try:
        drawn = picture(open_photo(file, min_side=DRAWN_SIDE), result)
    except PhotoError as error:  # it was fine a moment ago, so somebody changed it
        report.failure(str(file), str(error))
        return
    save_picture(drawn, target, report)


def _draw_description(photo: Photo, description: Description) -> Image.Image:
    from regiontalk.drawing import draw_description

    return draw_description(photo, description)


def _draw_alignment(photo: Photo, alignment: Alignment) -> Image.Image:
    from regiontalk.drawing import draw_alignment

    return draw_alignment(photo, alignment)


def _draw_regions(photo: Photo, found: Regions) -> Image.Image:
    from regiontalk.drawing import draw_regions

    return draw_regions(photo, found)
