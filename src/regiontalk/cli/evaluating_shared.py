"""What all commands of `regiontalk evaluate` share: options, and what they say beside the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from regiontalk.cli.console import complain, printable

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object: the numbers and how they came about.")]
SplitOption = Annotated[str, typer.Option("--split", help="The part of the data to measure on.")]
BootstrapOption = Annotated[
    int,
    typer.Option("--bootstrap", min=0, max=1_000_000, metavar="N", help="95 % intervals from N samples of the photos."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the samples.")]


def warn(signature: Mapping[str, Any]) -> None:
    """Say loudly what a reader of the numbers must know: what was left out, and whether the pack learnt the photos."""
    from regiontalk.evaluation.seen import training_warning

    for kind, count in signature.get("left_out", {}).items():
        complain(f"left out: {kind}: {count}")
    warning = training_warning(signature)
    if warning:
        complain(printable(warning))
