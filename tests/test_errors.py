"""Too little memory, whatever a library makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from regiontalk.errors import memory_errors

PanicException = type("PanicException", (BaseException,), {})
"""As pyo3 makes it."""

IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from regiontalk.errors import DataError
from regiontalk.evaluation.retrieval.saved import evaluate_scores
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    evaluate_scores(Path(sys.argv[1]))
except DataError as error:
    print(error)
"""
"""Reads a file with so many bytes of address space more than what is imported takes."""


@pytest.mark.parametrize(
    "error",
    [
        PanicException("PyObject pointer is null"),
        PanicException("Python API call failed"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError(
            "unable to mmap 40000080 bytes from file <x.safetensors>: Cannot allocate memory (12)"
        ),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
    ],
)
def test_what_is_about_memory(error: BaseException) -> None:
    with pytest.raises(MemoryError), memory_errors():
        raise error


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(2), ValueError("no such tensor"), OSError(5, "disk")]
)
def test_all_else_is_let_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, memory_errors():
        raise error
    assert caught.value is error


def test_what_is_needed_is_asked_for_before() -> None:
    with pytest.raises(MemoryError), memory_errors(1 << 62):
        pytest.fail("begun")


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of address space, as Linux has it")
@pytest.mark.parametrize("room", [4_000_000, 12_000_000])
def test_a_real_file_in_too_little_memory(tmp_path: Path, room: int) -> None:
    """8 MB, which are mapped and then copied.

    With room for one of the two, the library in Rust would panic.
    """
    file = tmp_path / "scores.safetensors"
    safetensors.numpy.save_file({"scores": np.zeros((1000, 2000), np.float32)}, file)
    line = [sys.executable, "-c", IN_LITTLE_MEMORY, str(file), str(room)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == (f"{file}: too little memory to read it\n", "")
