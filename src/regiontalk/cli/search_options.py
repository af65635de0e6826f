"""Options of `regiontalk search`: query, index and filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import printable
from regiontalk.cli.index import DEFAULT_COLLECTION
from regiontalk.errors import ConfigError

if TYPE_CHECKING:
    from datetime import date

    from regiontalk.search.filters import Where


@dataclass(frozen=True)
class Query:
    """The query: exactly one of the first three."""

    sentence: Annotated[
        str | None,
        typer.Argument(
            metavar="[SENTENCE]", help="What the photos should show, in quotes.", show_default=False
        ),
    ] = None
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="PHRASE", help="Rank boxes, not photos, by a phrase."),
    ] = None
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="PHOTO", help="Search by a photo instead of a sentence."),
    ] = None
    sentences: Annotated[
        str | None,
        typer.Option(
            "--sentences",
            metavar="FILE",
            help="Rank the lines of this file by --like; needs no index.",
        ),
    ] = None


@dataclass(frozen=True)
class Place:
    """The index or server to search, and the number of candidates."""

    index: Annotated[
        str | None, typer.Option("--index", metavar="DIR", help="The index's folder.")
    ] = None
    qdrant: Annotated[
        str | None,
        typer.Option(
            "--qdrant",
            metavar="URL",
            help="Search there instead of in --index; see regiontalk index push.",
        ),
    ] = None
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            metavar="NAME",
            help=f"With --qdrant: its collection; {DEFAULT_COLLECTION}.",
        ),
    ] = None
    candidates: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            min=1,
            metavar="N",
            help="Faster on large indexes: score only N candidates exactly. May miss some; "
            "see index verify.",
        ),
    ] = None


@dataclass(frozen=True)
class Conditions:
    """Filters on path, date and size of photos."""

    path: Annotated[
        str | None,
        typer.Option(
            "--path", metavar="PATTERN", help="Only photos whose whole path matches, as '*/2024/*'."
        ),
    ] = None
    taken_from: Annotated[
        str | None,
        typer.Option(
            "--taken-from", metavar="YYYY-MM-DD", help="Only photos taken on this day or later."
        ),
    ] = None
    taken_to: Annotated[
        str | None,
        typer.Option(
            "--taken-to", metavar="YYYY-MM-DD", help="Only photos taken on this day or earlier."
        ),
    ] = None
    min_size: Annotated[
        str | None,
        typer.Option("--min-size", metavar="WxH", help="Only photos of at least so many pixels."),
    ] = None
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="WxH", help="Only photos of at most so many pixels."),
    ] = None


def where_of(conditions: Conditions) -> Where:
    from regiontalk.search.filters import Where

    return Where(
        conditions.path,
        _day("--taken-from", conditions.taken_from),
        _day("--taken-to", conditions.taken_to),
        _size("--min-size", conditions.min_size),
        _size("--max-size", conditions.max_size),
    )


def _day(flag: str, day: str | None) -> date | None:
    from datetime import datetime

    if day is None:
        return None
    try:
        return datetime.strptime(day, "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"{flag} {printable(day)!r}: expected a day like 2024-06-30") from None


def _size(flag: str, size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    width, by, height = size.lower().partition("x")
    if not (by and width.isascii() and height.isascii() and width.isdigit() and height.isdigit()):
        raise ConfigError(
            f"{flag} {printable(size)!r}: expected width and height in pixels, like 800x600"
        )
    if max(len(width), len(height)) > 9:
        raise ConfigError(f"{flag} {printable(size)!r}: no photo is so large")
    return int(width), int(height)
