"""A pack's networks, to be trained further: the inverse of `regiontalk.training.export`.

A pack's weights are half floats with the statistics of what is seen folded in. Networks are best trained on inputs of
mean 0 and deviation 1, so `standardise_alignment` and `standardise_captioner` take statistics out again: those of the
new photos. What a network computes stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from regiontalk.captioning.contexts import Contexts
from regiontalk.training.alignment_net import AlignmentNet, WordsNet, standardise
from regiontalk.training.captioner_net import Attention, CaptionerNet, folded_captioner

Weights = Mapping[str, np.ndarray]

_STATISTICS = ("mean", "deviation")


def alignment_network(words: Weights, projection: Weights, cell: str, dropout: float = 0.0) -> AlignmentNet:
    """The alignment of a pack, in evaluation mode.

    Vectors of words from elsewhere are part of the pack's word vectors already: the network reads none. The scale of
    scores inside a loss, which no pack holds, begins at 1.

    Args:
        words, projection: the pack's tensors of these names.
        cell: of the words network.
        dropout: while it is trained.
    """
    (size, embedding), (hidden, dim) = words["embedding"].shape, words["W_d"].shape
    net = AlignmentNet(WordsNet(size, embedding, hidden, dim, dropout, cell), len(projection["W_m"]), dim, dropout)
    _load(net, {f"words.{name}": value for name, value in words.items()} | dict(projection))
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
        attention = Attention(len(tensors["W_kr"]), hidden, tensors["W_kr"].shape[1], embedding, dropout)
    net = CaptionerNet(np.ones(size), context, cell, hidden, embedding, dropout, attention)
    own = {name.removeprefix("attention."): name for name in net.state_dict()}
    _load(net, {own[name]: value for name, value in tensors.items()})
    return net.eval()


@torch.no_grad()
def standardise_alignment(net: AlignmentNet, features: np.ndarray) -> None:
    """Take out the statistics of some regions' features (n, D): the same v_i, from inputs of mean 0 and deviation 1."""
    folded = net.folded_projection()
    standardise(net, features)
    net.W_m.copy_(folded["W_m"] * net.deviation[:, None])
    net.b_m.copy_(folded["b_m"] + net.mean @ folded["W_m"])


@torch.no_grad()
def standardise_captioner(net: CaptionerNet, seen: Contexts) -> None:
    """Take out the statistics of what is seen with some captions: the same captions, from standardised inputs."""
    folded = {name: torch.from_numpy(value) for name, value in folded_captioner(net.state_dict()).items()}
    net.set_statistics(seen)
    net.W_hi.copy_(folded["W_hi"] * net.deviation[:, None])
    net.b_hi.copy_(folded["b_hi"] + net.mean @ folded["W_hi"])
    if net.attention is not None:
        for name in ("W_kr", "W_vr"):
            net.attention.get_parameter(name).copy_(folded[name] * net.attention.deviation[:, None])
        net.attention.b_s.copy_(folded["b_s"] + net.attention.mean @ folded["W_vr"] @ folded["W_sa"])


def _load(net: nn.Module, tensors: Weights) -> None:
    """Give a network all its weights; statistics and the loss's scale, which packs lack, stay as they are."""
    loaded = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in tensors.items()}
    lacking = {name for name in net.state_dict() if name not in loaded}
    assert all(name.split(".")[-1] in (*_STATISTICS, "log_scale") for name in lacking), lacking
    net.load_state_dict({**net.state_dict(), **loaded})
