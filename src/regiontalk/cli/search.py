"""`regiontalk search`: photos and boxes by sentence, photos and sentences by photo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from regiontalk.cli.console import Report, ending, printable, warn_user
from regiontalk.cli.index import DEFAULT_COLLECTION, read_sentences
from regiontalk.cli.options import JsonOption, ModelOptions, flags, refuse
from regiontalk.cli.outputs import draw_picture
from regiontalk.cli.photos import PhotoChoice
from regiontalk.cli.search_options import Conditions, Place, Query, where_of
from regiontalk.cli.text import unknown_words_text
from regiontalk.errors import ConfigError
from regiontalk.files import fitting_name

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.search.engine import Engine
    from regiontalk.search.filters import Where
    from regiontalk.search.finder import FoundBox, FoundPhoto
    from regiontalk.structures import Alignment, Regions

Shown = tuple[str, dict[str, Any]]
"""A result as text, and as JSON."""


Result = TypeVar("Result", bound="FoundPhoto | FoundBox")


BoxesOption = Annotated[
    bool,
    typer.Option(
        "--boxes",
        help="Show boxes too: of a sentence each phrase's; "
        "of a --region all, not the best of each photo.",
    ),
]


SureOption = Annotated[
    float,
    typer.Option(
        "--min-sure",
        min=0,
        max=1,
        metavar="P",
        help="Of words: only what is at least so sure, 0 to 1.",
    ),
]


def search(
    *,
    query: Query,
    k: Annotated[
        int, typer.Option("-k", min=1, max=1_000_000, metavar="N", help="How many results.")
    ] = 20,
    place: Place,
    conditions: Conditions,
    boxes: BoxesOption = False,
    min_sure: SureOption = 0.0,
    draw: Annotated[
        str | None,
        typer.Option(
            "--draw", metavar="DIR", help="Also write a picture of each result into this folder."
        ),
    ] = None,
    as_json: JsonOption = False,
    options: ModelOptions,
) -> None:
    """Find photos and boxes by words or by a photo.

    A line for each result: rank, how sure it is, file. Photos are ranked by the sum over the
    sentence's words of their best box, less what they score with sentences in general if the pack
    can tell, or by their likeness to a photo, 1 at the most. --taken-from and --taken-to find only
    photos whose EXIF data has a date. --json prints every box without --boxes.

    Examples:

    \b
      regiontalk search "a black dog jumping over a hurdle" --index photos.index -k 5 --draw found/
      regiontalk search "two people on a red bus" --index photos.index --boxes
      regiontalk search --region "red bus" --index photos.index --json
      regiontalk search --like photo.jpg --index photos.index --taken-from 2024-06-01
      regiontalk search --sentences captions.txt --like photo.jpg
    """
    with ending() as report:
        _check_query(query, place)
        if query.sentences is not None:
            others = {**flags(place), **flags(conditions), "--draw": draw, "--boxes": boxes or None}
            others["--min-sure"] = min_sure or None
            refuse(others, "where --sentences ranks the lines of a file by one photo")
        if query.like is None and draw is None:
            refuse(
                {"--max-pixels": options.max_pixels}, "without --like or --draw: no photo is opened"
            )
        _refuse_unused(query, place, boxes, as_json)
        where, model = where_of(conditions), options.load()
        if query.sentences is not None and query.like is not None:
            _print(
                _sentences_by_photo(model, query.sentences, query.like, k, report), as_json, report
            )
            return
        pictures = _Pictures(draw, PhotoChoice(max_pixels=options.max_pixels), report)
        with _engine(place, model, options.threads) as engine:
            _say_how_many(engine, where)
            once = not (boxes or as_json)
            found = _found(model, engine, query, (k, where), once, min_sure, boxes, pictures)
            _print(found, as_json, report)


def _print(found: Iterable[Shown], as_json: bool, report: Report) -> None:
    for text, value in found:
        report.json(value) if as_json else report.result(text)


def _check_query(query: Query, place: Place) -> None:
    """Checks that there is one query, and one index or server to search.

    Raises:
        ConfigError: if not.
    """
    asked = {"SENTENCE": query.sentence, "--region": query.region, "--like": query.like}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) or "nothing"
        raise ConfigError(
            "search for a SENTENCE, a --region or what is --like a photo: "
            f"one of them, found {found}"
        )
    if query.sentences is not None and query.like is None:
        raise ConfigError(
            "--sentences ranks the lines of a file by a photo: name the photo with --like"
        )
    if place.index is not None and place.qdrant is not None:
        raise ConfigError("--index and --qdrant: search in one of them")
    if query.sentences is None and place.index is None and place.qdrant is None:
        raise ConfigError(
            "--index is missing: name the folder of an index; regiontalk index add makes one"
        )


def _refuse_unused(query: Query, place: Place, boxes: bool, as_json: bool) -> None:
    if place.qdrant is None:
        refuse({"--collection": place.collection}, "without --qdrant")
    if place.index is not None and query.sentence is None:
        exact = "in an index without a SENTENCE: --region and --like are always exact"
        refuse({"--candidates": place.candidates}, exact)

    given = {"--boxes": boxes or None}
    if as_json:
        refuse(given, "with --json, which prints all boxes")
    if query.like is not None:
        refuse(given, "with --like: a photo has no phrases to find boxes for")


def _say_how_many(engine: Engine, where: Where) -> None:
    """Warns if there are no photos; reports how many meet the conditions, if any are set.

    An empty result alone would not say why.
    """
    from regiontalk.search.filters import EVERYTHING

    photos = engine.matching(EVERYTHING)
    if not photos:
        warn_user("there are no photos to search in: add some with regiontalk index add")
    elif where != EVERYTHING:
        found = engine.matching(where)
        flags = "--path, --taken-from, --taken-to, --min-size and --max-size"
        advice = "" if found else f"; nothing can be found, check {flags}"
        warn_user(f"{found} of {photos} photos meet the conditions{advice}")


@contextmanager
def _engine(place: Place, model: Model, threads: int | None) -> Iterator[Engine]:
    """The engine for a local index or a Qdrant collection."""
    from regiontalk.search.engine import local_engine
    from regiontalk.search.finder import require_searchable
    from regiontalk.search.index import Index
    from regiontalk.search.manifest import PackIdentity

    require_searchable(model.pack)
    made_by, candidates = PackIdentity.of(model.pack), place.candidates
    if place.qdrant is not None:
        from regiontalk.search.qdrant import QdrantEngine
        from regiontalk.search.qdrant_collection import connected

        collection = DEFAULT_COLLECTION if place.collection is None else place.collection
        with connected(place.qdrant) as client:
            yield QdrantEngine(client, collection, made_by, candidates)
        return
    yield local_engine(Index.open(place.index or "", made_by), candidates, threads)


def _sure(found: Iterable[Result], least: float) -> Iterator[Result]:
    """Results of probability `least` or more, or found by texts alone; warns if none is likely."""
    from regiontalk.alignment.certainty import UNLIKELY

    best, by_text = None, False
    for each in found:
        if each.sure is None and each.alignment is not None and least:
            raise ConfigError("--min-sure: this pack tells no probabilities; leave it out")
        by_text = by_text or (each.rank == 1 and bool(getattr(each, "text_words", ())))
        if each.sure is not None:
            best = max(best or 0.0, each.sure)
        if each.sure is None or each.sure >= least:
            yield each
    if best is not None and best < UNLIKELY and not by_text:
        warn_user(f"nothing fits well: the best result is {best:.0%} sure")


def _found(
    model: Model,
    engine: Engine,
    query: Query,
    ask: tuple[int, Where],
    once: bool,
    min_sure: float,
    boxes: bool,
    pictures: _Pictures,
) -> Iterable[Shown]:
    """Runs a query, with `once` for the best box of each photo only; warns of unknown words."""
    from regiontalk.search.finder import Finder

    finder = Finder(model, engine)
    if query.like is not None:
        return _by_photo(finder.like(query.like, *ask), pictures)
    (read,) = model.read(query.sentence or query.region or "")
    in_texts = () if query.sentence is None else finder.words_in_texts(read.unknown)
    if unknown := unknown_words_text(read, in_texts):
        warn_user(unknown)
    if query.sentence is not None:
        return _by_words(_sure(finder.search(read, *ask), min_sure), boxes, pictures)
    return _by_words(_sure(finder.boxes(read, *ask, once=once), min_sure), boxes, pictures)


def _by_words(
    found: Iterable[FoundPhoto | FoundBox], boxes: bool, pictures: _Pictures
) -> Iterable[Shown]:
    from regiontalk.cli.text import result_line, result_text
    from regiontalk.drawing import draw_alignment

    for each in found:
        if each.alignment is not None:
            pictures.save(each, draw_alignment, each.alignment)
        yield result_text(each) if boxes else result_line(each), each.to_json()


def _by_photo(found: Iterable[FoundPhoto], pictures: _Pictures) -> Iterable[Shown]:
    from regiontalk.cli.text import result_line
    from regiontalk.drawing import draw_regions

    for each in found:
        pictures.save(each, draw_regions, each.regions)
        yield result_line(each, digits=3), each.to_json()


def _sentences_by_photo(
    model: Model, file: str, like: str, k: int, report: Report
) -> Iterable[Shown]:
    from regiontalk.cli.text import ranked
    from regiontalk.search.finder import rank_sentences

    lines = read_sentences(file, report)
    (looked,) = model.look(like)
    read = model.read([text for _, text in lines])
    for rank, (place, score) in enumerate(
        rank_sentences(looked, read, k, model.score_kind), start=1
    ):
        number, text = lines[place]
        yield (
            ranked(rank, f"{score:.2f}", text),
            {"rank": rank, "line": number, "sentence": text, "score": score},
        )


class _Pictures:
    """Writes a picture of each result into a folder; without a folder it does nothing."""

    def __init__(self, draw: str | None, choice: PhotoChoice, report: Report) -> None:
        self._folder = None if draw is None else Path(draw)
        self._choice, self._report = choice, report
        if self._folder is not None and self._folder.exists() and not self._folder.is_dir():
            raise ConfigError(f"--draw {printable(str(draw))}: is a file; name a folder")

    def save(
        self,
        found: FoundPhoto | FoundBox,
        picture: Callable[[Photo, Any], Image.Image],
        result: Alignment | Regions,
    ) -> None:
        """Writes the picture of a result; a photo that cannot be opened any more is reported."""
        if self._folder is not None:
            name = fitting_name(f"{found.rank:03}-{Path(found.file).stem}", ".png")
            draw_picture(
                found.file, self._folder / name, picture, result, self._choice, self._report
            )
