"""Decoding: batched beam search, greedy decoding and sampling.

All of them step one flat batch of live hypotheses of all rows; a row is one context. Rows that are
done leave the batch, so they cost nothing and cannot affect the others.

A sentence is at least one word, then END, at most `max_words` tokens in all; its log-probability is
summed over its words *and* END. A hypothesis of `max_words` words without END is truncated:
`finished` is False, its log-probability lacks END's, and it ranks behind every finished one.

Axis names: N rows, n live hypotheses of all rows, V words of the vocabulary, t words so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from regiontalk.recurrence import State

BOUNDARY = 0
"""START as input, END as output: `Vocabulary.BOUNDARY`."""

_BLOCK = 32
_WIDE = 2 * _BLOCK
"""`top_k` prunes by blocks of columns from this many columns per result on."""


class Stepper(Protocol):
    """Protocol of what can be decoded: `Captioner`, or another autoregressive model."""

    def start(self, contexts: Any) -> State:
        """N contexts -> the state before the first word, a tuple of (N, H)."""

    def step(self, state: State, word_ids: np.ndarray) -> tuple[State, np.ndarray]:
        """The state after a word (N,) for each row, and next-word log-probabilities (N, V)."""


@dataclass(frozen=True)
class Hypothesis:
    """A sentence with its log-probability in nats.

    Attributes:
        ids: the words' ids, without START and END.
        log_prob: Σ log p(word) + log p(END); without END's share if not `finished`.
        finished: whether END was generated within the allowed length.
    """

    ids: tuple[int, ...]
    log_prob: float
    finished: bool = True

    def rank(self, length_normalisation: float) -> float:
        """Log-probability / length ** α, END counted in the length."""
        return self.log_prob / float((len(self.ids) + 1) ** length_normalisation)


@dataclass(frozen=True)
class _Live:
    """Unfinished hypotheses of all rows, sorted by row, best first within each."""

    row: np.ndarray  # (n,) int64
    ids: np.ndarray  # (n, t) int64
    log_prob: np.ndarray  # (n,) float64
    state: State  # arrays (n, H), after all words but the last

    @classmethod
    def start(cls, captioner: Stepper, contexts: Sized) -> _Live:
        rows = len(contexts)
        state = captioner.start(contexts)
        return cls(np.arange(rows), np.zeros((rows, 0), np.int64), np.zeros(rows), state)

    def __len__(self) -> int:
        return len(self.row)

    def _last_words(self) -> np.ndarray:
        if not self.ids.shape[1]:
            return np.full(len(self), BOUNDARY, np.int64)
        last: np.ndarray = self.ids[:, -1]
        return last

    def step(self, captioner: Stepper) -> tuple[State, np.ndarray]:
        """One step of the captioner for all: the states, and log-probabilities (n, V)."""
        state, log_probs = captioner.step(self.state, self._last_words())
        if not self.ids.shape[1]:
            log_probs = log_probs.copy()
            log_probs[:, BOUNDARY] = -np.inf  # no empty caption
        return state, log_probs

    def take(self, picked: np.ndarray) -> _Live:
        state = tuple(array[picked] for array in self.state)
        return _Live(self.row[picked], self.ids[picked], self.log_prob[picked], state)

    def extend(
        self, parent: np.ndarray, word: np.ndarray, log_prob: np.ndarray, state: State
    ) -> _Live:
        ids = np.concatenate([self.ids[parent], word[:, None]], axis=1)
        return _Live(self.row[parent], ids, log_prob, tuple(array[parent] for array in state))

    def hypothesis(self, at: int, finished: bool) -> Hypothesis:
        """The hypothesis at index `at`; END, a finished one's last id, is dropped."""
        words = self.ids[at, :-1] if finished else self.ids[at]
        return Hypothesis(tuple(words.tolist()), float(self.log_prob[at]), finished)


