"""`regiontalk report`: photos, or an evaluation, as one HTML file to send and to publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import Report, ending, photo_count, printable
from regiontalk.cli.evaluating_shared import BootstrapOption, SeedOption, reporting_of
from regiontalk.cli.files import identities, make_place
from regiontalk.cli.options import BeamOption, ExcludeOption, MaxPixelsOption, PackOption, ThreadsOption, refuse
from regiontalk.cli.reporting_evaluation import EXAMPLE_SIDE, EXAMPLES, Data, How, evaluation_report
from regiontalk.cli.stream import PhotoChoice, find_inputs
from regiontalk.errors import ConfigError, PhotoError, SentenceError
from regiontalk.files import write_bytes

if TYPE_CHECKING:
    from regiontalk.data import Dataset
    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.report.photos import Entry, PhotoReport
    from regiontalk.structures import Alignment, Regions

PhotosOrDataset = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTOS_OR_DATASET",
        help="Photos and folders of photos; or captioned photos, see docs/data_formats.md.",
    ),
]
OutOption = Annotated[str, typer.Option("-o", "--output", metavar="OUT.html", help="The file to write.")]
TitleOption = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The page's heading.")]
SentencesOption = Annotated[
    str | None,
    typer.Option(
        "--sentences",
        metavar="FILE",
        help="Tie a sentence to each photo: as many lines as photos, in order, or one line for all.",
    ),
]
BetaOption = Annotated[
    float | None, typer.Option("--beta", metavar="BETA", help="As in align: where the slider starts; the pack's.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N photos.")]
SideOption = Annotated[
    int,
    typer.Option(
        "--max-side",
        min=64,
        max=8192,
        metavar="PIXELS",
        help=f"Photos' long side in the file, at most; an evaluation's never have more than {EXAMPLE_SIDE}.",
    ),
]
SizeOption = Annotated[
    float,
    typer.Option(
        "--max-size", min=0.5, max=2000, metavar="MB", help="Size of the file, at most; photos shrink to fit."
    ),
]
SplitOption = Annotated[
    str | None, typer.Option("--split", help="The part of the captioned photos; test, or all of a plain folder.")
]
EvaluationOption = Annotated[
    bool, typer.Option("--evaluation", help="Measure the pack on captioned photos; show numbers, hits and failures.")
]
ExamplesOption = Annotated[
    int | None, typer.Option("--examples", min=1, max=100, metavar="N", help="With --evaluation: of each kind; 8.")
]
BoxesOption = Annotated[
    str | None,
    typer.Option("--boxes", metavar="DATA", help="With --evaluation: also ground words in these boxes."),
]
BoxesSplitOption = Annotated[str | None, typer.Option("--boxes-split", help="The part of the boxes; all.")]
BoxesPhotosOption = Annotated[
    str | None, typer.Option("--boxes-photos", metavar="FOLDER", help="Where the photos of the boxes lie.")
]
BoxesEveryOption = Annotated[
    int | None,
    typer.Option(
        "--boxes-every", min=1, max=1_000_000, metavar="N", help="Of these by name, the first, every N-th on."
    ),
]


@dataclass(frozen=True)
class _Asked:
    """A photo, and the sentence that is tied to it; None for none."""

    file: Path
    sentence: str | None = None


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(report)


def report(
    photos: PhotosOrDataset,
    output: OutOption = "report.html",
    title: TitleOption = None,
    sentences: SentencesOption = None,
    beta: BetaOption = None,
    limit: LimitOption = None,
    split: SplitOption = None,
    max_side: SideOption = 1024,
    max_size: SizeOption = 50,
    evaluation: EvaluationOption = False,
    examples: ExamplesOption = None,
    boxes: BoxesOption = None,
    boxes_split: BoxesSplitOption = None,
    boxes_photos: BoxesPhotosOption = None,
    boxes_every: BoxesEveryOption = None,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = None,
    pack: PackOption = None,
    beam: BeamOption = None,
    threads: ThreadsOption = None,
    exclude: ExcludeOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Write photos, or an evaluation, into one HTML page.

    It shows what was found in each photo, or how well a pack does. The file holds all it needs: it works without a
    network, and can be sent and published. Photos are made smaller and lose their metadata (place, time); folders'
    names are left out.

    Examples:

    \b
      regiontalk report holiday/*.jpg -o holiday.html --title "Our holiday"
      regiontalk report photos/ --sentences captions.txt
      regiontalk report flickr8k/ --split test --limit 50
      regiontalk report --evaluation flickr8k/ --split dev -o evaluation.html
    """
    with ending() as told:
        target = _target(output)
        most, load = int(max_size * 1_000_000), partial(_load, target, pack, threads, max_pixels)
        if evaluation:
            of_photos = {"--sentences": sentences, "--beta": beta, "--limit": limit, "--exclude": exclude}
            refuse(of_photos, "with --evaluation")
            folder = _one(photos)
            data = Data(folder, _part(Path(folder), split), boxes, boxes_split, boxes_photos, boxes_every)
            how = How(beam, examples or EXAMPLES, max_side, most, max_pixels, reporting_of(bootstrap, seed))
            _finish(evaluation_report(data, how, load, title, told), target, told)
            return
        boxed = {"--boxes-split": boxes_split, "--boxes-photos": boxes_photos, "--boxes-every": boxes_every}
        numbers = {"--examples": examples, "--bootstrap": bootstrap or None, "--seed": seed}
        refuse({"--boxes": boxes, **boxed, **numbers}, "without --evaluation")
        choice = PhotoChoice(exclude, max_pixels)
        asked = _asked(photos, sentences, split, choice, told)
        inputs = len(asked[:limit]) + told.failures
        _spare_photos(target, asked)
        page = _photos_page(asked[:limit], choice, (max_side, most), load, (beam, beta), title, told)
        if page is not None:
            _finish(page, target, told)
        told.summary(inputs, "inputs")


