"""A shared space of fewer dimensions: what an index stores of each region, and a search reads, shrinks with it.

Regions and words fill few of the dimensions that they were trained in. Maps A and B into r dimensions with (v A)·(s B)
close to v·s are found from vectors of both, and folded into W_m, b_m (Eq. 1) and into the last, linear step of a GRU's
words: nothing is computed at run time that was not before.

Axis names: R regions, P words, h dimensions of the shared space, r of the smaller one.
"""

from __future__ import annotations

import numpy as np

Tensors = dict[str, dict[str, np.ndarray]]
"""Of a pack, by file and name, as `save_pack` takes them."""


def to_low_rank(arrays: Tensors, regions: np.ndarray, words: np.ndarray, dim: int) -> Tensors:
    """A pack's tensors with `projection` and `words` for a space of fewer dimensions.

    Args:
        arrays: of a pack whose words are read by a GRU.
        regions: (R, h), v_i of typical photos.
        words: (P, h), s_t of typical sentences.
        dim: r, at most h.
    """
    of_regions, of_words = low_rank_bases(regions, words, dim)
    projection = {name: tensor @ of_regions for name, tensor in arrays["projection"].items()}
    folded = {name: arrays["words"][name] @ of_words for name in ("W_d", "b_d")}
    return arrays | {
        "projection": projection,
        "words": {**arrays["words"], **folded},
    }


def low_rank_bases(regions: np.ndarray, words: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps A and B, (h, r) each, for which (v A)·(s B) is closest to v·s, in the square mean over all pairs.

    With C_v and C_s the mean outer products, that mean is least for the first r eigenvectors Q of C_v^½ C_s C_v^½, with
    A = C_v^-½ Q and B = C_v^½ Q; and as well for A T and B T^-ᵀ with any T. Taken is the T that makes A's columns
    orthonormal, so that v A is v without what is left out, and its length still says how much a region tells.

    Args:
        regions: (R, h), v_i.
        words: (P, h), s_t.
        dim: r, at most h.

    >>> of_regions, of_words = low_rank_bases(np.array([[1.0, 0], [2.0, 0]]), np.array([[3.0, 4], [1.0, 0]]), 1)
    >>> abs(of_regions.ravel().round(3)).tolist(), abs(of_words.ravel().round(3)).tolist()
    ([1.0, 0.0], [1.0, 0.0])
    """
    mean_regions, mean_words = (each.T.astype(np.float64) @ each / len(each) for each in (regions, words))
    root, inverse = _roots(mean_regions)
    _, eigenvectors = np.linalg.eigh(root @ mean_words @ root)
    best = eigenvectors[:, ::-1][:, :dim]
    of_regions, of_words = inverse @ best, root @ best
    root, inverse = _roots(of_regions.T @ of_regions)
    return (of_regions @ inverse).astype(np.float32), (of_words @ root).astype(np.float32)


def _roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The square root of a symmetric matrix without negative eigenvalues, and the root's inverse where it has one."""
    values, vectors = np.linalg.eigh(matrix)
    extent = values > 1e-9 * values.max()
    roots, vectors = np.sqrt(values[extent]), vectors[:, extent]
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
