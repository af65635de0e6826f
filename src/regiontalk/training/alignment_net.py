"""Alignment network: region projection (Eq. 1) and bidirectional words network (Eq. 2 to 6).

Also the loading of finished runs and of pretrained word vectors (word2vec, GloVe: text files with a
word and its numbers on a line). Axis names: B sentences, T words (padded), d word vector, H hidden,
h shared space, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from regiontalk.errors import DataError, TrainingError
from regiontalk.language import Vocabulary, tokenise
from regiontalk.training.checkpoint import read_finished, read_finished_json

WEIGHTS, VOCABULARY = "alignment.safetensors", "vocabulary.json"


class WordsNet(nn.Module):
    """Bidirectional recurrent words network. Row vectors: `x @ W + b`.

    - `rnn`: Eq. 2 to 6 with f = ReLU.
    - `gru`: two gated recurrences over the word vectors instead of Eq. 3 to 5 (Cho et al., 2014;
      gates r, z, n side by side), and Eq. 6 without f: s_t = W_d (hf_t + hb_t) + b_d.

    Args:
        vocabulary, embedding, hidden, dim: V, d, H, h.
        dropout: on word vectors and on the summed directions, nowhere in the recurrence.
        cell: "rnn" or "gru".
        outside: G, dimensions of pretrained word vectors; 0 for none. A word's vector is then its
            row of W_w, learnt from captions, plus W_g times its pretrained vector, so that words
            absent from the captions are embedded too.
    """

    vectors: Tensor

    def __init__(
        self,
        vocabulary: int,
        embedding: int,
        hidden: int,
        dim: int,
        dropout: float,
        cell: str = "rnn",
        outside: int = 0,
    ) -> None:
        super().__init__()
        self.forget = 0.0  # share of words embedded by their pretrained vectors alone
        if outside:
            self.W_g = nn.Parameter(torch.randn(outside, embedding) * embedding**-0.5)
            self.register_buffer("vectors", torch.zeros(vocabulary, outside))
        self.dropout, self.cell = dropout, cell
        self.embedding = nn.Parameter(torch.randn(vocabulary, embedding) * embedding**-0.5)  # W_w
        if cell == "rnn":
            self.W_e, self.b_e = dense(embedding, hidden)
            self.W_f, self.b_f = recurrent(hidden)
            self.W_b, self.b_b = recurrent(hidden)
        else:
            self.W_xf, self.b_xf = gates(lambda: dense(embedding, hidden))
            self.W_f, self.b_f = gates(lambda: recurrent(hidden, 1.0))
            self.W_xb, self.b_xb = gates(lambda: dense(embedding, hidden))
            self.W_b, self.b_b = gates(lambda: recurrent(hidden, 1.0))
        self.W_d, self.b_d = dense(hidden, dim)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Ids (B, T), mask (B, T), True on words, padding last → s_t (B, T, h), 0 on padding."""
        words = F.dropout(self.look_up(ids), self.dropout, self.training)  # (B, T, d), Eq. 2
        forward, backward = (
            self.recur(words, mask) if self.cell == "rnn" else self.recur_gated(words, mask)
        )
        summed = F.dropout(forward + backward, self.dropout, self.training)
        s = summed @ self.W_d + self.b_d
        return (F.relu(s) if self.cell == "rnn" else s) * mask[..., None]  # Eq. 6

    def look_up(self, ids: Tensor) -> Tensor:
        """Word ids (B, T) → word vectors (B, T, d)."""
        learnt = F.embedding(ids, self.embedding)
        if not self.places:
            return learnt
        vectors = F.embedding(ids, self.vectors)
        # Drops learnt rows, as if no caption had the words: W_g learns to place words by itself
        if self.training and self.forget:
            known = vectors.any(-1, keepdim=True)
            learnt = learnt * (torch.rand_like(learnt[..., :1]) >= self.forget * known)
        return learnt + vectors @ self.W_g

    @property
    def places(self) -> bool:
        """Whether it has pretrained word vectors."""
        return "vectors" in self._buffers

    def word_vectors(self) -> Tensor:
        """W_w (V, d) with the projected pretrained vectors added."""
        return self.embedding + self.vectors @ self.W_g if self.places else self.embedding

    def cut_recurrence(self) -> None:
        """Fix W_f and W_b at zero: s_t depends on word t alone (the paper's single words)."""
        for weight in (self.W_f, self.W_b):
            nn.init.zeros_(weight).requires_grad_(False)

    def recur(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, H) of both directions, Eq. 3 to 5.

        The backward state is zero on padding, so that this direction begins at the last word.
        """
        e = F.relu(words @ self.W_e + self.b_e)  # (B, T, H), Eq. 3
        keep = mask[..., None].to(e.dtype)
        hf = hb = e.new_zeros(e.shape[0], e.shape[2])
        forward, backward = [], []
        for t in range(e.shape[1]):
            u = e.shape[1] - 1 - t
            hf = F.relu(e[:, t] + hf @ self.W_f + self.b_f)
            hb = F.relu(e[:, u] + hb @ self.W_b + self.b_b) * keep[:, u]
            forward.append(hf)
            backward.append(hb)
        return torch.stack(forward, 1), torch.stack(backward[::-1], 1)

    def recur_gated(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, H) of both gated recurrences; zero on padding."""
        packed = pack_padded_sequence(
            words, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        ahead = (self.W_xf.T, self.W_f.T, self.b_xf, self.b_f)
        back = (self.W_xb.T, self.W_b.T, self.b_xb, self.b_b)
        weights = [each.contiguous() for each in (*ahead, *back)]
        # Packed, so that the backward direction begins at each sentence's last word and not in its
        # padding.
        h_0 = packed.data.new_zeros(2, len(words), self.W_f.shape[0])
        # On CUDA, autocast would run torch.gru in float16 whatever dtype it is given
        with torch.autocast("cuda", enabled=False):
            states, _ = torch.gru(
                packed.data, packed.batch_sizes, h_0, weights, True, 1, 0.0, self.training, True
            )
        both, _ = pad_packed_sequence(
            packed._replace(data=states), batch_first=True, total_length=words.shape[1]
        )
        forward, backward = both.chunk(2, -1)
        return forward, backward


class AlignmentNet(nn.Module):
    """Projections of regions (Eq. 1) and words (Eq. 2 to 6) into the shared space.

    The visual features are standardised by fixed means and deviations before W_m; export folds both
    into W_m and b_m, so that Eq. 1 needs no extra step.

    Args:
        feature_dim, dim: D, h.
        dropout: on the features.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, words: WordsNet, feature_dim: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.words, self.dropout = words, dropout
        self.W_m, self.b_m = dense(feature_dim, dim)
        # Log of the inverse temperature of softmax losses; ranks do not depend on it
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("mean", torch.zeros(feature_dim))
        self.register_buffer("deviation", torch.ones(feature_dim))

    def regions(self, features: Tensor) -> Tensor:
        """CNN(I_b) (..., D) → v_i (..., h), Eq. 1."""
        standard = F.dropout((features - self.mean) / self.deviation, self.dropout, self.training)
        return standard @ self.W_m + self.b_m

    def folded_projection(self) -> dict[str, Tensor]:
        """W_m and b_m for features that are not standardised."""
        W_m, b_m = folded(self.W_m, self.b_m, self.mean, self.deviation)
        return {"W_m": W_m, "b_m": b_m}


def standardise(module: nn.Module, rows: np.ndarray) -> None:
    """Set a module's input means and deviations to those of sample rows (n, X)."""
    module.get_buffer("mean").copy_(torch.from_numpy(rows.mean(0, dtype=np.float64)))
    module.get_buffer("deviation").copy_(torch.from_numpy(rows.std(0, dtype=np.float64) + 1e-3))


def folded(weight: Tensor, bias: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Fold the standardisation of inputs into a layer's weight (X, n) and bias (n,)."""
    weight = weight / deviation[:, None]
    return weight, bias - mean @ weight


def dense(inputs: int, outputs: int) -> tuple[nn.Parameter, nn.Parameter]:
    weight = nn.Parameter(torch.empty(inputs, outputs))
    nn.init.xavier_uniform_(weight)
    return weight, nn.Parameter(torch.zeros(outputs))


def recurrent(hidden: int, gain: float = 0.5) -> tuple[nn.Parameter, nn.Parameter]:
    """Orthogonal weight and zero bias; the gain keeps a ReLU recurrence from growing at first."""
    weight = nn.Parameter(torch.empty(hidden, hidden))
    nn.init.orthogonal_(weight, gain=gain)
    return weight, nn.Parameter(torch.zeros(hidden))


def gates(
    one: Callable[[], tuple[nn.Parameter, nn.Parameter]],
) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights and biases of three gates side by side, each initialised by `one`."""
    weights, biases = zip(*(one() for _ in range(3)), strict=True)
    return nn.Parameter(torch.cat(weights, 1).detach()), nn.Parameter(torch.cat(biases).detach())


def read_alignment(run: Path) -> tuple[Vocabulary, AlignmentNet]:
    """Vocabulary and network of a finished alignment run, sizes taken from its weights.

    Raises:
        TrainingError: if the run is not finished, or a file of it is damaged.
    """
    tensors, vocabulary = (
        read_finished(run, WEIGHTS),
        read_finished_json(run, VOCABULARY, Vocabulary.from_json),
    )
    (size, embedding), (hidden, _) = (
        tensors[f"words.{name}"].shape for name in ("embedding", "W_d")
    )
    if size != len(vocabulary):
        raise TrainingError(
            f"{run}: {WEIGHTS} is of a vocabulary of {size} words, {VOCABULARY} lists "
            f"{len(vocabulary)}; give that run's command again"
        )
    feature_dim, dim = tensors["W_m"].shape
    outside = tensors["words.W_g"].shape[0] if "words.W_g" in tensors else 0
    words = WordsNet(
        size, embedding, hidden, dim, 0.0, "gru" if "words.W_xf" in tensors else "rnn", outside
    )
    net = AlignmentNet(words, feature_dim, dim, 0.0)
    net.load_state_dict(tensors)
    return vocabulary, net.eval()


def vectors_of(file: Path, vocabulary: Vocabulary) -> np.ndarray:
    """The pretrained vectors of a vocabulary's words, L2-normalised.  # (V, G)

    Zero for words that the file lacks.

    Raises:
        DataError: if the file cannot be read, its lines differ in length, or it has none of the
            words.
    """
    found = known_vectors(file, vocabulary)
    table = np.zeros((len(vocabulary), len(next(iter(found.values())))), np.float32)
    for row, vector in found.items():
        table[row] = unit(vector)
    return table


def load_word_vectors(file: Path, vocabulary: Vocabulary, embedding: Tensor) -> int:
    """Copy the pretrained vectors of known words into `embedding` (V, d), in place.

    All are scaled by one factor, so that their mean length equals that of the random embeddings.

    Returns:
        How many words of the vocabulary were found.

    Raises:
        DataError: if the file cannot be read, a line's number of values is not d, or no word is
            found.
    """
    found = known_vectors(file, vocabulary, embedding.shape[1])
    vectors = np.stack(list(found.values()))
    scale = float(embedding.norm(dim=1).mean()) / max(
        float(np.linalg.norm(vectors, axis=1).mean()), 1e-9
    )
    with torch.no_grad():
        embedding[list(found)] = torch.from_numpy(vectors * np.float32(scale)).to(embedding)
    return len(found)


def first_vectors(file: Path, vocabulary: Vocabulary, count: int) -> dict[str, np.ndarray]:
    """The first words of a vector file that a vocabulary lacks, with L2-normalised vectors.

    Raises:
        DataError: if the file cannot be read, its lines differ in length, or it has no such word.
    """
    others = read_vectors(file, lambda word: word not in vocabulary and tokenise(word) == [word])
    found = {word: unit(vector) for word, vector in islice(others, count)}
    if not found:
        raise DataError(f"{file}: holds no word that captions do not teach already")
    return found


def known_vectors(file: Path, vocabulary: Vocabulary, length: int = 0) -> dict[int, np.ndarray]:
    """The pretrained vectors of a vocabulary's words, by word id.

    `length` as in `read_vectors`.

    Raises:
        DataError: as `read_vectors`, or if the file has none of the words.
    """
    special = len(vocabulary) - len(vocabulary.words)
    rows = {word: row for row, word in enumerate(vocabulary.words, start=special)}
    found = {rows[word]: vector for word, vector in read_vectors(file, rows.__contains__, length)}
    if not found:
        raise DataError(
            f"{file}: none of the vocabulary's {len(rows)} words is in it; "
            "is it a text file of word vectors?"
        )
    return found


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector (G,), L2-normalised."""
    return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-9))


