"""The browser's Viterbi is Python's, to the last bit.

The page decodes phrases anew without asking the server.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regiontalk
from regiontalk.alignment.certainty import log_odds_of, phrase_probability
from regiontalk.alignment.mrf import phrases, viterbi

SCRIPT = Path(regiontalk.__file__).parent / "web" / "static" / "viterbi.js"

ANSWER = """
import { readFileSync } from "node:fs";
const answer = ({ scores, beta, words, sures }) => {
  try {
    const { path, total } = viterbi(scores, beta ?? NaN);
    return { path, total, phrases: phrases(words, path), sure: phraseSure(sures ?? []) };
  } catch (error) {
    return { error: error.name };
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(process.argv[2], "utf8")).map(answer)));
"""


def run_js(cases: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """What the browser's code answers; skipped where there is no Node.js to run it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node (Debian: apt install nodejs)")
    file = folder / "cases.json"
    file.write_text(json.dumps(cases), encoding="utf-8")
    # As standard input, since Node.js takes the file itself for an older kind of module.
    program = SCRIPT.read_text(encoding="utf-8") + ANSWER
    command = [node, "--input-type=module", "-", str(file)]
    run = subprocess.run(
        command, input=program, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    answers: list[dict[str, Any]] = json.loads(run.stdout)
    return answers


def random_cases() -> list[dict[str, Any]]:
    """Matrices of many shapes: real ones, and few whole numbers, whose best paths are many."""
    rng = np.random.default_rng(6)
    cases = []
    for number in range(600):
        shape = (int(rng.integers(1, 25)), int(rng.integers(1, 21)))
        real = number % 2 == 0
        # float32, since that is what the server sends
        scores = (
            rng.normal(0, 1.5, shape).astype(np.float32) if real else rng.integers(-2, 3, shape)
        )
        beta = (
            float(rng.choice([0.0, 0.1, 0.15, 0.5, 1.0, 2.0, 100.0]))
            if number % 3
            else float(rng.gamma(1.0))
        )
        cases.append(
            {"scores": scores.tolist(), "beta": beta, "words": [f"w{j}" for j in range(shape[0])]}
        )
    return cases


def test_every_path_total_and_phrase_is_that_of_python(tmp_path: Path) -> None:
    cases = random_cases()
    for case, answer in zip(cases, run_js(cases, tmp_path), strict=True):
        unary = np.array(case["scores"])
        path, total = viterbi(unary, case["beta"])
        assert answer["path"] == path.tolist()
        assert answer["total"] == total
        cut = phrases(case["words"], path, unary, np.zeros((unary.shape[1], 4)))
        assert answer["phrases"] == [
            {"text": each.text, "start": each.start, "end": each.end, "region": each.region}
            for each in cut
        ]


def test_the_cases_hold_ties_and_changes() -> None:
    # Otherwise the comparison above would show little.
    cases = random_cases()
    ties = [case for case in cases if len(set(case["scores"][0])) < len(case["scores"][0])]
    runs = [len(set(viterbi(np.array(case["scores"]), case["beta"])[0].tolist())) for case in cases]
    assert len(ties) > 200
    assert sum(each > 1 for each in runs) > 200


@pytest.mark.parametrize("beta", [-0.1, None])
def test_no_beta_is_refused(tmp_path: Path, beta: float | None) -> None:
    assert run_js([{"scores": [[1.0]], "beta": beta, "words": ["a"]}], tmp_path) == [
        {"error": "RangeError"}
    ]


@pytest.mark.parametrize("scores", [[], [[]]])
def test_no_words_or_regions_are_refused(tmp_path: Path, scores: list[Any]) -> None:
    assert run_js([{"scores": scores, "beta": 1.0, "words": []}], tmp_path) == [
        {"error": "RangeError"}
    ]


def test_a_phrase_is_as_sure_as_in_python(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(200):
        sures = [
            None if rng.random() < 0.3 else round(float(rng.random()), 4)
            for _ in range(int(rng.integers(0, 6)))
        ]
        cases.append({"scores": [[1.0]], "beta": 0.0, "words": ["a"], "sures": sures})
    for case, answer in zip(cases, run_js(cases, tmp_path), strict=True):
        odds = [
            None if each is None else log_odds_of(min(max(each, 1e-5), 1 - 1e-5))
            for each in case["sures"]
        ]
        expected = phrase_probability(odds)
        assert answer["sure"] == (None if expected is None else pytest.approx(expected, rel=1e-6))
