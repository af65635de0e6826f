"""A progress bar for whatever takes long: on stderr, only on a terminal, gone when done."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE = 2.0
"""Seconds before a bar appears: what is done sooner needs none, and Rich need not be loaded."""


class ProgressBar:
    """Appears after a while and steps aside while something is printed, since both may be on one terminal."""

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
        """Begin to count: `total` of `what` are to be done. The time before counts as waiting too."""
        self._hide()
        self._bar, self._total, self._done, self._what = None, total, 0, what

    def advance(self, done: int = 1) -> None:
        """That many more are done."""
        self._done += done
        if self._bar is None and self._due():
            self._bar = _make_bar(self._what, self._total)
        if self._bar is not None:
            self._show()
            self._bar.update(self._bar.task_ids[0], completed=self._done, refresh=True)

    @contextmanager
    def aside(self, stream: TextIO) -> Iterator[None]:
        """Take the bar away where something is printed on a terminal. It comes back with the next step."""
        if stream.isatty():
            self._hide()
        yield

    def _due(self) -> bool:
        return self._done < self._total and time.monotonic() - self._began > PATIENCE and sys.stderr.isatty()

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
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
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
