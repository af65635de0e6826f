"""Console output of commands: results on stdout, problems and progress on stderr, exit status."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TextIO

import typer

from regiontalk.errors import ConfigError, DataError, PackError, RegionTalkError

if TYPE_CHECKING:
    from rich.progress import Progress

SOME_FAILED, WRONG_COMMAND, INTERRUPTED, READER_GONE = 1, 2, 130, 141

_COMMAND_IS_WRONG = (PackError, ConfigError, DataError)
"""Errors of exit status 2; others are about one input."""

OUT_OF_MEMORY = "too little memory; close other programs, or give the command less at once"

PATIENCE = 2.0
"""Seconds before a progress bar appears: shorter tasks need none, nor the import of Rich."""

# The dynamic linker's message if there is too little memory to load a library
_NO_ROOM = "failed to map segment"


class ProgressBar:
    """A transient progress bar on stderr, if that is a terminal.

    It appears after `PATIENCE`, and is hidden while something is printed on a terminal.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._total = 0
        self._done = 0
        self._what = ""
        self._bar: Progress | None = None
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hide()

    def expect(self, total: int, what: str) -> None:
        """Start a task of `total` steps named `what`; the delay counts from the bar's creation."""
        self._hide()
        self._bar, self._total, self._done, self._what = None, total, 0, what

    def advance(self, done: int = 1) -> None:
        """Advance by `done` steps."""
        self._done += done
        if self._bar is None and self._due():
            self._bar = _make_bar(self._what, self._total)
        if self._bar is not None:
            self._show()
            self._bar.update(self._bar.task_ids[0], completed=self._done, refresh=True)

    @contextmanager
    def aside(self, stream: TextIO) -> Iterator[None]:
        """Hide the bar if `stream` is a terminal; the next step shows it again."""
        if stream.isatty():
            self._hide()
        yield

    def _due(self) -> bool:
        return (
            self._done < self._total
            and time.monotonic() - self._began > PATIENCE
            and sys.stderr.isatty()
        )

    def _show(self) -> None:
        if self._bar is not None and not self._shown:
            self._bar.start()
            self._shown = True

    def _hide(self) -> None:
        if self._bar is not None and self._shown:
            self._bar.stop()
            self._shown = False


def _make_bar(what: str, total: int) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(
        *columns,
        console=Console(file=sys.stderr),
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task(what, total=total)
    return bar


class Report:
    """Prints a command's results and problems as they occur.

    Attributes:
        failures: inputs that failed so far.
        bar: progress, on stderr.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.bar = ProgressBar()

    def result(self, text: str) -> None:
        """Print a result and flush it, so that the reader of a pipe gets each as it is ready."""
        with self.bar.aside(sys.stdout):
            _write(text + "\n")

    def json(self, value: Mapping[str, Any]) -> None:
        """Print a result as a line of JSON, in ASCII, which is safe in every encoding."""
        self.result(json.dumps(value, allow_nan=False))

    def failure(self, name: str, reason: str) -> None:
        """Report an input that failed; the command goes on."""
        self.failures += 1
        name, reason = printable(name), printable(reason)
        with self.bar.aside(sys.stderr):
            warn_user(reason if name in reason else f"{name}: {reason}")

    def note(self, text: str) -> None:
        """Print a note on stderr that is not counted as a failure."""
        with self.bar.aside(sys.stderr):
            warn_user(printable(text))

    def summary(self, inputs: int, what: str) -> None:
        """Print how many of several inputs failed."""
        if self.failures and inputs > 1:
            warn_user(f"{self.failures} of {inputs} {what} failed, see above; the others are done")


@contextmanager
def ending(if_interrupted: str = "interrupted") -> Iterator[Report]:
    """Context manager of a command: user errors become a message and an exit status, no traceback.

    Raises:
        typer.Exit: always.
    """
    report = Report()
    try:
        with report.bar:
            yield report
    except RegionTalkError as error:
        warn_user(printable(str(error), keep="\n"))
        raise typer.Exit(
            WRONG_COMMAND if isinstance(error, _COMMAND_IS_WRONG) else SOME_FAILED
        ) from None
    except (MemoryError, ImportError) as error:
        require_out_of_memory(error)
        warn_user(OUT_OF_MEMORY)
        raise typer.Exit(SOME_FAILED) from None
    except KeyboardInterrupt:
        warn_user(if_interrupted)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        abandon_stdout()
        raise typer.Exit(READER_GONE) from None
    except OSError as error:
        name = "" if error.filename is None else f"{printable(os.fsdecode(error.filename))}: "
        warn_user(f"{name}{error.strerror or error}")
        raise typer.Exit(SOME_FAILED) from None
    raise typer.Exit(SOME_FAILED if report.failures else 0)


def require_out_of_memory(error: MemoryError | ImportError) -> None:
    """Reraises an error that is not about memory, such as that a package is not installed."""
    if isinstance(error, ImportError) and _NO_ROOM not in str(error):
        raise error


def warn_user(message: str) -> None:
    """Print a message on stderr."""
    with suppress(OSError):  # stderr cannot be written, which nothing can report
        print(f"regiontalk: {message}", file=sys.stderr, flush=True)


def printable(text: str, keep: str = "") -> str:
    r"""Text with control characters and newlines escaped, but those in `keep`: terminal-safe.

    >>> print(printable("a\nb\x1b[31m.jpg"))
    a\nb\x1b[31m.jpg
    """
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def photo_count(photos: int) -> str:
    """A number of photos in words: "1 photo", "2 photos"."""
    return f"{photos} photo{'' if photos == 1 else 's'}"


def abandon_stdout() -> None:
    """Redirect stdout to the null device: flushing its buffer at exit would fail again."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon_stdout()
        raise OSError(error.errno, error.strerror, "standard output") from error
