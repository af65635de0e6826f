"""METEOR 1.5 (Denkowski and Lavie 2014) and SPICE (Anderson et al. 2016), in Java.

Both run by pycocoevalcap.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from regiontalk.errors import ConfigError
from regiontalk.evaluation.captions.ngrams import Words

NEEDS = (
    "needs Java (`java` on the path) and the extra metrics-java (pip install "
    "'regiontalk[metrics-java]')"
)


def require_java(metric: str) -> None:
    """Checks that a metric which needs Java can run.

    Raises:
        ConfigError: if not; it says what to install.
    """
    if lacking := _lacking():
        raise ConfigError(
            f"--metrics {metric}: {' and '.join(lacking)} cannot be found; it {NEEDS}"
        )


def meteor_is_installed() -> bool:
    """Whether `meteor` can run here."""
    return not _lacking()


def meteor_note() -> str:
    """METEOR's entry in a signature."""
    return (
        "1.5, Java, by pycocoevalcap" if meteor_is_installed() else f"not measured: METEOR {NEEDS}"
    )


def meteor(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[float, np.ndarray]:
    """METEOR of the corpus and of each caption, in 0..1: a number and (N,).

    Needs `meteor_is_installed`. Captions without words, which the program rejects, count 0 each and
    are left out of the corpus score.

    Raises:
        ConfigError: if the program fails.
    """
    rows = [row for row, words in enumerate(candidates) if words]
    each = np.zeros(len(candidates))
    if not rows:
        return 0.0, each
    truths = {row: [" ".join(words) for words in references[row]] for row in rows}
    try:
        together, scores = _meteor_program().compute_score(
            truths, {row: [" ".join(candidates[row])] for row in rows}
        )
    except (OSError, ValueError) as error:
        # If the process has died, its answer is empty, not a number
        _end_meteor()
        raise ConfigError(
            f"METEOR could not run ({error}); it needs a working `java` and 2 GB of memory"
        ) from error
    each[rows] = scores
    return float(together), each


def spice(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[float, np.ndarray]:
    """SPICE of the corpus and of each caption, in 0..1: a number and (N,).

    Raises:
        ConfigError: if it cannot run: its parser's models come from the network the first time, and
            it needs an old Java. The message has the program's error.
    """
    truths = {row: [" ".join(words) for words in each] for row, each in enumerate(references)}
    try:
        with _stdout_to_stderr():
            scorer: Any = import_module("pycocoevalcap.spice.spice").Spice()
            together, each = scorer.compute_score(
                truths, {row: [" ".join(words)] for row, words in enumerate(candidates)}
            )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ConfigError(
            f"--metrics spice: it could not run ({error}). The first time it loads its parser from "
            "the network, about 400 MB, and it needs Java 8; see pycocoevalcap's page. Leave it "
            "out of --metrics for the other scores"
        ) from error
    return float(together), np.array([scores["All"]["f"] for scores in each])


def _lacking() -> list[str]:
    """Requirements of both that are not installed."""
    needed = {"Java": shutil.which("java"), "pycocoevalcap": find_spec("pycocoevalcap")}
    return [name for name, found in needed.items() if not found]


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Redirects stdout, of subprocesses too, to stderr: results go to stdout."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@cache
def _meteor_program() -> Any:
    """The process, started once: Java takes longer to start than to score some hundred captions."""
    atexit.register(_end_meteor)
    return import_module("pycocoevalcap.meteor.meteor").Meteor()


def _end_meteor() -> None:
    """Ends the process and its pipes.

    pycocoevalcap does not do so reliably, and after an error waits for its own lock.
    """
    if not _meteor_program.cache_info().currsize:
        return
    scorer = _meteor_program()
    _meteor_program.cache_clear()
    if scorer.lock.locked():
        scorer.lock.release()
    scorer.meteor_p.kill()
    scorer.meteor_p.wait()
    for stream in (scorer.meteor_p.stdin, scorer.meteor_p.stdout, scorer.meteor_p.stderr):
        with contextlib.suppress(OSError):  # unsent data cannot be flushed
            stream.close()
