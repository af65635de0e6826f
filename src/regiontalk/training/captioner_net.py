"""Recurrent captioner (Eq. 13 to 15) with a plain, a GRU or an LSTM cell.

With or without attention over a photo's regions (`regiontalk.captioning.attention`). Axis names: B
captions, T words (padded), d word vector, H hidden, V vocabulary, X visual context, M regions, R
dimensions of a region, A dimensions of all heads of the attention.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.captioning.attention import Contexts
from regiontalk.errors import TrainingError
from regiontalk.language import Vocabulary
from regiontalk.recurrence import GATES
from regiontalk.settings import HEADS
from regiontalk.training.alignment_net import dense, folded, standardise
from regiontalk.training.checkpoint import read_finished

WEIGHTS = "captioner.safetensors"


@dataclass(frozen=True)
class Seen:
    """`regiontalk.captioning.attention.Contexts` of B captions as tensors.

    Attributes:
        whole: (B, X).
        regions: (B, M, R); M = 0 without attention.
        mask: (B, M), True on regions.
        shown: (B, 1), 0 masks the whole photo: its standardised features become zero, their mean.
    """

    whole: Tensor
    regions: Tensor
    mask: Tensor
    shown: Tensor

    @classmethod
    def of(cls, contexts: Contexts, shown: np.ndarray | None = None) -> Seen:
        """Contexts as tensors; `shown` (B,) is False where the photo is masked, None for none."""
        whole = np.ones(len(contexts), bool) if shown is None else shown
        arrays = contexts.whole, contexts.regions, contexts.there, whole[:, None].astype(np.float32)
        return cls(*map(torch.from_numpy, arrays))

    def to(self, device: str) -> Seen:
        """The same on a device."""
        return Seen(
            *(each.to(device) for each in (self.whole, self.regions, self.mask, self.shown))
        )


class Attention(nn.Module):
    """Multi-head attention over regions, and the output vector e: see `captioning.attention`."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, region: int, hidden: int, attention: int, embedding: int, dropout: float
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.W_kr, _ = dense(region, attention)
        self.W_vr, _ = dense(region, attention)
        self.W_qh, _ = dense(hidden, attention)
        self.W_sh, self.b_s = dense(hidden, embedding)
        self.W_sa, _ = dense(attention, embedding)
        self.register_buffer("mean", torch.zeros(region))
        self.register_buffer("deviation", torch.ones(region))

    def forward(self, hidden: Tensor, regions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (B, T, H) and regions (B, M, R) → e (B, T, d), and attention (B, heads, T, M).

        `mask` (B, M) is True on regions.
        """
        # One dropout mask for keys and values, so that a dropped feature is hidden from both.
        standard = F.dropout((regions - self.mean) / self.deviation, self.dropout, self.training)
        # keys, values: (B, heads, M, a)
        keys, values = (self.in_heads(standard @ matrix) for matrix in (self.W_kr, self.W_vr))
        queries = self.in_heads(hidden @ self.W_qh) * keys.shape[-1] ** -0.5  # (B, heads, T, a)
        scores = (queries @ keys.transpose(-1, -2)).float().masked_fill(~mask[:, None, None], -1e9)
        looks = scores.softmax(-1)
        attended = (looks.to(values.dtype) @ values).transpose(1, 2).flatten(2)  # (B, T, A)
        return torch.tanh(hidden @ self.W_sh + attended @ self.W_sa + self.b_s), looks

    def in_heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class CaptionerNet(nn.Module):
    """Recurrent captioner.

    Row vectors: `x @ W + b`; gates are concatenated in the weights, in PyTorch's order.

    - `rnn`: h_t = f(W_hx x_t + W_hh h_{t-1} + b_h + 1(t = 1) f(b_v)), Eq. 14, f = ReLU.
    - `gru`, `lstm`: the photo sets the first hidden state, h_0 = tanh(b_v).

    Args:
        counts: (V,) how often each word begins or continues a training caption; the output biases
            start at the log of its share.
        context_dim: X.
        cell: "rnn", "gru" or "lstm".
        hidden, embedding: H, d.
        dropout: on word vectors, context and outputs, nowhere in the recurrence.
        attention: over regions, whose outputs are scored with the input word vectors (weight
            tying); None for Eq. 15.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        counts: np.ndarray,
        context_dim: int,
        cell: str,
        hidden: int,
        embedding: int,
        dropout: float,
        attention: Attention | None = None,
    ) -> None:
        super().__init__()
        self.cell, self.dropout = cell, dropout
        gates = GATES[cell]
        self.embedding = nn.Parameter(torch.randn(len(counts), embedding) * embedding**-0.5)
        self.W_hi, self.b_hi = dense(context_dim, hidden)
        self.W_hx = nn.Parameter(torch.cat([dense(embedding, hidden)[0] for _ in range(gates)], 1))
        self.W_hh = nn.Parameter(torch.cat([orthogonal(hidden, cell) for _ in range(gates)], 1))
        self.b_h = nn.Parameter(torch.zeros(gates * hidden))
        if cell != "rnn":
            self.b_x = nn.Parameter(torch.zeros(gates * hidden))
        self.attention = attention
        if attention is None:
            self.W_oh, _ = dense(hidden, len(counts))
        # Biases start at the unigram log-probabilities: the first steps need not learn word
        # frequencies.
        self.b_o = nn.Parameter(
            torch.from_numpy(np.log(np.maximum(counts, 1) / counts.sum())).float()
        )
        self.register_buffer("mean", torch.zeros(context_dim))
        self.register_buffer("deviation", torch.ones(context_dim))

    def set_statistics(self, seen: Contexts) -> None:
        """Standardise contexts by their mean and deviation, which export folds into the weights."""
        standardise(self, seen.whole)
        if self.attention is not None:
            standardise(self.attention, seen.regions[seen.there])

    def forward(self, seen: Seen, inputs: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each next word, and the attention.

        Args:
            seen: of B captions.
            inputs: (B, T) words, START first.
            asked: (B, T) bool, the n positions whose next word is predicted: logits are the most of
                the work.

        Returns:
            Logits (n, V), UNKNOWN's minus infinity, and attention (B, heads, T, M), with no heads
                if there is none.
        """
        standard = F.dropout(
            (seen.whole - self.mean) / self.deviation * seen.shown, self.dropout, self.training
        )
        b_v = standard @ self.W_hi + self.b_hi  # (B, H), Eq. 13
        # words: (B, T, d)
        words = F.dropout(F.embedding(inputs, self.embedding), self.dropout, self.training)
        hidden = F.dropout(self.recur(words, b_v), self.dropout, self.training)  # (B, T, H)
        if self.attention is None:
            said, looks = (
                hidden[asked] @ self.W_oh,
                hidden.new_zeros(len(hidden), 0, hidden.shape[1], 0),
            )
        else:
            out, looks = self.attention(hidden, seen.regions, seen.mask)
            said = out[asked] @ self.embedding.T  # weight tying
        logits = said + self.b_o  # Eq. 15
        # -1e9 stands for -inf without NaN gradients.
        unknown = torch.zeros_like(self.b_o).index_fill(
            0, torch.tensor([Vocabulary.UNKNOWN], device=b_v.device), -1e9
        )
        return logits + unknown, looks

    def recur(self, words: Tensor, b_v: Tensor) -> Tensor:
        """Hidden states (B, T, H) from word vectors (B, T, d) and the photo's b_v (B, H)."""
        if self.cell == "rnn":
            return self.recur_plainly(words, b_v)
        weights = (self.W_hx.T.contiguous(), self.W_hh.T.contiguous(), self.b_x, self.b_h)
        h_0 = b_v.tanh()[None]
        if self.cell == "gru":
            return torch.gru(words, h_0, weights, True, 1, 0.0, self.training, False, True)[0]
        return torch.lstm(
            words, (h_0, torch.zeros_like(h_0)), weights, True, 1, 0.0, self.training, False, True
        )[0]

    def recur_plainly(self, words: Tensor, b_v: Tensor) -> Tensor:
        x = words @ self.W_hx + self.b_h  # (B, T, H)
        h = torch.zeros_like(b_v)
        states = []
        for t in range(x.shape[1]):
            h = F.relu(x[:, t] + h @ self.W_hh + (F.relu(b_v) if t == 0 else 0))  # Eq. 14
            states.append(h)
        return torch.stack(states, 1)


def folded_captioner(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """A captioner's tensors as the pack holds them: the standardisation folded into the weights."""
    found = {name: value.detach().float().cpu() for name, value in tensors.items()}
    found["W_hi"], found["b_hi"] = folded(
        found["W_hi"], found["b_hi"], found.pop("mean"), found.pop("deviation")
    )
    if "attention.W_kr" in found:
        mean, deviation = found.pop("attention.mean"), found.pop("attention.deviation")
        found = {name.removeprefix("attention."): value for name, value in found.items()}
        for name in ("W_kr", "W_vr"):
            found[name] = found[name] / deviation[:, None]
        # The mean adds the same to every region's score, which changes no softmax, and to every
        # value.
        found["b_s"] = found["b_s"] - mean @ found["W_vr"] @ found["W_sa"]
    return {name: value.numpy() for name, value in found.items()}


def read_captioner(run: Path) -> dict[str, np.ndarray]:
    """The tensors of a finished captioner run, as the pack holds them.

    Raises:
        TrainingError: if the run is not finished.
    """
    return folded_captioner(read_finished(run, WEIGHTS))


def load_captioner(network: CaptionerNet, run: Path) -> None:
    """Load the weights of a finished run into a network.

    Raises:
        TrainingError: if the run is not finished, or its sizes differ.
    """
    tensors = read_finished(run, WEIGHTS)
    for name, mine in network.state_dict().items():
        if name not in tensors or tensors[name].shape != mine.shape:
            found = tuple(tensors[name].shape) if name in tensors else "none"
            raise TrainingError(
                f"{run / WEIGHTS}: {name} of shape {tuple(mine.shape)} expected, found {found}; "
                "give this run the cell, hidden and embedding of the run it starts from"
            )
    network.load_state_dict(tensors)


def orthogonal(hidden: int, cell: str) -> Tensor:
    # Orthogonal weights keep the norm of gradients; a ReLU's are shrunk, or states would grow
    weight = torch.empty(hidden, hidden)
    return nn.init.orthogonal_(weight, gain=0.5 if cell == "rnn" else 1.0)


def learnt_places(targets: Tensor, mask: Tensor) -> Tensor:
    """Loss mask (B, T): every target but UNKNOWN, which is never to be generated."""
    return mask & (targets != Vocabulary.UNKNOWN)


def looking_loss(looks: Tensor, things: Tensor) -> Tensor:
    """Attention supervision: minus the mean log attention on regions that show the word, in nats.

    At object words only.

    Args:
        looks: (B, heads, T, M); things: (B, T, M), True where region m shows what word t names.
    """
    counted = things.any(-1)
    if not counted.any():
        # Zero, but on the graph: `backward` works on a batch that names nothing
        return looks.sum() * 0
    # The mean over heads is supervised and not each head, so that heads may specialise.
    on_things = (looks.mean(1) * things).sum(-1)[counted]
    return -on_things.clamp_min(1e-6).log().mean()


def shift_words(texts: Sequence[np.ndarray], longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Texts → inputs (B, T) from START, targets (B, T) to END, mask (B, T), True at targets.

    Texts are truncated to `longest` words; truncated ones have no END.
    """
    width = min(max(map(len, texts)), longest) + 1
    inputs = torch.full((len(texts), width), Vocabulary.BOUNDARY)
    targets = torch.full((len(texts), width), Vocabulary.BOUNDARY)
    mask = torch.zeros(len(texts), width, dtype=torch.bool)
    for row, text in enumerate(texts):
        words = torch.from_numpy(text[:longest])
        inputs[row, 1 : len(words) + 1] = words
        targets[row, : len(words)] = words
        mask[row, : len(words) + (len(text) <= longest)] = True
    return inputs, targets, mask


def text_counts(texts: Sequence[np.ndarray], vocabulary: int, longest: int) -> np.ndarray:
    """How often each id is a target of `shift_words`.  # (V,)"""
    counts = np.bincount(np.concatenate([ids[:longest] for ids in texts]), minlength=vocabulary)
    counts[Vocabulary.BOUNDARY] = sum(len(ids) <= longest for ids in texts)
    return counts
