"""How alike captions are to their references: METEOR, and measures of single captions by their names.

METEOR 1.5 (Denkowski and Lavie 2014) runs in Java, through pycocoevalcap, where both are installed.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from regiontalk.errors import ConfigError
from regiontalk.evaluation.captions.rouge import rouge_l
from regiontalk.evaluation.regions.metric import Similarity

NAMES = ("meteor", "rouge_l")

_INSTALL = "METEOR needs Java (`java` on the path) and the extra metrics-java (pip install 'regiontalk[metrics-java]')"

Texts = Sequence[Sequence[str]]
"""The words of some captions."""


def find_similarity(name: str) -> Similarity:
    """The similarity of a name, in 0..1 for each caption.

    Raises:
        ConfigError: if there is none of this name, or it needs what is not installed.
    """
    if name == "rouge_l":
        return rouge_l
    if name != "meteor":
        raise ConfigError(f"--similarity {name}: expected one of {', '.join(NAMES)}")
    if not meteor_is_installed():
        raise ConfigError(
            f"--similarity meteor: {_INSTALL}. Without them ask for another by its name, such as --similarity rouge_l: "
            "its numbers are not those of other people's dense captioning"
        )
    return lambda candidates, references: meteor(candidates, references)[1]


def meteor_is_installed() -> bool:
    """Whether `meteor` can run here."""
    return shutil.which("java") is not None and find_spec("pycocoevalcap") is not None


def meteor_note() -> str:
    """What a signature says about METEOR."""
    return "1.5, Java, by pycocoevalcap" if meteor_is_installed() else f"not measured: {_INSTALL}"


def meteor(candidates: Texts, references: Sequence[Texts]) -> tuple[float, np.ndarray]:
    """METEOR of all captions together and of each, in 0..1: a number and (N,). Only where it is installed.

    Captions without words, which the program would not take, count 0 each and are left out of the number of all.

    Raises:
        ConfigError: if the program fails.
    """
    rows = [row for row, words in enumerate(candidates) if words]
    each = np.zeros(len(candidates))
    if not rows:
        return 0.0, each
    truths = {row: [" ".join(words) for words in references[row]] for row in rows}
    try:
        together, scores = _meteor_program().compute_score(truths, {row: [" ".join(candidates[row])] for row in rows})
    except (OSError, ValueError) as error:  # the program ended, so that what it should have said is no number
        _end_meteor()
        raise ConfigError(f"METEOR could not run ({error}); it needs a working `java` and 2 GB of memory") from error
    each[rows] = scores
    return float(together), each


@cache
def _meteor_program() -> Any:
    """The program, started once: Java takes longer to start than to score some hundred captions."""
    atexit.register(_end_meteor)
    return import_module("pycocoevalcap.meteor.meteor").Meteor()


def _end_meteor() -> None:
    """End the program and its pipes: pycocoevalcap leaves that to chance, and after an error waits for its own lock."""
    if not _meteor_program.cache_info().currsize:
        return
    scorer = _meteor_program()
    _meteor_program.cache_clear()
    if scorer.lock.locked():
        scorer.lock.release()
    scorer.meteor_p.kill()
    scorer.meteor_p.wait()
    for stream in (scorer.meteor_p.stdin, scorer.meteor_p.stdout, scorer.meteor_p.stderr):
        with suppress(OSError):  # what was not sent any more
            stream.close()
