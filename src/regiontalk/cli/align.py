"""`regiontalk align`: alignment of a sentence's words with a photo's regions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from regiontalk.cli.console import Report, ending, warn_user
from regiontalk.cli.options import DrawOption, JsonOption, ModelOptions
from regiontalk.cli.outputs import draw_picture, plan_pictures
from regiontalk.cli.photos import PhotoChoice, look_at


def align(
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A photo.")],
    sentence: Annotated[
        str, typer.Argument(metavar="SENTENCE", help="What people say about it, in quotes.")
    ],
    *,
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta",
            metavar="BETA",
            help="How strongly words keep to their neighbours' region, from 0; "
            "the pack's by default.",
        ),
    ] = None,
    as_json: JsonOption = False,
    draw: DrawOption = None,
    options: ModelOptions,
) -> None:
    """Tie the words of a sentence to the regions of a photo.

    Example:

    \b
      regiontalk align photo.jpg "a black dog jumps over a fence" --draw aligned.png
    """
    from regiontalk.cli.text import alignment_text, unknown_words_text

    with ending() as report:
        from regiontalk.drawing import draw_alignment

        files = [Path(photo)] if _is_one_photo(photo, report) else []
        pictures = plan_pictures(draw, [photo], files) if files else {}
        model, choice = options.load(), PhotoChoice(max_pixels=options.max_pixels)
        (read,) = model.read(sentence)
        if not as_json and (unknown := unknown_words_text(read)):
            warn_user(unknown)
        for batch in look_at(model, files, report, choice, extra=True):
            for file, looked in batch:
                alignment = model.align(looked, read, beta)
                report.json(alignment.to_json()) if as_json else report.result(
                    alignment_text(alignment)
                )
                if file in pictures:
                    draw_picture(file, pictures[file], draw_alignment, alignment, choice, report)


def _is_one_photo(name: str, report: Report) -> bool:
    if name and not os.path.isdir(name):
        return True
    report.failure(
        name or "''",
        "expected a photo, found a folder" if name else "an empty file name; name a photo",
    )
    return False
