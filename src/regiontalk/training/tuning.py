"""Tuning of a pack: room for new words, its tensors as networks, and weight averaging.

- Before training, a pack with room for new words reads and scores as it did.
- Its weights are half floats with the standardisation of inputs folded in. Networks train best on
  inputs of mean 0 and deviation 1, so `standardise_alignment` and `standardise_captioner`
  standardise by the new photos' statistics; outputs stay the same.
- The best weights of the run are kept, and then averaged with the first ones: a run like any other
  (`regiontalk.training.loop`), with one file more for the best weights so far and one for the
  outcome. Killed at any moment, the same call ends with the same outcome.

Axis names: V words that the pack has learnt, P placed words, G dimensions of their vectors, d of a
word vector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from regiontalk.captioning.attention import Contexts
from regiontalk.language import Vocabulary
from regiontalk.language.reader import PlacedVectors
from regiontalk.pack import PLACED, Arrays, Pack
from regiontalk.settings import PackSettings
from regiontalk.training.alignment_net import AlignmentNet, WordsNet, standardise
from regiontalk.training.captioner_net import Attention, CaptionerNet, folded_captioner
from regiontalk.training.checkpoint import FILE_NAME, read_tensors, write_tensors
from regiontalk.training.config import require_same_run
from regiontalk.training.loop import Task, measure, train

CAPTIONERS = ("photo_captioner", "region_captioner")
WORD_AXES: Mapping[str, int] = {"embedding": 0, "W_oh": 1, "b_o": 0}
"""Tensors that have a slice for each word, and its axis."""
BEST, TUNED = "best.safetensors", "tuned.safetensors"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the tuned weights in the mean: with 0 only new words change."""

Goodness = tuple[float, ...]
"""Score of an evaluation, the greater the better, compared lexicographically."""
AGAIN = "remove it and give the command again"
Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PackParts:
    """A pack without its graph, as `regiontalk.pack.save_pack` takes it."""

    settings: PackSettings
    vocabulary: Vocabulary
    arrays: Arrays


def with_new_words(pack: Pack, vocabulary: Vocabulary) -> PackParts:
    """The pack's tensors for a vocabulary that extends its own (`Vocabulary.extended`).

    The words network reads a new word as before: a placed word by its projected vector, any other
    as UNKNOWN. Captioners start with the mean of all words for it, and with its log-frequency in
    the new captions for a bias.
    """
    old, arrays = pack.vocabulary, {name: dict(tensors) for name, tensors in pack.arrays.items()}
    new = vocabulary.words[len(old.words) :]
    embedding = arrays["words"]["embedding"]
    arrays["words"]["embedding"] = np.concatenate([embedding, vectors_before(new, pack)])
    shares = np.log(new_shares(old, vocabulary))
    for name in CAPTIONERS:
        arrays[name] = captioner_with_words(arrays[name], shares)
    settings = pack.settings
    if vocabulary.placed:
        kept = old.encode(vocabulary.placed) - len(old)
        arrays[PLACED] = {**arrays[PLACED], "vectors": arrays[PLACED]["vectors"][kept]}
    elif arrays.pop(PLACED, None) is not None:  # all placed words are learnt now
        settings = replace(settings, words=replace(settings.words, vector_dim=0))
    return PackParts(settings, vocabulary, arrays)


def vectors_before(words: tuple[str, ...], pack: Pack) -> np.ndarray:
    """The vectors by which the pack reads words that are not in its learnt vocabulary.  # (n, d)"""
    vocabulary, embedding = pack.vocabulary, pack.arrays["words"]["embedding"]
    vectors = np.repeat(embedding[Vocabulary.UNKNOWN][None], len(words), axis=0)
    ids = vocabulary.encode(words)
    placed = ids >= len(vocabulary)
    if placed.any():
        vectors[placed] = PlacedVectors(pack.arrays[PLACED])[ids[placed] - len(vocabulary)]
    return vectors


def new_shares(old: Vocabulary, new: Vocabulary) -> np.ndarray:
    """Share of each new word in all words of the new captions.  # (n,)"""
    total = int(new.counts.sum() - old.counts.sum())
    shares: np.ndarray = new.counts[len(old) :].astype(np.float32) / max(total, 1)
    return shares


