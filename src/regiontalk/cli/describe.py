"""`regiontalk describe`: captions of photos and their regions.

They are printed, and with `--csv`, `--alt-text` and `--sidecar` written to files to edit and keep.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from regiontalk.cli.console import Report, printable
from regiontalk.cli.options import BeamOption, PhotosArgument, refuse
from regiontalk.cli.outputs import identities, make_place
from regiontalk.cli.photos import PhotoOptions, for_each_photo
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.cli.photos import Save
    from regiontalk.data.alt_table import AltTableFile
    from regiontalk.data.sidecars import Sidecars
    from regiontalk.model import Model
    from regiontalk.photos import Photo
    from regiontalk.photos.folders import FoundPhotos
    from regiontalk.structures import Description, Regions


@dataclass(frozen=True)
class AltTexts:
    """Options of alt-text output: a table, a folder of text files, sidecars, overwriting."""

    csv: Annotated[
        str | None,
        typer.Option(
            "--csv",
            metavar="FILE.csv",
            help="Also write a table for spreadsheets, a row for each photo.",
        ),
    ] = None
    alt_text: Annotated[
        str | None,
        typer.Option(
            "--alt-text",
            metavar="FOLDER",
            help="Also write a text file for each photo: photo.jpg.txt.",
        ),
    ] = None
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar",
            help="Also write an XMP sidecar beside each photo, or into the one that is there.",
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace texts that such files have for a photo; without it they are kept.",
        ),
    ] = False


def describe(
    photos: PhotosArgument, *, options: PhotoOptions, beam: BeamOption = None, texts: AltTexts
) -> None:
    """Write a caption for each photo and for each of its regions.

    Examples:

    \b
      regiontalk describe photo.jpg --draw described.png
      regiontalk describe holiday/ --json > holiday.jsonl
      regiontalk describe holiday/ --csv alt.csv --sidecar
    """
    from regiontalk.cli.text import description_text

    def results(model: Model, looked: list[Regions]) -> Iterable[Description]:
        from regiontalk.vision.boxes import distinct

        return model.describe_regions([distinct(each) for each in looked], beam)

    for_each_photo(
        photos, options, results, description_text, _draw, saving=partial(_saving, texts)
    )


def _draw(photo: Photo, description: Description) -> Image.Image:
    from regiontalk.drawing import draw_description

    return draw_description(photo, description)


class _Output(Protocol):
    """Protocol of a destination of captions."""

    name: str

    def write(self, photo: Path, description: Description) -> bool:
        """Write a photo's captions; False if its existing text was kept instead."""

    def close(self) -> None:
        """Finish after the last photo."""


@contextmanager
def _saving(
    asked: AltTexts, given: Sequence[str], searched: Sequence[FoundPhotos], report: Report
) -> Iterator[Save]:
    """Context manager that yields a function to save a photo's captions.

    Also after an exception, everything saved so far is written to disk.

    Args:
        given: the arguments that name photos and folders.
        searched: the photos at each.
        report: gets failures to write.

    Raises:
        ConfigError: if an option's path cannot be used, or an option does not apply.
        DataError: if the table exists and is damaged.
        OSError: if the table cannot be written; it names the file.
    """
    outputs = _outputs(asked, given, searched)
    counts = [[0, 0] for _ in outputs]  # kept and written
    done: set[Path] = set()

    def save(photo: Path, description: Description) -> None:
        if photo in done:  # named twice
            return
        done.add(photo)
        problems = []
        for output, count in zip(outputs, counts, strict=True):
            try:
                count[output.write(photo, description)] += 1
            except DataError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(
                    f"{os.fsdecode(error.filename or photo)}: {error.strerror or error}"
                )
        if problems:  # a photo counts as one failure
            report.failure(str(photo), problems[0])
        for problem in problems[1:]:
            report.note(problem)

    try:
        yield save
    finally:
        for output in outputs:
            output.close()
    for output, (kept, written) in zip(outputs, counts, strict=True):
        texts = f"{written} text{'' if written == 1 else 's'} written"
        report.note(
            f"{output.name}: {texts}"
            + (f", {kept} kept (--overwrite replaces them)" if kept else "")
        )