def beam_search(
    captioner: Stepper,
    contexts: Sized,
    beam: int = 5,
    max_words: int = 20,
    length_normalisation: float = 0.0,
    once: np.ndarray | None = None,
) -> list[list[Hypothesis]]:
    """Batched beam search: the most probable sentences for each context.

    At each step the `beam` best continuations of each row by log-probability are kept; those that
    end in END are finished. A row is done when it has `beam` finished hypotheses that no live one
    can still beat. With a beam as wide as there are sentences the search is exact; with beam 1 it
    is `greedy`.

    Args:
        contexts: N, the captioner's visual inputs.
        beam: hypotheses kept in each row, at least 1.
        max_words: the most tokens of a sentence, at least 1.
        length_normalisation: α >= 0. Finished hypotheses are ranked by log-probability / length **
            α, END counted in the length; `log_prob` itself is never changed.
        once: (V,) bool, words that occur at most once in a sentence; None for none. A captioner
            trained with an n-gram reward repeats words, as in "a bed with a bed": it costs little.

    Returns:
        N lists of up to `beam` hypotheses, best first, finished ones before unfinished ones; empty
        only where no word but END is possible.

    Raises:
        ValueError: if `beam`, `max_words` or `length_normalisation` is out of range.
    """
    _check_at_least_one(beam=beam, max_words=max_words)
    if not 0 <= length_normalisation < np.inf:
        raise ValueError(
            f"length_normalisation must be a number from 0, found {length_normalisation}"
        )
    finished = [_Finished(beam, max_words, length_normalisation) for _ in range(len(contexts))]
    live = _Live.start(captioner, contexts)
    for _ in range(max_words):
        if not len(live):
            break
        candidates = _best_continuations(captioner, live, beam, once)
        ended = candidates.ids[:, -1] == BOUNDARY
        for at in np.flatnonzero(ended).tolist():
            finished[candidates.row[at]].add(candidates.hypothesis(at, finished=True))
        live = candidates.take(np.flatnonzero(~ended))
        live = live.take(np.flatnonzero(_going_on(live, finished)))
    for at in range(len(live)):
        finished[live.row[at]].add_unfinished(live.hypothesis(at, finished=False))
    return [each.ranked() for each in finished]


def greedy(captioner: Stepper, contexts: Sized, max_words: int = 20) -> list[Hypothesis]:
    """Greedy decoding: one sentence for each context (N, X)."""
    return _roll_out(captioner, contexts, max_words, lambda log_probs: log_probs.argmax(axis=1))


def sample(
    captioner: Stepper,
    contexts: Sized,
    temperature: float,
    rng: np.random.Generator,
    max_words: int = 20,
) -> list[Hypothesis]:
    """Ancestral sampling: one sentence for each context.

    Args:
        contexts: N, the captioner's visual inputs.
        temperature: > 0; words are drawn from softmax(log p / temperature). Below 1 sharpens the
            distribution, 1 leaves it unchanged.
        max_words: the most tokens of a sentence.

    Returns:
        N hypotheses; `log_prob` is at temperature 1.

    Raises:
        ValueError: if `temperature` is not above 0 or `max_words` is below 1.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be above 0, found {temperature}")

    def draw(log_probs: np.ndarray) -> np.ndarray:  # Gumbel-max trick
        words: np.ndarray = (log_probs / temperature + rng.gumbel(size=log_probs.shape)).argmax(
            axis=1
        )
        return words

    return _roll_out(captioner, contexts, max_words, draw)


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest scores of each row, in descending order; ties by lower column.

    Args:
        scores: (N, V), no NaN.
        k: at most V.

    Returns:
        (N, k) int64 columns.
    """
    width = scores.shape[1]
    if width >= _WIDE * k:
        return _top_k_of_blocks(scores, k)
    return _top_k(scores, k)