def captioner_with_words(
    tensors: Mapping[str, np.ndarray], log_shares: np.ndarray
) -> dict[str, np.ndarray]:
    """A captioner's tensors with room for n more words.

    Each starts as the mean of the others, with log-shares (n,) for biases.
    """
    grown = dict(tensors)
    for name, axis in WORD_AXES.items():
        if name in tensors:
            real = np.take(tensors[name], range(2, tensors[name].shape[axis]), axis)
            mean = np.repeat(real.mean(axis, keepdims=True), len(log_shares), axis)
            grown[name] = np.concatenate(
                [tensors[name], log_shares if name == "b_o" else mean], axis
            )
    return grown


def alignment_network(
    words: Weights, projection: Weights, cell: str, dropout: float = 0.0
) -> AlignmentNet:
    """The alignment of a pack, in evaluation mode.

    Pretrained vectors are part of the pack's word vectors already, so the network has none. The
    scale of scores inside a loss, which no pack holds, begins at 1.

    Args:
        words, projection: the pack's tensors of these names.
        cell: of the words network.
        dropout: while it is trained.
    """
    (size, embedding), (hidden, dim) = words["embedding"].shape, words["W_d"].shape
    net = AlignmentNet(
        WordsNet(size, embedding, hidden, dim, dropout, cell), len(projection["W_m"]), dim, dropout
    )
    load_tensors(net, {f"words.{name}": value for name, value in words.items()} | dict(projection))
    return net.eval()


def captioner_network(tensors: Weights, cell: str, dropout: float = 0.0) -> CaptionerNet:
    """A captioner of a pack, in evaluation mode.

    Args:
        tensors: the pack's `photo_captioner` or `region_captioner`.
        cell: its cell.
        dropout: while it is trained.
    """
    (size, embedding), (context, hidden) = tensors["embedding"].shape, tensors["W_hi"].shape
    attention = None
    if "W_kr" in tensors:
        attention = Attention(
            len(tensors["W_kr"]), hidden, tensors["W_kr"].shape[1], embedding, dropout
        )
    net = CaptionerNet(np.ones(size), context, cell, hidden, embedding, dropout, attention)
    own = {name.removeprefix("attention."): name for name in net.state_dict()}
    load_tensors(net, {own[name]: value for name, value in tensors.items()})
    return net.eval()


@torch.no_grad()
def standardise_alignment(net: AlignmentNet, features: np.ndarray) -> None:
    """Standardise inputs by the statistics of features (n, D), with the same v_i as before."""
    raw = net.folded_projection()
    standardise(net, features)
    net.W_m.copy_(raw["W_m"] * net.deviation[:, None])
    net.b_m.copy_(raw["b_m"] + net.mean @ raw["W_m"])


@torch.no_grad()
def standardise_captioner(net: CaptionerNet, seen: Contexts) -> None:
    """Standardise inputs by the statistics of contexts, with the same captions as before."""
    raw = {
        name: torch.from_numpy(value) for name, value in folded_captioner(net.state_dict()).items()
    }
    net.set_statistics(seen)
    net.W_hi.copy_(raw["W_hi"] * net.deviation[:, None])
    net.b_hi.copy_(raw["b_hi"] + net.mean @ raw["W_hi"])
    if net.attention is not None:
        for name in ("W_kr", "W_vr"):
            net.attention.get_parameter(name).copy_(raw[name] * net.attention.deviation[:, None])
        net.attention.b_s.copy_(raw["b_s"] + net.attention.mean @ raw["W_vr"] @ raw["W_sa"])


def load_tensors(net: nn.Module, tensors: Weights) -> None:
    """Load all weights of a network.

    Input statistics and the loss's scale, which packs lack, stay as they are.
    """
    loaded = {
        name: torch.from_numpy(np.array(value, np.float32)) for name, value in tensors.items()
    }
    lacking = {name for name in net.state_dict() if name not in loaded}
    assert all(name.split(".")[-1] in ("mean", "deviation", "log_scale") for name in lacking), (
        lacking
    )
    net.load_state_dict({**net.state_dict(), **loaded})


