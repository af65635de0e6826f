"""Batch processing of a command's photos: find, open, detect regions, print and draw results.

Photos are processed in order and in batches; unreadable ones are reported and skipped.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regiontalk.cli.console import Report, ending
from regiontalk.cli.options import DrawOption, ExcludeOption, JsonOption, ModelOptions
from regiontalk.cli.outputs import draw_picture, plan_pictures
from regiontalk.errors import ConfigError, PhotoError

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.photos.folders import FoundPhotos
    from regiontalk.photos.kinds import OtherKind
    from regiontalk.structures import Regions

    Save = Callable[[Path, Any], None]
    """Writes the result of a photo to further files."""
    Saving = Callable[[Sequence[str], Sequence[FoundPhotos], Report], AbstractContextManager[Save]]
    """From the arguments that name photos and folders, the photos at each, and the report."""

_NAMED = 3
"""Skipped folders that a note lists; it counts the others."""


@dataclass(frozen=True)
class PhotoChoice:
    """Selection of photos.

    Attributes:
        exclude: value of `--exclude`; see `search_photos`.
        max_pixels: value of `--max-pixels`; see `open_photo`.
    """

    exclude: Sequence[str] | None = None
    max_pixels: int | None = None

    def open(self, file: str | os.PathLike[str], min_side: int) -> Photo:
        """`open_photo` with these limits."""
        from regiontalk.photos import open_photo

        return open_photo(file, max_pixels=self.max_pixels, min_side=min_side)


ALL_PHOTOS = PhotoChoice()


@dataclass(frozen=True, kw_only=True)
class PhotoOptions:
    """Options of commands that have a result for each photo."""

    as_json: JsonOption = False
    draw: DrawOption = None
    exclude: ExcludeOption = None
    model: ModelOptions


@contextmanager
def _saving_nothing(*_: object) -> Iterator[Save]:
    yield lambda file, result: None


def for_each_photo(
    given: list[str],
    options: PhotoOptions,
    results: Callable[[Model, list[Regions]], Iterable[Any]],
    text: Callable[[Any], str],
    picture: Callable[[Photo, Any], Image.Image],
    to_json: Callable[[Any], dict[str, Any]] = methodcaller("to_json"),
    saving: Saving = _saving_nothing,
) -> None:
    """Prints a result for each photo, in order, and draws a picture if asked to.

    Unreadable photos are reported and skipped.

    Args:
        given: the arguments that name photos and folders.
        results: the results of a batch of photos, one for each.
        text: a result as plain text.
        picture: draws a result on its photo.
        to_json: a result as JSON.
        saving: context manager that yields a function to save each result.

    Raises:
        typer.Exit: always, with the command's exit status.
    """
    with ending() as report:
        choice = PhotoChoice(options.exclude, options.model.max_pixels)
        searched = search_inputs(given, report, choice)
        files = [photo for found in searched for photo in found.photos]
        inputs = len(files) + report.failures
        pictures = plan_pictures(options.draw, given, files)
        with saving(given, searched, report) as save:
            model = options.model.load()
            report.bar.expect(len(files), "photos")
            for batch in look_at(model, files, report, choice):
                found = results(model, [looked for _, looked in batch])
                for (file, _), result in zip(batch, found, strict=True):
                    report.json(to_json(result)) if options.as_json else report.result(text(result))
                    if file in pictures:
                        draw_picture(file, pictures[file], picture, result, choice, report)
                    save(file, result)
        report.summary(inputs, "inputs")


def find_inputs(
    given: Sequence[str], report: Report, choice: PhotoChoice = ALL_PHOTOS
) -> list[Path]:
    """The photos that the arguments name, in order; folders searched.

    An argument without a photo is reported as failed. Duplicates are kept, so that a program gets
    as many results as it asked for.
    """
    return [photo for found in search_inputs(given, report, choice) for photo in found.photos]


def search_inputs(
    given: Sequence[str], report: Report, choice: PhotoChoice = ALL_PHOTOS
) -> list[FoundPhotos]:
    """`find_inputs`, by argument.

    Unreadable folders are reported one by one, skipped files and folders once for all arguments.

    Raises:
        ConfigError: if a pattern to exclude is empty.
    """
    from regiontalk.photos.folders import FoundPhotos, search_photos

    exclude = choice.exclude or ()
    if not all(pattern.strip("/") for pattern in exclude):
        raise ConfigError(
            "--exclude: expected a name or a pattern of names, found an empty one; leave it out"
        )
    searched = []
    for name in given:
        if not name:
            report.failure("''", "an empty file name; name a photo or a folder of photos")
        found = search_photos(name, exclude) if name else FoundPhotos()
        for folder, reason in (found.problems(name) if name else {}).items():
            report.failure(folder, reason)
        searched.append(found)
    _say_what_was_passed_over(searched, report)
    return searched


def look_at(
    model: Model,
    files: Sequence[Path],
    report: Report,
    choice: PhotoChoice = ALL_PHOTOS,
    extra: bool = False,
) -> Iterator[list[tuple[Path, Regions]]]:
    """The regions of each readable photo, in batches as they are ready; `extra` as in `Model.look`.

    Memory is bounded by one batch at the network's input size, whatever the number and size of the
    photos.
    """
    from regiontalk.vision.session import BATCH

    size = model.pack.settings.vision.size
    for start in range(0, len(files), BATCH):
        names, photos = [], []
        for file in files[start : start + BATCH]:
            photo = _open(file, size, report, choice)
            if photo is not None:
                names.append(file)
                photos.append(photo)
        yield list(zip(names, model.look(photos, extra=extra), strict=True))
        report.bar.advance(len(files[start : start + BATCH]))


def _open(file: Path, size: int, report: Report, choice: PhotoChoice) -> Photo | None:
    """A photo at the network's input size; None if it is unreadable, which is reported."""
    try:
        return choice.open(file, size).prepared(size)
    except PhotoError as error:
        report.failure(str(file), str(error))
        return None


def _say_what_was_passed_over(searched: Sequence[FoundPhotos], report: Report) -> None:
    kinds = sum((found.other_kinds for found in searched), Counter["OtherKind"]())
    for kind, count in sorted(kinds.items(), key=lambda each: each[0].name):
        report.note(
            f"{count} {kind.name} photo{'' if count == 1 else 's'} passed over: {kind.advice}"
        )
    folders = list(
        dict.fromkeys(str(folder) for found in searched for folder in found.system_folders)
    )
    if folders:
        more = f" and {len(folders) - _NAMED} more" if len(folders) > _NAMED else ""
        report.note(
            f"passed over {', '.join(folders[:_NAMED])}{more}: not a folder for photos; "
            "name it to search it"
        )
