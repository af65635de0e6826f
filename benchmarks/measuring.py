"""What the benchmarks share: competitors timed in turns, and a table of ratios.

Absolute times say more about the machine than about the program, so every number here stands beside
a reference that was measured in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import regiontalk

SAMPLES = Path(regiontalk.__file__).parent / "samples"
PAUSE = 0.2
"""Seconds between competitors, so that one's threads have gone to sleep when the next begins."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pack", metavar="PATH_OR_NAME", help="the pack to measure; the default pack without it"
    )
    parser.add_argument(
        "--repeats",
        type=at_least_one,
        default=7,
        help="the median of so many is shown (default: 7)",
    )
    return parser


def at_least_one(text: str) -> int:
    """A whole number from 1, for `argparse`."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def sample_photos() -> list[Path]:
    """The photos that come with RegionTalk."""
    return sorted(SAMPLES.glob("*.jpg"))


def median_seconds(
    competitors: Mapping[str, Callable[[], object]], repeats: int, warm_up: bool = True
) -> dict[str, float]:
    """The median time of each competitor.

    They take turns, so that whatever disturbs the machine disturbs all alike.

    Args:
        warm_up: call each once before, uncounted, since a first call loads and allocates.
    """
    times: dict[str, list[float]] = {name: [] for name in competitors}
    for compete in competitors.values() if warm_up else ():
        compete()
    for _ in range(repeats):
        for name, compete in competitors.items():
            time.sleep(PAUSE)
            began = time.perf_counter()
            compete()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in times.items()}


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; all columns but the first are numbers."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def ratio_rows(
    seconds: Mapping[str, float], things: int, goals: Mapping[str, float]
) -> list[list[str]]:
    """A row for each competitor: things per second, the first one's factor over it, and the goal.

    Args:
        seconds: the median time of each; the first is what is measured, the others are references.
        things: photos or captions that each works through.
        goals: how many times faster the first should at least be than a reference.
    """
    first = next(iter(seconds.values()))
    rows = []
    for name, time_taken in seconds.items():
        ratio = time_taken / first
        goal = goals.get(name)
        verdict = "" if goal is None else f"at least {goal:g}: {'yes' if ratio >= goal else 'NO'}"
        rows.append([name, f"{things / time_taken:.1f}", f"{ratio:.2f}", verdict])
    return rows
