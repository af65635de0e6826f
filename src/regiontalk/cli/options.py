"""Options that several commands share, single ones and groups.

A group is a dataclass whose fields are annotated as a command's parameters are. A command that
takes one is registered as `grouped(command)`, which makes the fields options of the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from regiontalk.errors import ConfigError

if TYPE_CHECKING:
    from regiontalk.model import Model

PhotosArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO_OR_FOLDER", help="Photos, and folders that are searched for photos."
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATTERN",
        help="Pass over files and folders of this name in folders, such as 'thumbs' or '*.gif'; "
        "may be repeated.",
    ),
]
MaxPixelsOption = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        help="Open photos of up to so many pixels, JPEGs of up to five times as many; "
        "100 million (serve: 50 million).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one line for each result.")]
PackOption = Annotated[
    str | None,
    typer.Option(
        "--pack", metavar="PATH_OR_NAME", help="A pack's folder or an included pack's name."
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        metavar="N",
        help="CPU threads of the vision graph; all by default.",
    ),
]
BeamOption = Annotated[
    int | None,
    typer.Option(
        "--beam",
        min=1,
        max=100,
        metavar="N",
        help="Captions kept while searching; the pack's by default.",
    ),
]
DrawOption = Annotated[
    str | None,
    typer.Option(
        "--draw",
        metavar="OUT.png",
        help="Also write a picture; for many photos or a folder of them, "
        "a folder that gets one for each.",
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """Options of the model: pack, threads, and the pixel limit of photos."""

    pack: PackOption = None
    threads: ThreadsOption = None
    max_pixels: MaxPixelsOption = None

    def load(self) -> Model:
        """Loads the model.

        Raises:
            PackError: as `regiontalk.load`.
        """
        from regiontalk.model import load

        return load(self.pack, self.threads, self.max_pixels)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command with its groups of options flattened into parameters, for Typer."""

    @wraps(command)
    def run(**given: Any) -> None:
        _call(command, given)

    parameters = list(_parameters(command))
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _parameters(taker: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a command or a group, nested groups flattened."""
    hints = get_type_hints(taker, include_extras=True)
    for name, each in signature(taker).parameters.items():
        if is_dataclass(hints[name]):
            yield from _parameters(hints[name])
        else:
            yield Parameter(
                name, Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[name]
            )


def _call(taker: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Calls a command or a group, nested groups rebuilt from flat arguments."""
    hints = get_type_hints(taker, include_extras=True)
    names = signature(taker).parameters
    return taker(
        **{
            each: _call(hints[each], given) if is_dataclass(hints[each]) else given[each]
            for each in names
        }
    )


def flags(group: Any) -> dict[str, Any]:
    """The values of a group's options by flag; None where they equal the default."""
    found: dict[str, Any] = {}
    for each in fields(group):
        value = getattr(group, each.name)
        flag = f"--{each.name.replace('_', '-')}"
        found |= (
            flags(value)
            if is_dataclass(value)
            else {flag: None if value == each.default else value}
        )
    return found


def refuse(options: Mapping[str, object], why: str) -> None:
    """Refuse options that do not apply to this invocation.

    Args:
        options: flag → its value; None if it was not given.
        why: end of the message "does not apply ...".

    Raises:
        ConfigError: if one was given.
    """
    if given := [flag for flag, value in options.items() if value is not None]:
        raise ConfigError(f"{', '.join(given)}: does not apply {why}; leave it out")
