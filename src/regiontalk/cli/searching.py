"""`regiontalk search`: photos and boxes by sentence, photos and sentences by photo."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import Report, ending, printable, warn_user
from regiontalk.cli.indexing import DEFAULT_COLLECTION
from regiontalk.cli.options import JsonOption, MaxPixelsOption, PackOption, ThreadsOption, refuse
from regiontalk.cli.stream import PhotoChoice
from regiontalk.errors import ConfigError
from regiontalk.files import fitting_name

if TYPE_CHECKING:
    from datetime import date

    from PIL import Image

    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.search.engine import Engine
    from regiontalk.search.filters import Where
    from regiontalk.search.finder import FoundBox, FoundPhoto

Shown = tuple[str, dict[str, Any]]
"""A result for people, and for programs."""

Picture = Callable[["Photo"], "Image.Image"]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(search)


def search(
    sentence: Annotated[
        str | None,
        typer.Argument(metavar="[SENTENCE]", help="What the photos should show, in quotes.", show_default=False),
    ] = None,
    index: Annotated[str | None, typer.Option("--index", metavar="DIR", help="The index's folder.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1_000_000, metavar="N", help="How many results.")] = 20,
    region: Annotated[
        str | None, typer.Option("--region", metavar="PHRASE", help="Rank boxes, not photos, by a phrase.")
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", metavar="PHOTO", help="Search by a photo instead of a sentence.")
    ] = None,
    sentences: Annotated[
        str | None,
        typer.Option("--sentences", metavar="FILE", help="Rank the lines of this file by --like; needs no index."),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            "--path",
            metavar="PATTERN",
            help="Only photos whose whole path matches, as '*/2024/*'.",
        ),
    ] = None,
    taken_from: Annotated[
        str | None, typer.Option("--taken-from", metavar="YYYY-MM-DD", help="Only photos taken on this day or later.")
    ] = None,
    taken_to: Annotated[
        str | None, typer.Option("--taken-to", metavar="YYYY-MM-DD", help="Only photos taken on this day or earlier.")
    ] = None,
    min_size: Annotated[
        str | None, typer.Option("--min-size", metavar="WxH", help="Only photos of at least so many pixels.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="WxH", help="Only photos of at most so many pixels.")
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            min=1,
            metavar="N",
            help="Faster on large indexes: score only N candidates exactly. May miss some; see index verify.",
        ),
    ] = None,
    qdrant: Annotated[
        str | None,
        typer.Option("--qdrant", metavar="URL", help="Search there instead of in --index; see regiontalk index push."),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option("--collection", metavar="NAME", help=f"With --qdrant: its collection; {DEFAULT_COLLECTION}."),
    ] = None,
    boxes: Annotated[
        bool,
        typer.Option(
            "--boxes",
            help="Show boxes too: of a sentence each phrase's; of a --region all, not the best of each photo.",
        ),
    ] = False,
    draw: Annotated[
        str | None, typer.Option("--draw", metavar="DIR", help="Also write a picture of each result into this folder.")
    ] = None,
    as_json: JsonOption = False,
    pack: PackOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Find photos and boxes by words or by a photo.

    A line for each result: rank, score, file. Photos are ranked by the sum over the sentence's words of their best box,
    less what they score with sentences in general if the pack can tell, or by their likeness to a photo, 1 at the most.
    --taken-from and --taken-to find only photos whose EXIF data has a date. --json prints every box without --boxes.

    Examples:

    \b
      regiontalk search "a black dog jumping over a hurdle" --index photos.index -k 5 --draw found/
      regiontalk search "two people on a red bus" --index photos.index --boxes
      regiontalk search --region "red bus" --index photos.index --json
      regiontalk search --like photo.jpg --index photos.index --taken-from 2024-06-01
      regiontalk search --sentences captions.txt --like photo.jpg
    """
    with ending() as report:
        _check_query(sentence, region, like, sentences, (index, qdrant))
        if sentences is not None:
            refuse(
                {
                    "--index": index,
                    "--qdrant": qdrant,
                    "--collection": collection,
                    "--candidates": candidates,
                    "--draw": draw,
                    "--path": path,
                    "--taken-from": taken_from,
                    "--taken-to": taken_to,
                    "--min-size": min_size,
                    "--max-size": max_size,
                    "--boxes": boxes or None,
                },
                "where --sentences ranks the lines of a file by one photo",
            )
        if like is None and draw is None:
            refuse({"--max-pixels": max_pixels}, "without --like or --draw: no photo is opened")
        if qdrant is None:
            refuse({"--collection": collection}, "without --qdrant")
        if as_json:
            refuse({"--boxes": boxes or None}, "with --json, which prints all boxes")
        if like is not None:
            refuse({"--boxes": boxes or None}, "with --like: a photo has no phrases to find boxes for")
        if index is not None and sentence is None:
            refuse({"--candidates": candidates}, "in an index without a SENTENCE: --region and --like are always exact")
        where = _where(path, (taken_from, taken_to), (min_size, max_size))
        from regiontalk.model import load
        from regiontalk.search.finder import Finder

        model = load(pack, threads, max_pixels)
        if sentences is not None and like is not None:
            _print(_sentences_by_photo(model, sentences, like, k, report), as_json, report)
            return
        pictures = _Pictures(draw, PhotoChoice(max_pixels=max_pixels), report)
        with _client(qdrant) as client:
            engine = _engine((index, client, collection), model, candidates, threads)
            _say_how_many(engine, where)
            finder, ask = Finder(model, engine), (k, where)
            if sentence is not None:
                found = _by_words(finder.search(sentence, *ask), boxes, pictures)
            elif region is not None:
                found = _by_words(finder.boxes(region, *ask, once=not (boxes or as_json)), boxes, pictures)
            else:
                found = _by_photo(finder.like(like or "", *ask), pictures)
            _print(found, as_json, report)