@dataclass(frozen=True)
class Choice:
    """How weights are selected by their evaluation.

    Attributes:
        step: score by which steps of the run are compared.
        share: score by which shares of the mean are compared.
        patience: early stopping: evaluations without a better one after which the run ends.
        words: tensors with a slice for each word, and its axis.
        known: V; words from there on are new, and keep their tuned weights in every mean.
    """

    step: Callable[[Mapping[str, float]], Goodness]
    share: Callable[[Mapping[str, float]], Goodness]
    patience: int
    words: Mapping[str, int]
    known: int


def tune(task: Task, folder: Path, choice: Choice) -> float:
    """Tune a task's network, or load the outcome of an earlier call.

    Args:
        task: its network has the first weights, and the outcome in the end; its `enough` is not
            used.

    Returns:
        The share of the tuned weights in the mean.

    Raises:
        TrainingError: if a file of the folder is damaged or of another run; as `train`.
    """
    network, first = task.network, copied(task.network)
    if (folder / TUNED).exists():
        tensors, metadata = read_tensors(folder / TUNED, AGAIN)
        require_same_run(folder / TUNED, metadata["run"], task.run)
        network.load_state_dict(tensors)
        network.eval()
        return float(metadata["share"])
    best = Best(
        network, folder / BEST, task.run, choice.step, choice.patience * task.validate_every
    )
    train(replace(task, enough=best), folder)
    learnt, _ = read_tensors(folder / BEST, AGAIN)
    share = best_share(task, first, learnt, choice)
    network.load_state_dict(mixed(first, learnt, share, choice))
    network.eval()
    write_tensors(network.state_dict(), folder / TUNED, {"run": task.run, "share": str(share)})
    for name in (FILE_NAME, BEST):  # several times the size of the outcome, and of no more use
        (folder / name).unlink(missing_ok=True)
    return share


class Best:
    """The weights of the best evaluation so far, in a file; ties go to the earlier one.

    A resumed run may find weights of a step that it has yet to repeat: the evaluation there gives
    the same, and the outcome is that of a run without a stop.

    Args:
        goodness: score of an evaluation.
        patience: steps without a better evaluation after which the run ends.
    """

    def __init__(
        self,
        network: nn.Module,
        file: Path,
        run: str,
        goodness: Callable[[Mapping[str, float]], Goodness],
        patience: int,
    ) -> None:
        self.network, self.file, self.run, self.goodness, self.patience = (
            network,
            file,
            run,
            goodness,
            patience,
        )
        self.step, self.found = 0, Goodness()  # smaller than any
        if file.exists():
            _, metadata = read_tensors(file, AGAIN)
            require_same_run(file, metadata["run"], run)
            self.step, self.found = int(metadata["step"]), tuple(json.loads(metadata["goodness"]))

    def __call__(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Compare an evaluation with the best; True ends the run."""
        found = self.goodness(numbers)
        if found > self.found:
            self.step, self.found = step, found
            about = {"run": self.run, "step": str(step), "goodness": json.dumps(found)}
            write_tensors(self.network.state_dict(), self.file, about)
        return step - self.step >= self.patience


def best_share(
    task: Task, first: Mapping[str, Tensor], learnt: Mapping[str, Tensor], choice: Choice
) -> float:
    """The share with the best evaluation; ties go to the smallest, which changes the pack least."""
    found: dict[float, Goodness] = {}
    for share in SHARES:
        task.network.load_state_dict(mixed(first, learnt, share, choice))
        found[share] = choice.share(measure(task, rehearsal=False))
    return max(found, key=lambda share: (found[share], -share))


def mixed(
    first: Mapping[str, Tensor], learnt: Mapping[str, Tensor], share: float, choice: Choice
) -> dict[str, Tensor]:
    """Weighted mean of the first and, by `share`, the learnt weights; new words as learnt."""
    found = {
        name: torch.lerp(value, learnt[name].to(value), share) for name, value in first.items()
    }
    for name, axis in choice.words.items():
        new = found[name].shape[axis] - choice.known
        found[name].narrow(axis, choice.known, new).copy_(
            learnt[name].narrow(axis, choice.known, new)
        )
    return found


def copied(network: nn.Module) -> dict[str, Tensor]:
    """A copy of its weights and buffers."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
