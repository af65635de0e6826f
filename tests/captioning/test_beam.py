"""The searches against brute force over every sentence, and against each other."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.captioning.attention import Contexts
from regiontalk.captioning.beam import BOUNDARY, Hypothesis, beam_search, greedy, sample, top_k
from regiontalk.captioning.captioner import UNKNOWN, Captioner
from regiontalk.recurrence import State

from .made import TableCaptioner, make_captioner, make_contexts, one_by_one


def every_sentence(
    captioner: Captioner, context: Contexts, words: int, max_words: int
) -> list[Hypothesis]:
    """Brute force.

    Sentences of 1 to max_words - 1 words and END, and those of max_words words without END.
    """
    found = []
    for length in range(1, max_words + 1):
        for ids in itertools.product(range(2, words), repeat=length):
            finished = length < max_words
            tokens = [*ids, BOUNDARY] if finished else list(ids)
            found.append(Hypothesis(ids, log_prob_of(captioner, context, tokens), finished))
    return found


def log_prob_of(captioner: Captioner, context: Contexts, tokens: list[int]) -> float:
    state, last, total = captioner.start(context), BOUNDARY, 0.0
    for token in tokens:
        state, log_probs = captioner.step(state, np.array([last]))
        total += float(log_probs[0, token])
        last = token
    return total


def ranked(sentences: list[Hypothesis], alpha: float) -> list[Hypothesis]:
    def rank(h: Hypothesis) -> tuple[bool, float]:
        length = len(h.ids) + 1 if h.finished else len(h.ids)
        return not h.finished, -h.log_prob / length**alpha

    return sorted(sentences, key=rank)


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    np.testing.assert_allclose(
        [h.log_prob for h in found], [h.log_prob for h in expected], rtol=1e-4, atol=1e-4
    )
    assert [(h.ids, h.finished) for h in found] == [(h.ids, h.finished) for h in expected]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_a_wide_beam_is_brute_force(cell: str, alpha: float) -> None:
    """V = 5 (3 real words), up to 4 words: 39 sentences with END, 81 without.

    A beam of 120 keeps them all.
    """
    captioner, contexts = make_captioner(cell, 5, seed=3), make_contexts(3, seed=3)
    found = beam_search(captioner, contexts, beam=120, max_words=4, length_normalisation=alpha)
    for context, hypotheses in zip(one_by_one(contexts), found, strict=True):
        expected = ranked(every_sentence(captioner, context, 5, 4), alpha)
        assert len(expected) == 39 + 81
        assert_same(hypotheses, expected)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    words=st.integers(3, 5),
    max_words=st.integers(1, 4),
    alpha=st.sampled_from([0, 1]),
)
def test_the_best_of_a_wide_beam_is_the_best_sentence(
    seed: int, words: int, max_words: int, alpha: float
) -> None:
    captioner, contexts = make_captioner("gru", words, seed), make_contexts(2, seed)
    sentences = [
        every_sentence(captioner, context, words, max_words) for context in one_by_one(contexts)
    ]
    found = beam_search(captioner, contexts, len(sentences[0]), max_words, alpha)
    for hypotheses, everything in zip(found, sentences, strict=True):
        best = ranked(everything, alpha)[0]
        assert hypotheses[0].finished == best.finished
        length = len(best.ids) + 1 if best.finished else len(best.ids)
        found_length = len(hypotheses[0].ids) + 1 if best.finished else len(hypotheses[0].ids)
        assert hypotheses[0].log_prob / found_length**alpha == pytest.approx(
            best.log_prob / length**alpha, abs=1e-4
        )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 6),
    beam=st.integers(1, 7),
    max_words=st.integers(1, 9),
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
    alpha=st.sampled_from([0.0, 0.6]),
    attention=st.sampled_from([0, 8]),
)
def test_batch_is_one_at_a_time(
    seed: int, rows: int, beam: int, max_words: int, cell: str, alpha: float, attention: int
) -> None:
    captioner, contexts = make_captioner(cell, 8, seed, 1.5, attention), make_contexts(rows, seed)
    together = beam_search(captioner, contexts, beam, max_words, alpha)
    for row, hypotheses in enumerate(together):
        alone = beam_search(captioner, contexts[row : row + 1], beam, max_words, alpha)[0]
        assert_same(hypotheses, alone)


def plain_beam_search(
    captioner: Captioner, context: Contexts, beam: int, max_words: int, alpha: float
) -> list:
    """The definition, one sentence at a time and without stopping early."""
    living: list[tuple[tuple[int, ...], float, State]] = [((), 0.0, captioner.start(context))]
    done: list[Hypothesis] = []
    for _ in range(max_words):
        candidates = []
        for ids, total, state in living:
            after, log_probs = captioner.step(state, np.array([ids[-1] if ids else BOUNDARY]))
            for word, gain in enumerate(log_probs[0].tolist()):
                if ids or word != BOUNDARY:  # END is no first word
                    candidates.append(((*ids, word), total + gain, after))
        candidates = sorted(candidates, key=lambda candidate: -candidate[1])[:beam]
        done += [Hypothesis(ids[:-1], total) for ids, total, _ in candidates if ids[-1] == BOUNDARY]
        living = [each for each in candidates if each[0][-1] != BOUNDARY and each[1] > -np.inf]
    return ranked([*done, *(Hypothesis(ids, total, False) for ids, total, _ in living)], alpha)[
        :beam
    ]


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("beam", [1, 2, 4])
@pytest.mark.parametrize("seed", range(12))
def test_stopping_early_changes_nothing(seed: int, beam: int, alpha: float) -> None:
    """With α = 2 long sentences often overtake short ones: an early stop misses them."""
    captioner, contexts, max_words = (
        make_captioner("gru", 6, seed, scale=1.5),
        make_contexts(1, seed),
        8,
    )
    found = beam_search(captioner, contexts, beam, max_words, alpha)[0]
    assert_same(found, plain_beam_search(captioner, contexts[:1], beam, max_words, alpha))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    beam=st.integers(1, 6),
    max_words=st.integers(1, 10),
    alpha=st.sampled_from([0.0, 1.0]),
)
def test_every_hypothesis_is_sound(seed: int, beam: int, max_words: int, alpha: float) -> None:
    captioner, contexts = make_captioner("lstm", 7, seed), make_contexts(3, seed)
    for context, hypotheses in zip(
        one_by_one(contexts), beam_search(captioner, contexts, beam, max_words, alpha), strict=True
    ):
        assert 1 <= len(hypotheses) <= beam
        assert len({h.ids for h in hypotheses}) == len(hypotheses)
        assert hypotheses == ranked(hypotheses, alpha)
        for h in hypotheses:
            assert not {BOUNDARY, UNKNOWN} & set(h.ids)
            assert len(h.ids) < max_words if h.finished else len(h.ids) == max_words
            tokens = [*h.ids, BOUNDARY] if h.finished else list(h.ids)
            assert h.log_prob == pytest.approx(log_prob_of(captioner, context, tokens), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), max_words=st.integers(1, 10), alpha=st.sampled_from([0.0, 1.0]))
def test_greedy_is_beam_one(seed: int, max_words: int, alpha: float) -> None:
    captioner, contexts = make_captioner("rnn", 9, seed), make_contexts(5, seed)
    narrow = beam_search(captioner, contexts, 1, max_words, alpha)
    assert_same([only for (only,) in narrow], greedy(captioner, contexts, max_words))


def test_greedy_by_hand_and_a_beam_that_beats_it() -> None:
    """Greedy starts with the likelier word 2 and ends at 0.6 * 0.3.

    A beam of 2 finds 3, END at 0.4 * 0.9.
    """
    p = np.full((1, 4, 4), 1e-9)
    p[0, BOUNDARY, [2, 3]] = 0.6, 0.4
    p[0, 2, [BOUNDARY, 2, 3]] = 0.3, 0.25, 0.2
    p[0, 3, [BOUNDARY, 3]] = 0.9, 0.1
    captioner, context = TableCaptioner(np.log(p)), np.zeros((1, 1))
    (first,) = greedy(captioner, context, max_words=5)
    assert first.ids == (2,)
    assert first.log_prob == pytest.approx(math.log(0.6 * 0.3))
    ((best, second),) = beam_search(captioner, context, beam=2, max_words=5)
    assert (best.ids, second.ids) == ((3,), (2,))
    assert best.log_prob == pytest.approx(math.log(0.4 * 0.9))


def test_length_normalisation_ranks_but_keeps_the_log_prob() -> None:
    """One word and END have log(0.5) over two tokens.

    Three words and END have log(0.5 * 0.9) over four.
    """
    p = np.full((1, 5, 5), 1e-9)
    p[0, BOUNDARY, 2] = 1.0
    p[0, 2, [BOUNDARY, 3]] = 0.5, 0.5
    p[0, 3, 4] = 1.0
    p[0, 4, BOUNDARY] = 0.9
    captioner, context = TableCaptioner(np.log(p)), np.zeros((1, 1))
    assert beam_search(captioner, context, beam=2, max_words=5)[0][0].ids == (2,)
    best = beam_search(captioner, context, beam=2, max_words=5, length_normalisation=1.0)[0][0]
    assert best.ids == (2, 3, 4)
    assert best.log_prob == pytest.approx(math.log(0.5 * 0.9), abs=1e-6)


def test_a_sentence_has_at_least_one_word() -> None:
    """Even where END is by far the likeliest; the log-probability stays the captioner's own."""
    p = np.full((1, 4, 4), 1e-9)
    p[0, :, BOUNDARY], p[0, :, 2], p[0, :, 3] = 0.9, 0.06, 0.04
    captioner, context = TableCaptioner(np.log(p)), np.zeros((1, 1))
    assert [h.ids for h in beam_search(captioner, context, beam=2, max_words=3)[0]] == [(2,), (3,)]
    (only,) = greedy(captioner, context)
    assert only.ids == (2,)
    assert only.log_prob == pytest.approx(math.log(0.06 * 0.9))
    assert all(h.ids for h in sample(captioner, np.zeros((200, 1)), 1.0, np.random.default_rng(0)))