def read_vectors(
    file: Path, wanted: Callable[[str], bool], length: int = 0
) -> Iterator[tuple[str, np.ndarray]]:
    """The wanted words of a vector file, in its order, each with its vector.

    Args:
        length: expected dimensions; 0 for those of the first line.

    Raises:
        DataError: if the file cannot be read, or a vector is not `length` finite numbers.
    """
    before = 0
    with open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip().split(" ")
            if number == 1 and len(values) == 1:
                continue  # word2vec's header: count and dimensions
            length = length or len(values)
            spaced = 0 < before < len(values)  # the token has spaces, as some of GloVe's
            before = before or len(values)
            if not spaced and wanted(word):
                yield word, parse_vector(values, length, f"{file}, line {number}")


def open_text(file: Path) -> TextIO:
    try:
        return file.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror}); expected a text file of word vectors"
        ) from error


def parse_vector(values: list[str], length: int, where: str) -> np.ndarray:
    try:
        vector = np.array(values, np.float32)
    except ValueError as error:
        raise DataError(f"{where}: expected numbers after the word ({error})") from error
    if len(vector) != length or not np.isfinite(vector).all():
        raise DataError(
            f"{where}: expected {length} finite numbers, found {len(vector)}; "
            "all lines of a file, and `embedding` with `word_vectors`, must agree"
        )
    return vector
