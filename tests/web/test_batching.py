"""Jobs that come together are answered together; none can hurt another, or change its answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regiontalk.alignment.mrf import phrases, viterbi
from regiontalk.errors import ConfigError, SentenceError
from regiontalk.model import Model
from regiontalk.report.photos import alignment_data
from regiontalk.structures import Alignment, Description, Regions
from regiontalk.web.batching import (
    Align,
    Batcher,
    Describe,
    Look,
    LookAt,
    answer,
    check_box,
    check_sentence,
)
from regiontalk.web.decoder import open_upload


class Doubler:
    """Doubles numbers, refuses -1, remembers its batches, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.busy, self.free = threading.Event(), threading.Event()
        self.free.set()

    def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.busy.set()
        assert self.free.wait(30)
        self.batches.append(list(jobs))
        if -1 in jobs:
            raise ValueError("-1 is refused")
        return [2 * job for job in jobs]


@contextmanager
def batching(double: Doubler, coming: int = 0) -> Iterator[Batcher[int, int]]:
    batcher = Batcher(double, lambda: coming)
    try:
        yield batcher
    finally:
        double.free.set()
        batcher.close()


def test_what_waits_together_is_answered_together() -> None:
    double = Doubler()
    with batching(double) as batcher:
        double.free.clear()
        first = batcher.submit(0)
        assert double.busy.wait(30)  # the worker is at the first one, so the others wait
        rest = [batcher.submit(number) for number in range(1, 40)]
        double.free.set()
        assert [each.result(30) for each in (first, *rest)] == [2 * number for number in range(40)]
    assert double.batches[0] == [0]
    assert [job for batch in double.batches for job in batch] == list(range(40))
    assert [len(batch) for batch in double.batches] == [1, 16, 16, 7]


def test_one_alone_is_answered_alone() -> None:
    double = Doubler()
    with batching(double, coming=1) as batcher:
        assert [batcher.submit(number).result(30) for number in (3, 4)] == [6, 8]
    assert double.batches == [[3], [4]]


def test_those_that_never_come_are_not_waited_for_long() -> None:
    with batching(Doubler(), coming=1000) as batcher:
        assert batcher.submit(3).result(30) == 6


def test_a_bad_job_fails_alone() -> None:
    double = Doubler()
    with batching(double) as batcher:
        double.free.clear()
        batcher.submit(0)
        assert double.busy.wait(30)
        good, bad, fine = (batcher.submit(number) for number in (1, -1, 2))
        double.free.set()
        assert (good.result(30), fine.result(30)) == (2, 4)
        with pytest.raises(ValueError, match="-1 is refused"):
            bad.result(30)
        assert batcher.alive
        assert batcher.submit(5).result(30) == 10


def test_cancelled_jobs_are_not_done() -> None:
    double = Doubler()
    with batching(double) as batcher:
        double.free.clear()
        batcher.submit(0)
        assert double.busy.wait(30)
        gone, stays = batcher.submit(1), batcher.submit(2)
        assert gone.cancel()
        double.free.set()
        assert stays.result(30) == 4
    assert double.batches == [[0], [2]]


def test_close_cancels_what_waits() -> None:
    double = Doubler()
    batcher = Batcher(double, lambda: 0)
    double.free.clear()
    first = batcher.submit(0)
    assert double.busy.wait(30)
    waiting = batcher.submit(1)
    threading.Timer(0.1, double.free.set).start()
    batcher.close()
    assert first.result(30) == 0
    with pytest.raises(CancelledError):
        waiting.result(30)
    assert not batcher.alive


# Questions


SENTENCE = "A dog is running on the grass"
SIZE = 64


