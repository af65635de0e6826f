"""Words that no caption taught: their places come from word vectors through a map that was learnt beside the captions.

Axis names: P placed words, G dimensions of the vectors from elsewhere, d of a word vector of the pack.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class PlacedVectors:
    """The word vectors (P, d) of placed words, each computed when it is asked for: all of them would take megabytes.

    Args:
        tensors: `vectors` (P, G) and `W_g` (G, d), float32.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._vectors, self._map = tensors["vectors"], tensors["W_g"]

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The word vectors of some rows (n,).  # (n, d)"""
        found: np.ndarray = self._vectors[rows] @ self._map
        return found


def placed_shapes(words: int, vector_dim: int, embedding: int) -> dict[str, tuple[int, ...]]:
    """Every tensor that `PlacedVectors` takes, with its shape.

    Args:
        words: P.
        vector_dim: G.
        embedding: d.
    """
    return {"vectors": (words, vector_dim), "W_g": (vector_dim, embedding)}
