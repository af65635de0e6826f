"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from regiontalk.errors import ConfigError

PhotosArgument = Annotated[
    list[str],
    typer.Argument(metavar="PHOTO_OR_FOLDER", help="Photos, and folders that are searched for photos."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATTERN",
        help="Pass over files and folders of this name in folders, such as 'thumbs' or '*.gif'; may be repeated.",
    ),
]
MaxPixelsOption = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        help="Open photos of up to so many pixels, JPEGs of up to five times as many; 100 million (serve: 50 million).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one line for each result.")]
PackOption = Annotated[
    str | None,
    typer.Option("--pack", metavar="PATH_OR_NAME", help="A pack's folder or an included pack's name."),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, metavar="N", help="CPU threads of the vision graph; all by default."),
]
BeamOption = Annotated[
    int | None,
    typer.Option("--beam", min=1, max=100, metavar="N", help="Captions kept while searching; the pack's by default."),
]
DrawOption = Annotated[
    str | None,
    typer.Option(
        "--draw",
        metavar="OUT.png",
        help="Also write a picture; for many photos or a folder of them, a folder that gets one for each.",
    ),
]


def refuse(options: Mapping[str, object], why: str) -> None:
    """Say which options were given that mean nothing as the command stands.

    Args:
        options: flag → its value; None if it was not given.
        why: ends "means nothing ...".

    Raises:
        ConfigError: if one was given.
    """
    if given := [flag for flag, value in options.items() if value is not None]:
        raise ConfigError(f"{', '.join(given)}: means nothing {why}; leave it out")
