"""The multimodal recurrent network that writes captions (Eq. 13 to 15), with a plain, a GRU or an LSTM cell.

Axis names: B captions, T words (padded), d word vector, H hidden, V vocabulary, D visual context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regiontalk.captioning.cells import GATES
from regiontalk.errors import TrainingError
from regiontalk.language import Vocabulary
from regiontalk.training.checkpoint import read_finished
from regiontalk.training.words_net import dense

WEIGHTS = "captioner.safetensors"


class CaptionerNet(nn.Module):
    """Row vectors: `x @ W + b`. Gates stand side by side in the weights, in PyTorch's order.

    - `rnn`: h_t = f(W_hx x_t + W_hh h_{t-1} + b_h + 1(t = 1) f(b_v)), Eq. 14, f = ReLU.
    - `gru`, `lstm`: the photo sets the first hidden state, h_0 = tanh(b_v).

    Args:
        counts: (V,) how often each word begins or continues a training caption; the output biases start at its log.
        context_dim: D.
        cell: "rnn", "gru" or "lstm".
        hidden, embedding: H, d.
        dropout: on word vectors, context and outputs, nowhere in the recurrence.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, counts: np.ndarray, context_dim: int, cell: str, hidden: int, embedding: int, dropout: float
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
        self.W_oh, _ = dense(hidden, len(counts))
        self.b_o = nn.Parameter(torch.from_numpy(np.log(np.maximum(counts, 1) / counts.sum())).float())
        self.register_buffer("mean", torch.zeros(context_dim))
        self.register_buffer("deviation", torch.ones(context_dim))

    def set_statistics(self, contexts: np.ndarray) -> None:
        """Mean and deviation of the contexts (n, D), folded into W_hi on export."""
        self.mean.copy_(torch.from_numpy(contexts.mean(0, dtype=np.float64)))
        self.deviation.copy_(torch.from_numpy(contexts.std(0, dtype=np.float64) + 1e-3))

    def forward(self, context: Tensor, inputs: Tensor) -> Tensor:
        """Context (B, D) and input words (B, T), START first → logits (B, T, V); UNKNOWN's are minus infinity."""
        standard = F.dropout((context - self.mean) / self.deviation, self.dropout, self.training)
        b_v = standard @ self.W_hi + self.b_hi  # (B, H), Eq. 13
        words = F.dropout(F.embedding(inputs, self.embedding), self.dropout, self.training)  # (B, T, d)
        hidden = F.dropout(self.recur(words, b_v), self.dropout, self.training)  # (B, T, H)
        logits = hidden @ self.W_oh + self.b_o  # Eq. 15
        unknown = torch.zeros_like(self.b_o).index_fill(0, torch.tensor([Vocabulary.UNKNOWN], device=b_v.device), -1e9)
        return logits + unknown

    def recur(self, words: Tensor, b_v: Tensor) -> Tensor:
        """Hidden states (B, T, H) from word vectors (B, T, d) and the photo's b_v (B, H)."""
        if self.cell == "rnn":
            return self.recur_plainly(words, b_v)
        weights = (self.W_hx.T.contiguous(), self.W_hh.T.contiguous(), self.b_x, self.b_h)
        h_0 = b_v.tanh()[None]
        if self.cell == "gru":
            return torch.gru(words, h_0, weights, True, 1, 0.0, self.training, False, True)[0]
        return torch.lstm(words, (h_0, torch.zeros_like(h_0)), weights, True, 1, 0.0, self.training, False, True)[0]

    def recur_plainly(self, words: Tensor, b_v: Tensor) -> Tensor:
        x = words @ self.W_hx + self.b_h  # (B, T, H)
        h = torch.zeros_like(b_v)
        states = []
        for t in range(x.shape[1]):
            h = F.relu(x[:, t] + h @ self.W_hh + (F.relu(b_v) if t == 0 else 0))  # Eq. 14
            states.append(h)
        return torch.stack(states, 1)


def folded_captioner(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A captioner's state as the pack holds it: the contexts' statistics folded into W_hi and b_hi."""
    folded = {name: value.detach().float().cpu() for name, value in tensors.items()}
    mean, deviation = folded.pop("mean"), folded.pop("deviation")
    folded["W_hi"] = folded["W_hi"] / deviation[:, None]
    folded["b_hi"] = folded["b_hi"] - mean @ folded["W_hi"]
    return folded


def finished_captioner(run: Path) -> dict[str, Tensor]:
    """The state of a finished captioner run.

    Raises:
        TrainingError: if the run is not finished.
    """
    return read_finished(run, WEIGHTS)


def load_captioner(network: CaptionerNet, run: Path) -> None:
    """Give a network the weights of a finished run.

    Raises:
        TrainingError: if the run is not finished, or its sizes are others.
    """
    tensors = finished_captioner(run)
    for name, mine in network.state_dict().items():
        if name not in tensors or tensors[name].shape != mine.shape:
            found = tuple(tensors[name].shape) if name in tensors else "none"
            raise TrainingError(
                f"{run / WEIGHTS}: {name} of shape {tuple(mine.shape)} expected, found {found}; "
                "give this run the cell, hidden and embedding of the run it starts from"
            )
    network.load_state_dict(tensors)


def orthogonal(hidden: int, cell: str) -> Tensor:
    weight = torch.empty(hidden, hidden)
    return nn.init.orthogonal_(weight, gain=0.5 if cell == "rnn" else 1.0)


def caption_loss(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy a word, in nats, END included. UNKNOWN is never a target: it is not to be written.

    Args:
        logits: (B, T, V); targets: (B, T) words and END; mask: (B, T), True where a target stands.
    """
    counted = mask & (targets != Vocabulary.UNKNOWN)
    return F.cross_entropy(logits[counted], targets[counted])


def shift_words(texts: Sequence[np.ndarray], longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Texts → inputs (B, T) from START, targets (B, T) to END, mask (B, T), True where a target stands.

    Texts of more than `longest` words are cut there, and have no END.
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
