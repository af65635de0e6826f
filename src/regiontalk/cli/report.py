"""`regiontalk report`: photos, or an evaluation, as one HTML file to send and to publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import Report, ending, photo_count, printable
from regiontalk.cli.options import BeamOption, ExcludeOption, ModelOptions, flags, refuse
from regiontalk.cli.outputs import identities, make_place
from regiontalk.cli.photos import PhotoChoice, find_inputs, look_at
from regiontalk.cli.report_evaluation import EXAMPLE_SIDE, EvaluationOptions, evaluation_report
from regiontalk.errors import ConfigError, PhotoError, SentenceError
from regiontalk.files import write_bytes

if TYPE_CHECKING:
    from regiontalk.data import Dataset
    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.report.photos import Entry, PhotoReport
    from regiontalk.structures import Alignment, Regions


@dataclass(frozen=True)
class PageOptions:
    """Options of the page: title, size of photos and file."""

    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="The page's heading.")
    ] = None
    max_side: Annotated[
        int,
        typer.Option(
            "--max-side",
            min=64,
            max=8192,
            metavar="PIXELS",
            help="Photos' long side in the file, at most; an evaluation's never have more than "
            f"{EXAMPLE_SIDE}.",
        ),
    ] = 1024
    max_size: Annotated[
        float,
        typer.Option(
            "--max-size",
            min=0.5,
            max=2000,
            metavar="MB",
            help="Size of the file, at most; photos shrink to fit.",
        ),
    ] = 50

    @property
    def most_bytes(self) -> int:
        """The greatest size of the file, in bytes."""
        return int(self.max_size * 1_000_000)


@dataclass(frozen=True)
class PhotoPageOptions:
    """Options of a page of photos: their selection, and sentences to align with them."""

    sentences: Annotated[
        str | None,
        typer.Option(
            "--sentences",
            metavar="FILE",
            help="Tie a sentence to each photo: as many lines as photos, in order, "
            "or one line for all.",
        ),
    ] = None
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta", metavar="BETA", help="As in align: where the slider starts; the pack's."
        ),
    ] = None
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N photos.")
    ] = None
    exclude: ExcludeOption = None


@dataclass(frozen=True)
class _Asked:
    """A photo, and the sentence to align with it; None for none."""

    file: Path
    sentence: str | None = None


def report(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTOS_OR_DATASET",
            help="Photos and folders of photos; or captioned photos, see docs/data_formats.md.",
        ),
    ],
    *,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT.html", help="The file to write.")
    ] = "report.html",
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="The part of the captioned photos; test, or all of a plain folder."
        ),
    ] = None,
    page: PageOptions,
    shown: PhotoPageOptions,
    measured: EvaluationOptions,
    beam: BeamOption = None,
    options: ModelOptions,
) -> None:
    """Write photos, or an evaluation, into one HTML page.

    It shows what was found in each photo, or how well a pack does. The file holds all it needs: it
    works without a network, and can be sent and published. Photos are made smaller and lose their
    metadata (place, time); folders' names are left out.

    Examples:

    \b
      regiontalk report holiday/*.jpg -o holiday.html --title "Our holiday"
      regiontalk report photos/ --sentences captions.txt
      regiontalk report flickr8k/ --split test --limit 50
      regiontalk report --evaluation flickr8k/ --split dev -o evaluation.html
    """
    with ending() as console:
        target = _target(output)
        load = partial(_load, target, options)
        if measured.evaluation:
            refuse(flags(shown), "with --evaluation")
            folder = _one(photos)
            data = folder, _part(Path(folder), split)
            _finish(
                evaluation_report(data, measured, page, (beam, options.max_pixels), load, console),
                target,
                console,
            )
            return
        refuse(flags(measured), "without --evaluation")
        choice = PhotoChoice(shown.exclude, options.max_pixels)
        chosen = _asked(photos, shown.sentences, split, choice, console)
        inputs = len(chosen[: shown.limit]) + console.failures
        _spare_photos(target, chosen)
        made = _photos_page(chosen[: shown.limit], choice, page, load, (beam, shown.beta), console)
        if made is not None:
            _finish(made, target, console)
        console.summary(inputs, "inputs")


def _photos_page(
    asked: Sequence[_Asked],
    choice: PhotoChoice,
    page: PageOptions,
    load: Callable[[], Model],
    search: tuple[int | None, float | None],
    console: Report,
) -> bytes | None:
    """The page of the photos that can be opened; None if there is none.

    Args:
        search: beam and beta.
    """
    from regiontalk.report.page import made_with
    from regiontalk.report.photos import Entry, PhotoReport, shown_names
    from regiontalk.vision.boxes import distinct

    pages = PhotoReport(len(asked), page.most_bytes)
    model = load()
    console.bar.expect(len(asked), "photos")
    files, done = [each.file for each in asked], 0
    names = shown_names(files)
    for batch in look_at(model, files, console, choice, extra=True):
        described = model.describe_regions([distinct(looked) for _, looked in batch], search[0])
        for (file, looked), description in zip(batch, described, strict=True):
            place = files.index(file, done)  # photos in between could not be opened
            pages.skip(place - done)
            done = place + 1
            alignment, remark = _align(model, looked, asked[place], search[1], console)
            entry = Entry(names[place], description, alignment, remark)
            _add(pages, entry, partial(choice.open, file, page.max_side), page.max_side, console)
    return (
        pages.html(page.title or photo_count(len(pages)), made_with(model)) if len(pages) else None
    )


def _align(
    model: Model, looked: Regions, asked: _Asked, beta: float | None, console: Report
) -> tuple[Alignment | None, str]:
    """The alignment of a photo with its sentence, if any, or a remark if it has no known word."""
    if asked.sentence is None:
        return None, ""
    try:
        return model.align(looked, asked.sentence, beta), ""
    except SentenceError as error:
        console.failure(str(asked.file), str(error))
        return None, f"Not tied to the photo, for lack of a known word: {asked.sentence}"


def _add(
    pages: PhotoReport, entry: Entry, again: Callable[[], Photo], max_side: int, console: Report
) -> None:
    """Reopens a photo at display size and adds its entry to the page."""
    from regiontalk.report.pictures import data_url

    try:
        photo = again()
    except PhotoError as error:  # it was readable before: the file has changed since
        console.failure(entry.description.regions.file, str(error))
        pages.skip(1)
        return
    pages.add(entry, partial(data_url, photo, max_side))


def _one(given: Sequence[str]) -> str:
    if len(given) != 1 or not given[0]:
        raise ConfigError(
            "--evaluation: expected one folder or file of captioned photos, "
            f"found {len(given)} names"
        )
    return given[0]


def _finish(page: bytes, target: Path, console: Report) -> None:
    write_bytes(target, page)
    console.result(f"{printable(str(target))}: {len(page) / 1e6:.1f} MB")


def _load(target: Path, options: ModelOptions) -> Model:
    """Loads the model, after a check that the page can be written: the work is long."""
    make_place(target)
    return options.load()


def _asked(
    given: Sequence[str],
    sentences: str | None,
    split: str | None,
    choice: PhotoChoice,
    console: Report,
) -> list[_Asked]:
    """The photos that are named, or those of a captioned dataset, with their sentences."""
    if len(given) == 1 and given[0]:
        dataset = _dataset(Path(given[0]), split)
        if dataset is not None:
            if sentences is not None:
                raise ConfigError(
                    "--sentences: these photos have captions of their own; leave it out"
                )
            return [_Asked(photo.file, photo.captions[0]) for photo in dataset.photos]
    if split is not None:
        raise ConfigError(
            f"--split {printable(split)}: only captioned photos have splits; "
            "see docs/data_formats.md"
        )
    files = find_inputs(given, console, choice)
    if sentences is None:
        return [_Asked(file) for file in files]
    return [
        _Asked(file, line) for file, line in zip(files, _lines(sentences, len(files)), strict=True)
    ]


def _dataset(path: Path, split: str | None) -> Dataset | None:
    """The captioned photos at a path; None if it is a photo or a folder of photos alone."""
    from regiontalk.data import read_dataset
    from regiontalk.data.folder import holds_captions

    return read_dataset(path, _part(path, split)) if holds_captions(path) else None


def _part(path: Path, split: str | None) -> str:
    """The split; by default "test", but "all" of a plain folder or a file without splits."""
    from regiontalk.data.caption_formats import is_captions_file
    from regiontalk.data.folder import is_captioned_folder, is_flickr8k, read_captions

    if split is not None:
        return split
    if is_captions_file(path):
        return "test" if read_captions(path).states_splits else "all"
    return "all" if is_captioned_folder(path) and not is_flickr8k(path) else "test"


def _lines(file: str, photos: int) -> list[str | None]:
    """A sentence for each photo; None where a line is empty."""
    from regiontalk.files import read_text

    text = read_text(Path(file))
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != photos:
        lines = text.rstrip().split("\n")
    if len(lines) == 1:
        lines *= photos
    if len(lines) != photos:
        raise ConfigError(
            f"--sentences {printable(file)}: expected a line for each of the "
            f"{photo_count(photos)}, or one for all, found {len(lines)}. Leave the line of a photo "
            "without a sentence empty"
        )
    return [line.strip() or None for line in lines]


def _target(output: str) -> Path:
    path = Path(output)
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise ConfigError(f"-o {printable(output)!r}: expected a file that ends in .html")
    return path


def _spare_photos(target: Path, asked: Sequence[_Asked]) -> None:
    if identities([target]) & identities(each.file for each in asked):
        raise ConfigError(
            f"-o would replace the photo {printable(str(target))}; choose another name"
        )