def _top_k_of_blocks(scores: np.ndarray, k: int) -> np.ndarray:
    """`top_k` of many columns, pruned to k blocks of them.

    The k largest scores lie in the k blocks with the largest maxima. Ties between blocks go to the
    earlier one, as ties between scores do.
    """
    rows, width = scores.shape
    starts = np.arange(0, width, _BLOCK)
    # chosen: (N, k) blocks, in order
    chosen = np.sort(_top_k(np.maximum.reduceat(scores, starts, axis=1), k), axis=1)
    columns = (chosen[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(rows, -1)  # (N, k * block)
    # The last block may reach past the end: -inf there
    inside = np.minimum(columns, width - 1)
    few = np.where(columns < width, np.take_along_axis(scores, inside, axis=1), -np.inf)
    found: np.ndarray = np.take_along_axis(columns, _top_k(few, k), axis=1)
    return found


def _top_k(scores: np.ndarray, k: int) -> np.ndarray:
    rows, width = scores.shape
    # Partition and not sort: linear in the vocabulary, of which only k words are wanted. The
    # threshold, (N, 1), is the k-th largest.
    threshold = np.partition(scores, width - k, axis=1)[:, width - k, None]
    reached = scores >= threshold
    counts = reached.sum(axis=1)
    # Ties at the threshold, which are rare, go to the earlier columns
    for row in np.flatnonzero(counts > k):
        reached[row] = False
        reached[row, np.argsort(-scores[row], kind="stable")[:k]] = True
    columns = np.nonzero(reached)[1].reshape(rows, k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    ordered: np.ndarray = np.take_along_axis(columns, order, axis=1)
    return ordered


class _Finished:
    """The finished hypotheses of one row, at most `beam`, best first."""

    def __init__(self, beam: int, max_words: int, alpha: float) -> None:
        self._beam, self._max_words, self._alpha = beam, max_words, alpha
        self._kept: list[tuple[float, Hypothesis]] = []
        self._unfinished: list[Hypothesis] = []

    def add(self, hypothesis: Hypothesis) -> None:
        self._kept.append((hypothesis.rank(self._alpha), hypothesis))
        self._kept.sort(key=lambda pair: -pair[0])  # stable: ties go to the earlier
        del self._kept[self._beam :]

    def add_unfinished(self, hypothesis: Hypothesis) -> None:
        self._unfinished.append(hypothesis)  # they come best first, and all are equally long

    def may_enter(self, log_prob: float) -> bool:
        """Whether an unfinished hypothesis may still enter the beam.

        Its rank is bounded from above by END at probability 1 and the greatest length.
        """
        if len(self._kept) < self._beam:
            return True
        return bool(log_prob / self._max_words**self._alpha > self._kept[-1][0])

    def ranked(self) -> list[Hypothesis]:
        return ([hypothesis for _, hypothesis in self._kept] + self._unfinished)[: self._beam]


def _best_continuations(
    captioner: Stepper, live: _Live, beam: int, once: np.ndarray | None
) -> _Live:
    """One step: the `beam` best continuations of each row by one word, END included."""
    state, log_probs = live.step(captioner)  # (n, V)
    if once is not None:
        log_probs = _without_repeats(log_probs, live.ids, once)
    branches = min(beam, log_probs.shape[1])
    words = top_k(log_probs, branches)  # (n, branches): no row can keep more of one parent
    totals = live.log_prob[:, None] + np.take_along_axis(log_probs, words, axis=1)
    # R rows have live hypotheses
    _, first, row = np.unique(live.row, return_index=True, return_inverse=True)
    slot = np.arange(len(live)) - first[row]  # (n,) place within the row
    widest = int(slot.max()) + 1
    # Rows have different numbers of hypotheses: a table (R, widest, branches), padded with -inf,
    # lets one top_k serve them all.
    table = np.full((len(first), widest, branches), -np.inf)
    table[row, slot] = totals
    flat = table.reshape(len(first), -1)
    best = top_k(flat, min(beam, flat.shape[1]))  # (R, up to beam)
    best_row, at = np.nonzero(np.isfinite(np.take_along_axis(flat, best, axis=1)))
    best_slot, branch = np.divmod(best[best_row, at], branches)
    parent = first[best_row] + best_slot
    return live.extend(parent, words[parent, branch], totals[parent, branch], state)


def _without_repeats(log_probs: np.ndarray, ids: np.ndarray, once: np.ndarray) -> np.ndarray:
    """Log-probabilities (n, V) with -inf for words of `once` that occur in `ids` (n, t)."""
    rows, places = np.nonzero(once[ids])
    if len(rows):
        log_probs = log_probs.copy()
        log_probs[rows, ids[rows, places]] = -np.inf
    return log_probs


def _going_on(live: _Live, finished: list[_Finished]) -> np.ndarray:
    """Early stopping, (n,) bool: False for a row whose best can no longer enter the beam."""
    _, first, row = np.unique(live.row, return_index=True, return_inverse=True)
    enter = [finished[live.row[at]].may_enter(live.log_prob[at]) for at in first]
    return np.array(enter, bool)[row]


def _roll_out(
    captioner: Stepper, contexts: Sized, max_words: int, choose: Callable[[np.ndarray], np.ndarray]
) -> list[Hypothesis]:
    """One hypothesis a row; `choose` maps log-probabilities (n, V) to the next words (n,)."""
    _check_at_least_one(max_words=max_words)
    done: dict[int, Hypothesis] = {}
    live = _Live.start(captioner, contexts)
    for _ in range(max_words):
        if not len(live):
            break
        state, log_probs = live.step(captioner)
        words = choose(log_probs)
        everyone = np.arange(len(live))
        live = live.extend(everyone, words, live.log_prob + log_probs[everyone, words], state)
        ended = words == BOUNDARY
        done |= {
            int(live.row[at]): live.hypothesis(at, finished=True)
            for at in np.flatnonzero(ended).tolist()
        }
        live = live.take(np.flatnonzero(~ended))
    done |= {int(live.row[at]): live.hypothesis(at, finished=False) for at in range(len(live))}
    return [done[row] for row in range(len(contexts))]


def _check_at_least_one(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, found {value}")
