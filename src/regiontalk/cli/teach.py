"""`regiontalk teach`: fine-tune a pack on captioned photos and their words. Needs PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import Report, ending, photo_count, printable
from regiontalk.cli.options import JsonOption, MaxPixelsOption, PackOption
from regiontalk.cli.train import needs_torch
from regiontalk.errors import ConfigError

if TYPE_CHECKING:
    from regiontalk.training.teach import Taught

PhotosArgument = Annotated[
    str,
    typer.Argument(
        metavar="PHOTOS",
        help="A folder of captioned photos, or a file of captions beside its photos.",
    ),
]
OutputOption = Annotated[
    str, typer.Option("-o", "--output", metavar="FOLDER", help="The new pack's folder.")
]
WorkOption = Annotated[
    str | None,
    typer.Option(
        "--work", metavar="FOLDER", help="Keep what is done so far here, and not in OUTPUT.work."
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        min=1,
        max=10_000,
        metavar="N",
        help="Passes over the captions at most; 30 by default.",
    ),
]
AnywayOption = Annotated[
    bool,
    typer.Option("--anyway", help="Write the pack even if it is worse on the photos held out."),
]

_GOES_ON = "interrupted; the same command goes on where it was"


def teach(
    photos: PhotosArgument,
    output: OutputOption,
    pack: PackOption = None,
    work: WorkOption = None,
    epochs: EpochsOption = None,
    anyway: AnywayOption = False,
    max_pixels: MaxPixelsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach a pack the words of your captioned photos. Needs the extra 'train'.

    The photos lie in any layout of captioned photos (docs/data_formats.md): captions.csv, texts or
    sidecars beside them. New words, names and other languages too, enter the pack's vocabulary. One
    photo in ten, at least 20, or the photos of the split dev, are held out: the pack is measured on
    them before and after, and is not written if it is worse after. Interrupted, the same command
    goes on where it was.

    Examples:

    \b
      regiontalk teach photos/ -o my-pack
      regiontalk describe photo.jpg --pack my-pack
    """
    with ending(_GOES_ON) as report:
        for flag, path in (("PHOTOS", photos), ("--output", output), ("--work", work)):
            if path == "":
                raise ConfigError(f"{flag}: expected a path, found an empty one")
        with needs_torch():
            from regiontalk.training.teach import TeachConfig
            from regiontalk.training.teach import teach as taught_by
        given = {
            "epochs": epochs,
            "max_pixels": max_pixels,
            "work": None if work is None else Path(work),
        }
        config = TeachConfig(
            data=Path(photos),
            output=Path(output),
            pack=pack,
            anyway=anyway,
            **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
        )
        _print(taught_by(config), output, as_json, report)


def _print(taught: Taught, output: str, as_json: bool, report: Report) -> None:
    if as_json:
        report.json(taught.to_json())
    else:
        report.result(_text(taught))
    if taught.pack is None:
        worse = "; ".join(taught.worse)
        report.failure(
            output, f"not written, worse on the photos held out: {worse}; --anyway writes it"
        )


def _text(taught: Taught) -> str:
    """Summary of the training data, and a table of metrics before and after."""
    from regiontalk.cli.text import columns
    from regiontalk.evaluation import titles

    before, after = taught.before.numbers(), taught.after.numbers()
    rows = [["", "before", "after"]]
    rows += [
        [title, f"{before[name]:.1f}", f"{after[name]:.1f}"]
        for name, title in titles.TAUGHT.items()
    ]
    said = f"{taught.captions} caption{'' if taught.captions == 1 else 's'}"
    lines = [
        f"{photo_count(taught.photos)} with {said}, {len(taught.new_words)} new words; "
        f"measured on {photo_count(taught.held_out)} held out:",
        *columns(rows),
    ]
    if taught.pack is not None:
        pack = taught.pack
        lines.append(
            f"{printable(str(pack.folder))}: pack {pack.settings.name}, sha256 {pack.checksum}"
        )
    return "\n".join(lines)
