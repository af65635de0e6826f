"""The command line as a process: streams, signals, memory, what is imported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regiontalk

Process = Callable[..., subprocess.Popen[Any]]

posix = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and devices of POSIX")


def test_as_a_user_types_it(process: Process, photo_file: Path, tmp_path: Path) -> None:
    started = process("describe", photo_file, "--draw", tmp_path / "out.png")
    out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (0, "")
    assert out.startswith(f"{photo_file} (120 x 80)\n")
    assert (tmp_path / "out.png").is_file()


def imported_after(arguments: list[str]) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    code = (
        "import sys\nfrom regiontalk.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print('imported', *{name.split('.')[0] for name in sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["describe", "--help"], ["train", "--help"]]
)
def test_help_waits_for_nothing(arguments: list[str]) -> None:
    assert not imported_after(arguments) & {
        "numpy",
        "onnxruntime",
        "PIL",
        "safetensors",
        "torch",
        "rich",
    }


def test_the_runtime_never_imports_pytorch(
    tiny_pack: Path, photo_file: Path, tmp_path: Path
) -> None:
    more = ["--pack", str(tiny_pack), "--draw", str(tmp_path / "out.png")]
    for arguments in (["describe", str(photo_file)], ["align", str(photo_file), "a dog"]):
        imported = imported_after([*arguments, *more])
        assert "onnxruntime" in imported
        assert not imported & {"torch", "onnx", "onnxscript", "rich"}


@posix
def test_a_reader_that_goes_away(process: Process, photo_file: Path) -> None:
    started = process("describe", *[photo_file] * 300, "--json")
    assert started.stdout is not None and started.stderr is not None
    first = json.loads(started.stdout.readline())
    started.stdout.close()
    err = started.stderr.read()
    started.stderr.close()
    assert started.wait(timeout=60) == 141
    assert first["file"] == str(photo_file)
    assert err == ""


@posix
def test_help_into_a_pipe_that_is_closed() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        line = [sys.executable, "-m", "regiontalk", "--help"]
        ended = subprocess.run(line, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in ended.stderr


@posix
def test_interrupted(process: Process, photo_file: Path) -> None:
    """Ctrl-C: what is done stays printed in whole lines."""
    started = process("describe", *[photo_file] * 2000, "--json")
    assert started.stdout is not None
    # So it is past its start; the pipe fills up long before all is done
    first = started.stdout.readline()
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert err == "regiontalk: interrupted\n"
    lines = [first, *out.splitlines()]
    assert len(lines) < 2000
    assert all(json.loads(line)["file"] == str(photo_file) for line in lines[:-1])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["describe", "{photo}", "--json"], ["regions", "{photo}"]])
def test_stdout_on_a_full_disk(process: Process, photo_file: Path, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        started = process(
            *(each.replace("{photo}", str(photo_file)) for each in arguments), stdout=full
        )
        _, err = started.communicate(timeout=60)
    assert started.returncode == 1
    assert err == "regiontalk: standard output: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_on_a_full_disk(option: str) -> None:
    with open("/dev/full", "w") as full:
        line = [sys.executable, "-m", "regiontalk", option]
        ended = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert (
        ended.stderr == "regiontalk: standard output cannot be written (No space left on device)\n"
    )


@posix
def test_stdout_that_is_closed(process: Process, photo_file: Path) -> None:
    started = process("describe", photo_file, preexec_fn=lambda: os.close(1))
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (0, "")


def test_an_encoding_that_lacks_letters(process: Process, photo_file: Path, tmp_path: Path) -> None:
    name = tmp_path / "müller→.jpg"
    name.write_bytes(photo_file.read_bytes())
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    started = process("describe", name, env=ascii_only)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (0, "")
    assert "m\\xfcller\\u2192.jpg" in out
    started = process("describe", name, "--json", env=ascii_only)
    out, _ = started.communicate(timeout=60)
    assert json.loads(out)["file"] == str(name)


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a thousand photos, 320 x 240 each; every hundredth is broken in its own way."""
    folder = tmp_path_factory.mktemp("thousand")
    rng = np.random.default_rng(0)
    whole = []
    for seed in range(10):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        path = folder / f"{seed}.tmp"
        coarse.resize((320, 240), Image.Resampling.BILINEAR).save(path, "JPEG")
        whole.append(path.read_bytes())
        path.unlink()
    damage = [
        b"",
        b"text",
        whole[0][:200],
        whole[1][:1000],
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\0" * 500,
    ]
    for number in range(1000):
        broken = number % 100 == 50
        content = damage[number // 100 % len(damage)] if broken else whole[number % 10]
        (folder / f"{number:04}{'_broken' if broken else ''}.jpg").write_bytes(content)
    return folder


@posix
def test_a_thousand_photos_with_ten_broken_ones(
    process: Process, thousand: Path, tmp_path: Path
) -> None:
    def describe(*photos: Path) -> tuple[int, int]:
        """Exit status and peak memory in bytes of a process that describes photos."""
        with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
            started = process("describe", *photos, "--json", stdout=out, stderr=err)
            _, status, usage = os.wait4(started.pid, 0)
            started.returncode = os.waitstatus_to_exitcode(status)
        return started.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    files = sorted(thousand.iterdir())
    status, few = describe(*files[:50])
    assert status == 0
    assert len((tmp_path / "out").read_text().splitlines()) == 50
    status, many = describe(thousand)
    assert status == 1
    found = [json.loads(line)["file"] for line in (tmp_path / "out").read_text().splitlines()]
    assert found == [str(file) for file in files if "_broken" not in file.name]
    assert len(found) == 990

    *named, summary = (tmp_path / "err").read_text().splitlines()
    assert len(named) == 10
    for line, file in zip(named, (file for file in files if "_broken" in file.name), strict=True):
        assert str(file) in line
    assert "10 of 1000" in summary
    # Decoded and kept, a thousand of these photos would take 230 MB.
    assert many - few < 30e6


def test_version(process: Process) -> None:
    line = [sys.executable, "-m", "regiontalk", "--version"]
    ended = subprocess.run(line, capture_output=True, text=True, check=True)
    assert ended.stdout == f"regiontalk {regiontalk.__version__}\n"
