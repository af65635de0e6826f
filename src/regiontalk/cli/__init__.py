"""Command-line interface: option parsing, calls into the packages, output.

Commands import what they call when they run (lazy imports), so that help is instant. Results go to
stdout, problems and progress to stderr. Exit status: 0 all done; 1 some inputs failed, each named
on stderr, the rest done; 2 the command itself is wrong; 130 interrupted; 141 broken pipe on stdout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

import regiontalk
from regiontalk.cli import (
    align,
    describe,
    evaluate,
    evaluate_boxes,
    evaluate_captions,
    export,
    index,
    inspect,
    regions,
    report,
    search,
    serve,
    teach,
    train,
)
from regiontalk.cli.console import (
    OUT_OF_MEMORY,
    SOME_FAILED,
    abandon_stdout,
    require_out_of_memory,
    warn_user,
)
from regiontalk.cli.options import grouped

HELP = """Find the regions of a photo and connect them with language.

Examples:

\b
  regiontalk describe photo.jpg --draw described.png
  regiontalk align photo.jpg "a dog jumps over a fence"

Each command has its own help: regiontalk describe --help

Exit status: 0 all done; 1 some inputs failed, each named on stderr, and the rest is done; \
2 the command is wrong.
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    # Plain help keeps the examples' lines, and does not wait for Rich to load
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    describe.describe,
    align.align,
    regions.regions,
    inspect.inspect,
    search.search,
    report.report,
    export.export,
    teach.teach,
    serve.serve,
)
_EVALUATIONS: tuple[Callable[..., None], ...] = (
    evaluate.retrieval,
    evaluate_captions.describe,
    evaluate_captions.captions,
    evaluate_boxes.grounding,
    evaluate_boxes.regions,
    evaluate_boxes.search,
    evaluate_boxes.certainty,
    evaluate_captions.objects,
)
for _command in _COMMANDS:
    app.command()(grouped(_command))
app.add_typer(index.index_app, name="index")
app.add_typer(train.train_app, name="train")
app.add_typer(evaluate.evaluate_app, name="evaluate")
for _command in _EVALUATIONS:
    evaluate.evaluate_app.command()(grouped(_command))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"regiontalk {regiontalk.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Args:
        arguments: without the program's name; None for the process's own.

    Raises:
        SystemExit: always.
    """
    _prepare_streams()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="regiontalk")
    except OSError as error:
        # Help or version text that could not be written; commands handle their own
        abandon_stdout()
        warn_user(f"standard output cannot be written ({error.strerror})")
        sys.exit(SOME_FAILED)
    except (MemoryError, ImportError) as error:  # before or after a command, which handles its own
        require_out_of_memory(error)
        warn_user(OUT_OF_MEMORY)
        sys.exit(SOME_FAILED)


def _prepare_streams() -> None:
    """Replace closed streams by the null device; escape what stdout cannot encode."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - stays open as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