@dataclass
class _Table:
    """`--csv`."""

    name: str
    file: AltTableFile

    def write(self, photo: Path, description: Description) -> bool:
        regions = description.regions
        captions = tuple(caption.text for caption in description.region_captions)
        return self.file.add(
            photo, description.caption.text, (regions.width, regions.height), captions
        )

    def close(self) -> None:
        self.file.save()


@dataclass
class _TextFiles:
    """`--alt-text`."""

    name: str
    targets: Mapping[Path, Path]
    overwrite: bool

    def write(self, photo: Path, description: Description) -> bool:
        from regiontalk.data.sidecars import write_text_file

        if photo not in self.targets:
            raise DataError(
                f"{photo}: a name that no folder of texts can hold on every system; "
                "rename the photo"
            )
        return write_text_file(self.targets[photo], description.caption.text, self.overwrite)

    def close(self) -> None:
        """Each file is complete once written."""


@dataclass
class _SidecarFiles:
    """`--sidecar`."""

    name: str
    places: Sidecars
    overwrite: bool

    def write(self, photo: Path, description: Description) -> bool:
        from regiontalk.data.sidecars import write_sidecar

        return write_sidecar(self.places.to_write(photo), description.caption.text, self.overwrite)

    def close(self) -> None:
        """Each file is complete once written."""


def _outputs(
    asked: AltTexts, given: Sequence[str], searched: Sequence[FoundPhotos]
) -> list[_Output]:
    outputs: list[_Output] = []
    if asked.csv is not None:
        outputs.append(_table(asked.csv, asked.overwrite))
    if asked.alt_text is not None:
        targets = _text_files(asked.alt_text, given, searched)
        outputs.append(_TextFiles(asked.alt_text, targets, asked.overwrite))
    if asked.sidecar:
        from regiontalk.data.sidecars import Sidecars

        outputs.append(_SidecarFiles("sidecars", Sidecars(), asked.overwrite))
    if not outputs:
        refuse({"--overwrite": asked.overwrite or None}, "without --csv, --alt-text or --sidecar")
    return outputs


def _table(name: str, overwrite: bool) -> _Table:
    from regiontalk.data.alt_table import AltTableFile

    file = Path(name)
    if file.suffix.lower() != ".csv" or file.is_dir():
        raise ConfigError(f"--csv {printable(name)!r}: expected a file that ends in .csv")
    table = _Table(name, AltTableFile(file, overwrite))
    make_place(file)
    return table


def _text_files(
    folder: str, given: Sequence[str], searched: Sequence[FoundPhotos]
) -> dict[Path, Path]:
    """Each photo's text file: its path relative to the named folder, and `.txt`.

    Photos with unsafe names have none: it could not be read back.
    """
    from regiontalk.data.captions import is_safe_name
    from regiontalk.data.sidecars import text_file

    if not folder or (os.path.lexists(folder) and not os.path.isdir(folder)):
        raise ConfigError(
            f"--alt-text {printable(folder)!r}: expected a folder, which may be a new one"
        )
    targets: dict[Path, Path] = {}
    for name, found in zip(given, searched, strict=True):
        for photo in found.photos:
            inside = os.path.relpath(photo, name) if os.path.isdir(name) else photo.name
            if is_safe_name(Path(inside).as_posix()):
                targets.setdefault(photo, text_file(Path(folder, inside)))
    _require_apart(targets)
    if both := identities(targets) & identities(targets.values()):
        photo = next(photo for photo in targets if identities([photo]) <= both)
        raise ConfigError(
            f"--alt-text would replace the photo {printable(str(photo))}; choose another folder"
        )
    return targets


def _require_apart(targets: Mapping[Path, Path]) -> None:
    photo_of: dict[Path, Path] = {}
    for photo, target in targets.items():
        other = photo_of.setdefault(target, photo)
        if other != photo:
            raise ConfigError(
                f"--alt-text: {printable(str(other))} and {printable(str(photo))} would both be "
                f"{printable(str(target))}; name a folder that holds both, or describe one after "
                "the other"
            )