def _photos_page(
    asked: Sequence[_Asked],
    choice: PhotoChoice,
    limits: tuple[int, int],
    load: Callable[[], Model],
    search: tuple[int | None, float | None],
    title: str | None,
    told: Report,
) -> bytes | None:
    """The page of the photos that can be opened; None if there is none.

    Args:
        limits: pixels of a photo's long side, bytes of the page.
        load: gives the model.
        search: beam and beta.
    """
    from regiontalk.cli.stream import look_at
    from regiontalk.model import distinct
    from regiontalk.report.page import made_with
    from regiontalk.report.photos import Entry, PhotoReport, shown_names

    pages = PhotoReport(len(asked), limits[1])
    model = load()
    told.bar.expect(len(asked), "photos")
    files, done = [each.file for each in asked], 0
    names = shown_names(files)
    for batch in look_at(model, files, told, choice):
        described = model.describe_regions([distinct(looked) for _, looked in batch], search[0])
        for (file, looked), description in zip(batch, described, strict=True):
            place = files.index(file, done)  # photos in between could not be opened
            pages.skip(place - done)
            done = place + 1
            alignment, remark = _align(model, looked, asked[place], search[1], told)
            entry = Entry(names[place], description, alignment, remark)
            _add(pages, entry, partial(choice.open, file, limits[0]), limits[0], told)
    return pages.html(title or photo_count(len(pages)), made_with(model)) if len(pages) else None


def _align(
    model: Model, looked: Regions, asked: _Asked, beta: float | None, told: Report
) -> tuple[Alignment | None, str]:
    """The alignment of a photo with its sentence, if it has one and the pack knows a word of it; and a remark."""
    if asked.sentence is None:
        return None, ""
    try:
        return model.align(looked, asked.sentence, beta), ""
    except SentenceError as error:
        told.failure(str(asked.file), str(error))
        return None, f"Not tied to the photo, for lack of a known word: {asked.sentence}"


def _add(pages: PhotoReport, entry: Entry, again: Callable[[], Photo], max_side: int, told: Report) -> None:
    """Opens a photo once more, now at a size worth looking at."""
    from regiontalk.report.pictures import data_url

    try:
        photo = again()
    except PhotoError as error:  # it was fine a moment ago, so somebody changed it
        told.failure(entry.description.regions.file, str(error))
        pages.skip(1)
        return
    pages.add(entry, partial(data_url, photo, max_side))


def _one(given: Sequence[str]) -> str:
    if len(given) != 1 or not given[0]:
        raise ConfigError(f"--evaluation: expected one folder or file of captioned photos, found {len(given)} names")
    return given[0]


def _finish(page: bytes, target: Path, told: Report) -> None:
    write_bytes(target, page)
    told.result(f"{printable(str(target))}: {len(page) / 1e6:.1f} MB")


def _load(target: Path, pack: str | None, threads: int | None, max_pixels: int | None) -> Model:
    """The model, once it is sure that the page can be written: the work that follows is long."""
    from regiontalk.model import load

    make_place(target)
    return load(pack, threads, max_pixels)


def _asked(
    given: Sequence[str], sentences: str | None, split: str | None, choice: PhotoChoice, told: Report
) -> list[_Asked]:
    """The photos that are named, or those of a captioned dataset, with their sentences."""
    if len(given) == 1 and given[0]:
        dataset = _dataset(Path(given[0]), split)
        if dataset is not None:
            if sentences is not None:
                raise ConfigError("--sentences: these photos have captions of their own; leave it out")
            return [_Asked(photo.file, photo.captions[0]) for photo in dataset.photos]
    if split is not None:
        raise ConfigError(f"--split {printable(split)}: only captioned photos have splits; see docs/data_formats.md")
    files = find_inputs(given, told, choice)
    if sentences is None:
        return [_Asked(file) for file in files]
    return [_Asked(file, line) for file, line in zip(files, _lines(sentences, len(files)), strict=True)]


def _dataset(path: Path, split: str | None) -> Dataset | None:
    """The captioned photos at a path; None if it is no dataset but a photo or a folder of photos."""
    from regiontalk.data import read_dataset
    from regiontalk.data.folder import holds_captions

    return read_dataset(path, _part(path, split)) if holds_captions(path) else None


def _part(path: Path, split: str | None) -> str:
    """The split that is meant: where none is named "test", but all of a plain folder, or of a file without splits."""
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
            f"--sentences {printable(file)}: expected a line for each of the {photo_count(photos)}, or one for all, "
            f"found {len(lines)}. Leave the line of a photo without a sentence empty"
        )
    return [line.strip() or None for line in lines]


def _target(output: str) -> Path:
    path = Path(output)
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise ConfigError(f"-o {printable(output)!r}: expected a file that ends in .html")
    return path


def _spare_photos(target: Path, asked: Sequence[_Asked]) -> None:
    if identities([target]) & identities(each.file for each in asked):
        raise ConfigError(f"-o would replace the photo {printable(str(target))}; choose another name")