def test_a_row_that_never_ends_is_closed_and_its_neighbour_is_not_touched() -> None:
    p = np.full((2, 3, 3), 1e-12)
    p[0, :, 2] = 1.0  # says word 2 for ever
    p[1, BOUNDARY, 2] = 1.0
    p[1, 2, BOUNDARY] = 1.0
    captioner, contexts = TableCaptioner(np.log(p)), np.array([[0.0], [1.0]])
    endless, short = beam_search(captioner, contexts, beam=1, max_words=4)
    assert endless == [Hypothesis((2, 2, 2, 2), 0.0, finished=False)]
    assert short == [Hypothesis((2,), 0.0, finished=True)]


def test_finished_hypotheses_come_first_however_unlikely() -> None:
    p = np.full((1, 3, 3), 1e-12)
    p[0, :, 2], p[0, :, BOUNDARY] = 0.999, 0.001
    found = beam_search(TableCaptioner(np.log(p)), np.zeros((1, 1)), beam=3, max_words=3)[0]
    assert [(h.ids, h.finished) for h in found] == [
        ((2,), True),
        ((2, 2), True),
        ((2, 2, 2), False),
    ]
    assert found[2].log_prob > found[0].log_prob


def test_rows_that_are_done_are_no_longer_computed() -> None:
    seen: list[int] = []

    class Counting(TableCaptioner):
        def step(self, state, word_ids):  # type: ignore[no-untyped-def]
            seen.append(len(word_ids))
            return super().step(state, word_ids)

    p = np.full((2, 3, 3), 1e-12)
    p[0, :, 2] = 1.0
    p[1, BOUNDARY, 2] = 1.0
    p[1, 2, BOUNDARY] = 1.0  # ends after a word
    beam_search(Counting(np.log(p)), np.array([[0.0], [1.0], [1.0]]), beam=1, max_words=4)
    assert seen == [3, 3, 1, 1]


