"""What the commands share that take photos one after the other: for each a result, printed, and perhaps a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from regiontalk.cli.alt_texts import NO_TEXTS, AltTexts, saving
from regiontalk.cli.console import Report, ending

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.cli.stream import PhotoChoice
    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.structures import Regions


def for_each_photo(
    given: list[str],
    choice: PhotoChoice,
    draw: str | None,
    load: tuple[str | None, int | None],
    results: Callable[[Model, list[Regions]], Iterable[Any]],
    show: Callable[[Any, Report], None],
    picture: Callable[[Photo, Any], Image.Image],
    texts: AltTexts = NO_TEXTS,
) -> None:
    """Photos in, a result and perhaps a picture out for each, in order; broken ones are named and left out.

    Args:
        given: the arguments that name photos and folders.
        choice: which photos are taken.
        draw: what `--draw` says; None for no pictures.
        load: the pack and the threads of the model.
        results: the results of photos that were looked at together, one for each.
        show: prints a result.
        picture: draws a result on its photo.
        texts: the files that results are written to as well; of descriptions only.

    Raises:
        typer.Exit: always, with the command's exit status.
    """
    from regiontalk.cli.pictures import draw_picture, plan_pictures
    from regiontalk.cli.stream import look_at, search_inputs

    with ending() as report:
        from regiontalk import model as models  # here, so that ^C while it loads ends as it does later

        searched = search_inputs(given, report, choice)
        files = [photo for found in searched for photo in found.photos]
        inputs = len(files) + report.failures
        pictures = plan_pictures(draw, given, files)
        with saving(texts, given, searched, report) as save:
            model = models.load(*load)
            report.bar.expect(len(files), "photos")
            for batch in look_at(model, files, report, choice):
                found = results(model, [looked for _, looked in batch])
                for (file, _), result in zip(batch, found, strict=True):
                    show(result, report)
                    if file in pictures:
                        draw_picture(file, pictures[file], partial(_drawn, picture, result), report, choice)
                    save(file, result)
        report.summary(inputs, "inputs")


def printed(
    as_json: bool, text: Callable[[Any], str], to_json: Callable[[Any], dict[str, Any]] | None = None
) -> Callable[[Any, Report], None]:
    """How results are shown: JSON lines (by their own `to_json` if none is given) or text."""

    def show(result: Any, report: Report) -> None:
        if as_json:
            report.json(result.to_json() if to_json is None else to_json(result))
        else:
            report.result(text(result))

    return show


def _drawn(picture: Callable[[Photo, Any], Image.Image], result: Any, photo: Photo) -> Image.Image:
    return picture(photo, result)
