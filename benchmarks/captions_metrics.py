"""Caption metrics per second, PTB tokens included.

RegionTalk's Python against pycocoevalcap with its Java tokeniser. python
benchmarks/captions_metrics.py python benchmarks/captions_metrics.py --python OTHER/bin/python
--photos 5000

Needs Java, and pycocoevalcap in this Python or in the other one. Without them only RegionTalk is
timed.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from measuring import arguments, at_least_one, print_table

from regiontalk.evaluation.captions import ptb
from regiontalk.evaluation.captions.metric import caption_scores

REFERENCES = 5
GOAL_RATIO, GOAL_SECONDS = 5.0, 10.0

# Runs in the other Python: reads the captions, times what coco-caption does, prints seconds and
# scores.
OTHERS = """
import contextlib, io, json, sys, time
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
predictions, references = json.load(open(sys.argv[1]))
wrap = lambda rows: {i: [{"caption": text} for text in row] for i, row in enumerate(rows)}
began = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    results = PTBTokenizer().tokenize(wrap([[text] for text in predictions]))
    truths = PTBTokenizer().tokenize(wrap(references))
    scores = [*Bleu(4).compute_score(truths, results)[0]]
    scores += [metric.compute_score(truths, results)[0] for metric in (Rouge(), Cider())]
print(json.dumps([time.perf_counter() - began, [float(score) for score in scores]]))
"""
NAMES = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider")

Captions = tuple[list[str], list[list[str]]]
Timed = tuple[float, list[float]]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.set_defaults(repeats=3)
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="the Python that has pycocoevalcap; this one without",
    )
    parser.add_argument(
        "--photos", type=at_least_one, default=5000, help="predictions (default: 5000)"
    )
    options = parser.parse_args()

    captions = make_captions(options.photos)
    reason = lacking(options.python)
    mine, theirs = [], []
    # in turns, so that whatever disturbs the machine disturbs both
    for _ in range(options.repeats):
        mine.append(ours(captions))
        if not reason:
            theirs.append(others(captions, options.python))
    if theirs:
        require_equal(mine[0][1], theirs[0][1])
    seconds = median(each[0] for each in mine)
    verdict = f"under {GOAL_SECONDS:g} s: {'yes' if seconds < GOAL_SECONDS else 'NO'}"
    rows = [["RegionTalk", f"{seconds:.2f}", "1.0", verdict]]
    if theirs:
        reference = median(each[0] for each in theirs)
        ratio = reference / seconds
        goal = f"at least {GOAL_RATIO:g}: {'yes' if ratio >= GOAL_RATIO else 'NO'}"
        rows.append(["pycocoevalcap with Java", f"{reference:.2f}", f"{ratio:.1f}", goal])
    title = (
        f"{options.photos} predictions, {REFERENCES} references each, median of {options.repeats}"
    )
    print_table(title, ["", "seconds", "ratio", "goal"], rows)
    print(
        f"pycocoevalcap was not measured: {reason}."
        if reason
        else "All scores were equal to 4 decimals."
    )


def make_captions(photos: int, seed: int = 0) -> Captions:
    """Captions of about 11 words with real text's frequencies, capitals and punctuation."""
    draw = random.Random(seed)
    letters = "etaoinshrdlcumwfgypb"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(8000)]
    words[50:60] = [
        "dog's",
        "don't",
        "t-shirt",
        "black-and-white",
        "10",
        "No.",
        "U.S.",
        '"stop"',
        "(left)",
        "1/2",
    ]
    weights = [1 / rank for rank in range(1, len(words) + 1)]

    def caption() -> str:
        drawn = draw.choices(words, weights, k=draw.randint(5, 17))
        return " ".join(drawn).capitalize() + draw.choice([".", " .", "", ", it is ."])

    return [caption() for _ in range(photos)], [
        [caption() for _ in range(REFERENCES)] for _ in range(photos)
    ]


def ours(captions: Captions) -> Timed:
    """Seconds and scores, with nothing remembered of the time before."""
    ptb.forget()
    began = time.perf_counter()
    candidates = [ptb.ptb_tokenise(text) for text in captions[0]]
    scores = caption_scores(
        candidates, [[ptb.ptb_tokenise(text) for text in texts] for texts in captions[1]]
    )
    return time.perf_counter() - began, [getattr(scores, name) / 100 for name in NAMES]


def others(captions: Captions, python: str) -> Timed:
    """The same by pycocoevalcap. Starting Python and loading modules is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "captions.json"
        file.write_text(json.dumps(captions))
        line = [python, "-c", OTHERS, str(file)]
        ended = subprocess.run(line, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"pycocoevalcap failed: nothing was measured.\n{ended.stderr}")
    seconds, scores = json.loads(ended.stdout)
    return seconds, scores


def lacking(python: str) -> str:
    """What pycocoevalcap needs and is not there; empty if all is."""
    if not shutil.which("java"):
        return "Java cannot be found"
    ended = subprocess.run([python, "-c", "import pycocoevalcap"], capture_output=True, check=False)
    return f"{python} has no pycocoevalcap" if ended.returncode else ""


def require_equal(mine: list[float], theirs: list[float]) -> None:
    """Times of different results say nothing."""
    for name, one, other in zip(NAMES, mine, theirs, strict=True):
        if abs(one - other) > 5e-5:
            raise SystemExit(
                f"{name} is {one:.6f} here and {other:.6f} there: nothing was measured."
            )


if __name__ == "__main__":
    main()
