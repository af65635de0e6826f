"""How long and how large a fresh process is.

Of `regiontalk --help`, and of `regiontalk describe` on one photo.

    python benchmarks/startup.py
    python benchmarks/startup.py --pack FOLDER --repeats 15

Time is from start to exit, memory is the process's peak; beside them stand a bare Python and one
that only imports NumPy and ONNX Runtime, started in turns. Needs a system with `wait4`: Linux or
macOS.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from measuring import arguments, print_table, sample_photos

BARE = "bare Python"


@dataclass(frozen=True)
class Goal:
    """Upper limits; None for none."""

    seconds: float | None = None
    megabytes: float | None = None


GOALS = {"regiontalk --help": Goal(0.4), "regiontalk describe": Goal(1.5, 500)}


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__).parse_args()
    photo = str(next(path for path in sample_photos() if path.stem == "chelsea"))
    describe = ["-m", "regiontalk", "describe", photo]
    commands = {
        BARE: ["-c", "pass"],
        "import numpy, onnxruntime": ["-c", "import numpy, onnxruntime"],
        "regiontalk --help": ["-m", "regiontalk", "--help"],
        "regiontalk describe": describe
        if options.pack is None
        else [*describe, "--pack", options.pack],
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(options.repeats + 1):
        for name, command in commands.items():
            figures = run(command)
            if turn:  # the first one fills the file cache
                measured[name].append(figures)
    rows = [_row(name, figures, measured[BARE]) for name, figures in measured.items()]
    print_table(
        f"fresh processes, median of {options.repeats}",
        ["", "s", "x bare Python", "peak MB", "s goal", "MB goal"],
        rows,
    )


def run(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak megabytes of one fresh Python process.

    Raises:
        SystemExit: if it fails; its own message stands above.
    """
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(
            f"{' '.join(arguments)} ended with status {process.returncode}: nothing was measured."
        )
    # ru_maxrss is in bytes there, in KiB elsewhere
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return seconds, usage.ru_maxrss / unit


def _row(
    name: str, figures: list[tuple[float, float]], bare: list[tuple[float, float]]
) -> list[str]:
    seconds, megabytes = (statistics.median(each) for each in zip(*figures, strict=True))
    reference = statistics.median(each for each, _ in bare)
    goal = GOALS.get(name, Goal())
    limits = [_verdict(seconds, goal.seconds), _verdict(megabytes, goal.megabytes)]
    return [name, f"{seconds:.2f}", f"{seconds / reference:.1f}", f"{megabytes:.0f}", *limits]


def _verdict(value: float, limit: float | None) -> str:
    return "" if limit is None else f"under {limit:g}: {'yes' if value < limit else 'NO'}"


if __name__ == "__main__":
    main()