def _print(found: Iterable[Shown], as_json: bool, report: Report) -> None:
    for text, value in found:
        report.json(value) if as_json else report.result(text)


def _client(qdrant: str | None) -> AbstractContextManager[Any]:
    """A Qdrant client; None without --qdrant."""
    if qdrant is None:
        return nullcontext()
    from regiontalk.search.qdrant import connected

    return connected(qdrant)


def _check_query(
    sentence: str | None,
    region: str | None,
    like: str | None,
    sentences: str | None,
    places: tuple[str | None, str | None],
) -> None:
    queries = {"SENTENCE": sentence, "--region": region, "--like": like}
    given = [name for name, value in queries.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) or "nothing"
        raise ConfigError(f"search for a SENTENCE, a --region or what is --like a photo: one of them, found {found}")
    if sentences is not None and like is None:
        raise ConfigError("--sentences ranks the lines of a file by a photo: name the photo with --like")
    if None not in places:
        raise ConfigError("--index and --qdrant: search in one of them")
    if sentences is None and places == (None, None):
        raise ConfigError("--index is missing: name the folder of an index; regiontalk index add makes one")


def _where(path: str | None, days: tuple[str | None, str | None], sizes: tuple[str | None, str | None]) -> Where:
    from regiontalk.search.filters import Where

    return Where(
        path,
        _day("--taken-from", days[0]),
        _day("--taken-to", days[1]),
        _size("--min-size", sizes[0]),
        _size("--max-size", sizes[1]),
    )


def _say_how_many(engine: Engine, where: Where) -> None:
    """How many photos there are to search in, if not all or none: an empty answer alone would not say why."""
    from regiontalk.search.filters import EVERYTHING

    photos = engine.matching(EVERYTHING)
    if not photos:
        warn_user("there are no photos to search in: add some with regiontalk index add")
    elif where != EVERYTHING:
        found = engine.matching(where)
        flags = "--path, --taken-from, --taken-to, --min-size and --max-size"
        advice = "" if found else f"; nothing can be found, check {flags}"
        warn_user(f"{found} of {photos} photos meet the conditions{advice}")


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
        raise ConfigError(f"{flag} {printable(size)!r}: expected width and height in pixels, like 800x600")
    if max(len(width), len(height)) > 9:
        raise ConfigError(f"{flag} {printable(size)!r}: no photo is so large")
    return int(width), int(height)


def _engine(
    places: tuple[str | None, Any, str | None], model: Model, candidates: int | None, threads: int | None
) -> Engine:
    """The engine for an index's folder, or for a Qdrant client and a collection."""
    from regiontalk.search.engine import ExactEngine, TwoStageEngine
    from regiontalk.search.finder import require_searchable
    from regiontalk.search.index import Index
    from regiontalk.search.manifest import PackIdentity

    require_searchable(model.pack)
    (folder, client, collection), made_by = places, PackIdentity.of(model.pack)
    if client is not None:
        from regiontalk.search.qdrant import QdrantEngine

        return QdrantEngine(client, DEFAULT_COLLECTION if collection is None else collection, made_by, candidates)
    index = Index.open(folder or "", made_by)
    return ExactEngine(index, threads) if candidates is None else TwoStageEngine(index, candidates, threads)


def _by_words(found: Iterable[FoundPhoto | FoundBox], boxes: bool, pictures: _Pictures) -> Iterable[Shown]:
    from regiontalk.cli.text import result_line, result_text
    from regiontalk.drawing import draw_alignment

    for each in found:
        if each.alignment is not None:
            pictures.save(each, partial(draw_alignment, alignment=each.alignment))
        yield result_text(each) if boxes else result_line(each), each.to_json()


def _by_photo(found: Iterable[FoundPhoto], pictures: _Pictures) -> Iterable[Shown]:
    from regiontalk.cli.text import result_line
    from regiontalk.drawing import draw_regions

    for each in found:
        pictures.save(each, partial(draw_regions, regions=each.regions))
        yield result_line(each, digits=3), each.to_json()


def _sentences_by_photo(model: Model, file: str, like: str, k: int, report: Report) -> Iterable[Shown]:
    from regiontalk.cli.sentences import read_sentences
    from regiontalk.cli.text import ranked
    from regiontalk.search.sentences import rank_sentences

    lines = read_sentences(file, report)
    (looked,) = model.look(like)
    read = model.read([text for _, text in lines])
    for rank, (place, score) in enumerate(rank_sentences(looked, read, k, model.score_kind), start=1):
        number, text = lines[place]
        yield (
            ranked(rank, score, text),
            {
                "rank": rank,
                "line": number,
                "sentence": text,
                "score": score,
            },
        )


class _Pictures:
    """Writes the picture of each result into a folder; without one it does nothing."""

    def __init__(self, draw: str | None, choice: PhotoChoice, report: Report) -> None:
        self._folder = None if draw is None else Path(draw)
        self._choice, self._report = choice, report
        if self._folder is not None and self._folder.exists() and not self._folder.is_dir():
            raise ConfigError(f"--draw {printable(str(draw))}: is a file; name a folder")

    def save(self, found: FoundPhoto | FoundBox, picture: Picture) -> None:
        """Writes the picture of a photo that was found. What cannot be opened any more is reported."""
        from regiontalk.cli.pictures import draw_picture

        if self._folder is not None:
            name = fitting_name(f"{found.rank:03}-{Path(found.file).stem}", ".png")
            draw_picture(found.file, self._folder / name, picture, self._report, self._choice)
