"""What `make` says and would do, tried without doing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTALLING = "Installing the runtime into"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """As `make demo` left a virtual environment: stamps newer than what the install depends on."""
    for stamp in (".made", ".runtime"):
        (tmp_path / stamp).touch()
    (tmp_path / "lib" / "python3.12" / "site-packages").mkdir(parents=True)
    return tmp_path


def would_run(target: str, venv: Path) -> str:
    """The commands of a target, none of them run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    line = ["make", "--dry-run", f"VENV={venv}", target]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_an_installed_clone_is_left_as_it_is(venv: Path) -> None:
    assert INSTALLING not in would_run("demo", venv)


def test_a_copy_in_place_of_the_editable_install_is_replaced(venv: Path) -> None:
    """`pip install '.[web]'` leaves a copy of the package.

    A changed source would change nothing any more.
    """
    stamp = (venv / ".runtime").stat().st_mtime_ns
    copy = venv / "lib" / "python3.12" / "site-packages" / "regiontalk"
    copy.mkdir()
    # Clocks of files may tick slowly, and make warns of times to come
    while copy.stat().st_mtime_ns <= stamp:
        os.utime(copy)
    commands = would_run("demo", venv)
    assert INSTALLING in commands and "--editable ." in commands


def test_the_demo_ends_with_how_to_call_it_and_the_next_step(venv: Path) -> None:
    commands = would_run("demo", venv)
    assert commands.startswith(
        f"{venv}/bin/regiontalk describe src/regiontalk/samples/coffee.jpg --draw demo.png\n"
    )
    said = commands[commands.index("echo") :]
    assert f". {venv}/bin/activate" in said and f"or call it as {venv}/bin/regiontalk" in said
    assert said.splitlines()[-1].startswith('echo "    regiontalk search ')