def test_ties_go_to_the_lower_word() -> None:
    p = np.full((1, 5, 5), np.log(0.25))
    p[:, :, UNKNOWN] = -np.inf
    found = beam_search(TableCaptioner(p), np.zeros((1, 1)), beam=2, max_words=1)[0]
    assert [(h.ids, h.finished) for h in found] == [((2,), False), ((3,), False)]
    found = beam_search(TableCaptioner(p), np.zeros((1, 1)), beam=4, max_words=2)[0]
    # All from the first of three equal ones
    assert [h.ids for h in found] == [(2,), (2, 2), (2, 3), (2, 4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beam": 0}, "beam must be at least 1, found 0"),
        ({"max_words": 0}, "max_words must be at least 1, found 0"),
        (
            {"length_normalisation": -1.0},
            "length_normalisation must be a number from 0, found -1.0",
        ),
        (
            {"length_normalisation": math.nan},
            "length_normalisation must be a number from 0, found nan",
        ),
    ],
)
def test_senseless_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        beam_search(make_captioner("gru", 5, 0), make_contexts(1, 0), **arguments)  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_top_k_is_a_stable_sort(data: st.DataObject) -> None:
    """Few distinct values, so that ties are common; -inf is a value like any other."""
    rows, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    values = st.sampled_from([-np.inf, -2.0, -1.0, 0.0, 0.5])
    scores = np.array(
        data.draw(st.lists(values, min_size=rows * width, max_size=rows * width))
    ).reshape(rows, width)
    k = data.draw(st.integers(1, width))
    np.testing.assert_array_equal(
        top_k(scores, k), np.argsort(-scores, axis=1, kind="stable")[:, :k]
    )


@given(st.integers(0, 10_000), st.integers(1, 9), st.booleans())
def test_top_k_of_many_columns_is_a_stable_sort(seed: int, k: int, few_values: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 5)), int(rng.integers(64 * k, 64 * k + 200)))
    scores = (
        rng.integers(0, 3, shape).astype(np.float32)
        if few_values
        else rng.normal(size=shape).astype(np.float32)
    )
    scores[rng.random(shape) < 0.3] = -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(top_k(scores, k), expected)


def test_words_said_once_are_not_said_again() -> None:
    class Echo:
        """Says word 2 again and again, then 3."""

        def start(self, contexts: np.ndarray) -> tuple[np.ndarray]:
            return (np.zeros((len(contexts), 1)),)

        def step(
            self, state: tuple[np.ndarray], word_ids: np.ndarray
        ) -> tuple[tuple[np.ndarray], np.ndarray]:
            return state, np.tile(np.log([0.1, 1e-9, 0.6, 0.3]), (len(word_ids), 1))

    contexts = np.zeros((1, 1))
    (row,) = beam_search(Echo(), contexts, beam=4, max_words=4, length_normalisation=1.0)
    assert row[0].ids[:2] == (2, 2)
    (row,) = beam_search(Echo(), contexts, 4, 4, 1.0, once=np.array([False, False, True, False]))
    assert all(each.ids.count(2) <= 1 for each in row) and any(
        each.ids.count(3) > 1 for each in row
    )
