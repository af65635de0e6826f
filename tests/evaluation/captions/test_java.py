from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from regiontalk.errors import ConfigError
from regiontalk.evaluation.captions import java
from regiontalk.evaluation.captions.java import meteor, meteor_is_installed, meteor_note
from regiontalk.evaluation.captions.metric import rouge_l
from regiontalk.evaluation.regions.run import find_similarity

CANDIDATES = [["a", "dog", "runs"], ["two", "people"], [], ["green"]]
REFERENCES = [[["a", "dog", "runs"], ["x"]], [["two", "men"]], [["snow"]], [["a", "dog"]]]


def test_rouge() -> None:
    assert np.array_equal(
        find_similarity("rouge_l")(CANDIDATES, REFERENCES), rouge_l(CANDIDATES, REFERENCES)
    )


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match="--similarity best: expected one of meteor, rouge_l"):
        find_similarity("best")


def test_meteor_is_never_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "find_spec", lambda name: None)
    assert not meteor_is_installed()
    assert meteor_note().startswith("not measured: METEOR needs Java")
    with pytest.raises(
        ConfigError, match=r"--similarity meteor: METEOR needs Java.*--similarity rouge_l"
    ):
        find_similarity("meteor")


@pytest.mark.skipif(not meteor_is_installed(), reason="needs Java and the extra metrics-java")
def test_meteor() -> None:
    together, each = meteor(CANDIDATES, REFERENCES)
    assert each[0] == 1
    assert 0 < each[1] < 1
    assert each[2] == each[3] == 0
    assert 0 < together < 1
    assert np.array_equal(find_similarity("meteor")(CANDIDATES, REFERENCES), each)
    nothing, none = meteor([[]], [[["snow"]]])
    assert (nothing, none.tolist()) == (0.0, [0.0])


class Broken:
    """A METEOR whose program has ended: as pycocoevalcap's, it keeps its lock when it fails."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.meteor_p = subprocess.Popen(
            [sys.executable, "-c", ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def compute_score(self, truths: object, candidates: object) -> None:
        self.lock.acquire()
        self.meteor_p.stdin.close()
        float("")


def test_a_meteor_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    java._end_meteor()
    broken = Broken()
    monkeypatch.setattr(java, "import_module", lambda name: SimpleNamespace(Meteor=lambda: broken))
    with pytest.raises(ConfigError, match="METEOR could not run"):
        meteor(CANDIDATES, REFERENCES)
    assert not broken.lock.locked()
    assert broken.meteor_p.returncode is not None