def test_answers_are_the_models_own(model: Model, photo_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.open(photo_file).crop((20, 5, 100, 70)).save(other)
    files = [photo_file, other, photo_file, other, other]
    opened = [open_upload(file.read_bytes(), str(file), SIZE, 10**6) for file in files]
    replies = answer(
        model,
        [
            Describe(opened[0], None, None),
            Align(opened[1], SENTENCE, 0.0),
            Look(opened[2]),
            Describe(opened[3], 1, None),
            Align(opened[4], SENTENCE, None),
        ],
    )
    described, aligned, looked, narrow, by_default = replies
    assert isinstance(described, Description)
    assert isinstance(narrow, Description)
    assert isinstance(aligned, Alignment)
    assert isinstance(by_default, Alignment)
    assert isinstance(looked, Regions)
    assert texts(described) == texts(model.describe(photo_file))
    assert texts(narrow) == texts(model.describe(other, beam=1))
    assert aligned.phrases == pytest.approx(model.align(other, SENTENCE, 0.0).phrases)
    assert by_default.beta == model.pack.settings.alignment.beta
    expected = model.look(photo_file)[0]
    assert np.array_equal(looked.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_allclose(looked.vectors, expected.vectors, rtol=1e-5, atol=1e-5)
    assert described.to_json()["file"] == str(photo_file)


def test_a_given_box_among_other_questions(model: Model, photo_file: Path) -> None:
    opened = open_upload(photo_file.read_bytes(), "x", SIZE, 10**6)
    box = (10.0, 20.0, 60.0, 70.0)
    replies = answer(
        model,
        [
            LookAt(opened, box),
            Describe(opened, None, None),
            LookAt(opened, (0, 0, 9, 9)),
            Look(opened),
        ],
    )
    given, described, other, looked = replies
    assert isinstance(given, Description) and isinstance(other, Description)
    assert isinstance(described, Description) and isinstance(looked, Regions)
    expected = model.look(photo_file, [np.array([box], np.float32)])
    assert given.regions.boxes_xyxy.tolist() == expected[0].boxes_xyxy.tolist()
    np.testing.assert_allclose(given.regions.vectors, expected[0].vectors, rtol=1e-5, atol=1e-5)
    assert texts(given) == texts(model.describe_regions(expected)[0])
    assert other.regions.boxes_xyxy[1].tolist() == pytest.approx([0, 0, 9, 9], abs=1e-4)
    assert texts(described) == texts(model.describe(photo_file))


def test_a_box_is_cut_to_its_photo(photo_file: Path) -> None:
    opened = open_upload(photo_file.read_bytes(), "x", SIZE, 10**6)
    width, height = float(opened.width), float(opened.height)
    assert check_box(opened, (-5, 3.5, 1e6, 1e6)) == (0, 3.5, width, height)
    for box in ((5, 5, 5.5, 50), (50, 5, 5, 50), (-9, -9, 0, 0), (width, 0, width + 9, 9)):
        with pytest.raises(
            ConfigError, match=rf"box: .* inside the photo, which has {opened.width} by"
        ):
            check_box(opened, box)


def texts(description: Description) -> list[str]:
    return [description.caption.text, *(each.text for each in description.region_captions)]


def test_temperature_draws(model: Model, photo_file: Path) -> None:
    opened = open_upload(photo_file.read_bytes(), "x", SIZE, 10**6)
    drawn = answer(model, [Describe(opened, None, 5.0)] * 8)
    found = {each.caption.text for each in drawn if isinstance(each, Description)}
    assert len(found) > 1  # 8 times the same sentence of such a random network would be a wonder
    assert found <= {text for text in found if text}


@pytest.mark.parametrize(
    ("sentence", "reason"), [("", "empty"), (" .!? ", "no word"), ("zyzzyva qwx", "none of the")]
)
def test_sentences_without_meaning(model: Model, sentence: str, reason: str) -> None:
    with pytest.raises(SentenceError, match=reason):
        check_sentence(model.pack.vocabulary, sentence)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 4.0, 50.0])
def test_scores_decode_to_the_same_phrases(model: Model, photo_file: Path, beta: float) -> None:
    """Six digits are enough for whoever decodes again with another β."""
    sent = alignment_data(model.align(photo_file, SENTENCE))
    words = [word["text"] for word in sent["words"]]
    boxes = np.array([region["box_xyxy"] for region in sent["regions"]])
    scores = np.array(sent["scores"])
    assert scores.shape == (len(words), len(boxes))
    again = phrases(words, viterbi(scores, beta)[0], scores, boxes)
    expected = model.align(photo_file, SENTENCE, beta).phrases
    assert [(p.start, p.end, p.region) for p in again] == [
        (p.start, p.end, p.region) for p in expected
    ]
    assert [p.score for p in again] == pytest.approx(
        [p.score for p in expected], rel=1e-4, abs=1e-4
    )
    assert sent["beta"] == model.pack.settings.alignment.beta
    assert all(
        len(f"{abs(value):.12g}".replace(".", "").lstrip("0")) <= 6
        for row in sent["scores"]
        for value in row
    )
