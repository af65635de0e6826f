"""The benchmark of caption metrics runs and says what it measured.

How fast anything is, no test says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "captions_metrics.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(BENCHMARK), "--repeats", "1", "--photos", "20", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_it_runs() -> None:
    ended = run()
    assert ended.returncode == 0, ended.stderr
    assert "20 predictions, 5 references each" in ended.stdout
    assert "RegionTalk" in ended.stdout
    assert ("All scores were equal" in ended.stdout) != (
        "pycocoevalcap was not measured:" in ended.stdout
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script as a program")
def test_without_the_reference_it_says_so(tmp_path: Path) -> None:
    ended = run("--python", str(no_pycocoevalcap(tmp_path)))
    assert ended.returncode == 0, ended.stderr
    assert "pycocoevalcap was not measured:" in ended.stdout


def no_pycocoevalcap(folder: Path) -> Path:
    """A program that, as a Python without pycocoevalcap would, fails."""
    program = folder / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return program
