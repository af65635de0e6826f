"""Run by test_index.py: `index add`, again and again.

Each time in a process that is killed at a random line of ours. python kill_index_add.py PHOTOS PACK
FOLDER KILLS: for each kill there is then an index in FOLDER that was killed once and finished by
another run, and one, "whole", that nothing disturbed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from regiontalk.cli import main
from regiontalk.search import adding

OURS = ("search", "index.py", "photos.py")


def run(arguments: list[str], kill_at: int | None, traced: bool = True) -> tuple[int, int]:
    """A process of its own that adds photos.

    How it ended, and how many lines of ours it had run, if it is traced.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        lines = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal lines
            file = Path(frame.f_code.co_filename)
            if not any(name in OURS for name in (file.name, file.parent.name)):
                return None
            lines += event == "line"
            if lines == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace if traced else None)
        try:
            main(arguments)
        except SystemExit as ended:
            sys.settrace(None)
            os.write(write, str(lines).encode())
            os._exit(int(ended.code or 0))
    os.close(write)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        return os.waitstatus_to_exitcode(status), int(pipe.read() or 0)


def drive(photos: str, pack: str, folder: Path, kills: int) -> None:
    """All of it; prints what was killed where."""
    adding.GROUP = 8  # several commits

    def add(name: str) -> list[str]:
        return [
            "index",
            "add",
            photos,
            "--index",
            str(folder / name),
            "--pack",
            pack,
            "--threads",
            "1",
        ]

    status, lines = run(add("whole"), None)
    if status != 1:  # one photo is broken
        raise SystemExit(f"the undisturbed run ended with {status}")
    moments = random.Random(0).sample(range(1, lines), kills)
    for number, moment in enumerate(moments):
        name = f"killed-{number:02}"
        status, _ = run(add(name), moment)
        again, _ = run(add(name), None, traced=False)  # tracing takes most of the time
        if (status, again) != (-signal.SIGKILL, 1):
            raise SystemExit(
                f"line {moment} of {lines}: ended with {status}, and then with {again}"
            )
        print(name, moment, lines)


if __name__ == "__main__":
    drive(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
