"""SPICE (Anderson et al. 2016), which runs in Java, through pycocoevalcap, where both are installed.

METEOR, which does so too, is in `similarities`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from regiontalk.errors import ConfigError
from regiontalk.evaluation.captions.ngrams import Words

INSTALL = "it needs Java (`java` on the path) and the extra metrics-java: pip install 'regiontalk[metrics-java]'"


def require_java(metric: str) -> None:
    """Checks that a metric which needs Java can run.

    Raises:
        ConfigError: if not; it says what to install.
    """
    lacking = [
        name
        for name, there in (("Java", shutil.which("java")), ("pycocoevalcap", find_spec("pycocoevalcap")))
        if not there
    ]
    if lacking:
        raise ConfigError(f"--metrics {metric}: {' and '.join(lacking)} cannot be found; {INSTALL}")


def spice(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> tuple[float, np.ndarray]:
    """SPICE of all captions together and of each, in 0..1: a number and (N,).

    Raises:
        ConfigError: if it cannot run: its parser's models come from the network the first time, and it needs an old
            Java; both are told as the program tells them.
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
            f"--metrics spice: it could not run ({error}). The first time it loads its parser from the network, about "
            "400 MB, and it needs Java 8; see pycocoevalcap's page. Leave it out of --metrics for the other scores"
        ) from error
    return float(together), np.array([scores["All"]["f"] for scores in each])


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """What the programs print is no result of ours."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
