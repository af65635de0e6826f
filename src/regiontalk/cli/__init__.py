"""The command line: parse, call, print. Thin; what it calls is imported when a command runs, so that help is instant.

Results go to stdout, problems and progress to stderr. Exit status: 0 all done; 1 some inputs failed, each named on
stderr, the rest done; 2 the command itself is wrong; 130 interrupted; 141 the reader of our output went away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import regiontalk
from regiontalk.cli import (
    building,
    evaluating,
    evaluating_captions,
    evaluating_grounding,
    evaluating_objects,
    indexing,
    inspecting,
    photos,
    reporting,
    searching,
    serving,
    teaching,
)
from regiontalk.cli.console import OUT_OF_MEMORY, SOME_FAILED, abandon_stdout, require_out_of_memory, warn_user

HELP = """Find the regions of a photo and connect them with language.

Examples:

\b
  regiontalk describe photo.jpg --draw described.png
  regiontalk align photo.jpg "a dog jumps over a fence"

Each command has its own help: regiontalk describe --help

Exit status: 0 all done; 1 some inputs failed, each named on stderr, and the rest is done; 2 the command is wrong.
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help keeps the examples' lines, and does not wait for Rich to load
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
photos.add_to(app)
inspecting.add_to(app)
indexing.add_to(app)
searching.add_to(app)
reporting.add_to(app)
building.add_to(app)
teaching.add_to(app)
evaluating.add_to(app)
evaluating_captions.add_to(evaluating.evaluate_app)
evaluating_grounding.add_to(evaluating.evaluate_app)
evaluating_objects.add_to(evaluating.evaluate_app)
serving.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"regiontalk {regiontalk.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit status.

    Args:
        arguments: without the program's name; None for the process's own.

    Raises:
        SystemExit: always.
    """
    _prepare_streams()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="regiontalk")
    except OSError as error:  # help or version text that could not be written; commands handle their own
        abandon_stdout()
        warn_user(f"standard output cannot be written ({error.strerror})")
        sys.exit(SOME_FAILED)
    except (MemoryError, ImportError) as error:  # before or after a command, which handles its own
        require_out_of_memory(error)
        warn_user(OUT_OF_MEMORY)
        sys.exit(SOME_FAILED)


def _prepare_streams() -> None:
    """Make writing safe: a closed stream swallows what it gets, and what an encoding lacks is escaped."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - stays open as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
