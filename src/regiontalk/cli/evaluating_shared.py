"""What all commands of `regiontalk evaluate` share: options, and what they say beside the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import printable, warn_user
from regiontalk.cli.files import identities, require_writable
from regiontalk.cli.options import refuse
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from regiontalk.evaluation.results import Reporting

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object: the numbers and how they came about.")]
SplitOption = Annotated[str, typer.Option("--split", help="The part of the data to measure on.")]
BootstrapOption = Annotated[
    int,
    typer.Option("--bootstrap", min=0, max=1_000_000, metavar="N", help="95 % intervals from N samples of the photos."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, metavar="N", help="Of --bootstrap's samples; 0.")]
PerCaptionOption = Annotated[
    str | None, typer.Option("--per-caption", metavar="FILE.jsonl", help="Also write the scores of each caption.")
]


def reporting_of(bootstrap: int, seed: int | None, folds: int = 1) -> Reporting:
    """How results become numbers, as the options have it.

    Raises:
        ConfigError: if there is a seed and nothing to sample.
    """
    from regiontalk.evaluation.results import Reporting

    if not bootstrap:
        refuse({"--seed": seed}, "without --bootstrap")
    return Reporting(folds, bootstrap, seed or 0)


def named_path(flag: str, name: str) -> Path:
    """The path that an option or argument names.

    Raises:
        DataError: if the name is empty.
    """
    if not name:
        raise DataError(f"{flag}: an empty name; name a file")
    return Path(name)


def per_caption_file(name: str, read: Iterable[Path]) -> Path:
    """The file for the scores of each caption, sure to replace nothing that is read, and found to be writable.

    Raises:
        ConfigError: if it is one of `read`.
        DataError: if it cannot be written.
    """
    target = named_path("--per-caption", name)
    if identities([target]) & identities(read):
        raise ConfigError(f"--per-caption would replace {printable(name)}, which is read; choose another name")
    try:
        require_writable(target)
    except OSError as error:
        raise DataError(f"--per-caption {printable(name)}: cannot be written ({error.strerror})") from error
    return target


def warn(signature: Mapping[str, Any]) -> None:
    """Say loudly what a reader of the numbers must know: what was left out, and whether the pack learnt the photos."""
    from regiontalk.evaluation.signature import training_warning

    for kind, count in signature.get("left_out", {}).items():
        warn_user(f"left out: {kind}: {count}")
    warning = training_warning(signature)
    if warning:
        warn_user(printable(warning))
