"""Exact retrieval by Eq. 8 against a plain matrix product, both in NumPy, in one run.

The product has as many multiply-adds. python benchmarks/retrieval.py python benchmarks/retrieval.py
--photos 5000 --sentences 25000 --repeats 1 # 15.4 T multiply-adds: minutes

The vectors are random. The plain product's tile size is the best of several, chosen on a part of
the sentences.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import numpy as np
from measuring import arguments, at_least_one, median_seconds, print_table

from regiontalk.alignment.score import score_matrix
from regiontalk.evaluation.retrieval.ranks import MatrixScores, Ranks, VectorScores, rank

GOAL_RATIO, GOAL_BYTES = 0.6, 10**9
TILES = (512, 1024, 2048, 4096)
TRIED = 500
"""Sentences on which the tile size is chosen."""
CHECKED = 50
"""Photos whose ranks are compared with the plain definition's before anything is timed."""


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    for name, default, what in (
        ("photos", 1000, "ranked"),
        ("sentences", 5000, "ranked, a whole number for each photo"),
        ("regions", 20, "a photo"),
        ("words", 12, "a sentence"),
        ("dimensions", 512, "of a vector"),
    ):
        parser.add_argument(
            f"--{name}", type=at_least_one, default=default, help=f"{what} (default: {default})"
        )
    parser.set_defaults(repeats=3)
    options = parser.parse_args()
    if options.sentences % options.photos:
        parser.error(
            f"--sentences {options.sentences} must be a multiple of --photos {options.photos}"
        )

    generator = np.random.default_rng(0)
    regions = random((options.photos, options.regions, options.dimensions), generator)
    words = random((options.sentences, options.words, options.dimensions), generator)
    compare(regions, words)
    trials = {str(tile): plain(regions, words[:TRIED], tile) for tile in TILES}
    tried = median_seconds(trials, options.repeats)
    tile = int(min(tried, key=tried.__getitem__))
    product = {f"plain product, tiles of {tile}": plain(regions, words, tile)}
    began = most_memory()
    seconds = median_seconds(
        {"retrieval": lambda: ranked(regions, words), **product}, options.repeats, warm_up=False
    )
    memory = most_memory() - began
    show(seconds, regions.size * words.size // options.dimensions, memory, options.repeats)


def random(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Normal numbers of the given shape."""
    return generator.standard_normal(shape, np.float32)


def ranked(regions: np.ndarray, words: np.ndarray) -> Ranks:
    """Ranks from vectors: regions (N, M, h), words (L, T, h), L / N sentences a photo in order."""
    counts = np.full(len(regions), regions.shape[1])
    return rank(VectorScores(regions, counts, list(words), photo_of_sentence(regions, words)))


def photo_of_sentence(regions: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The photo of each sentence, (L,)."""
    return np.arange(len(words)) // (len(words) // len(regions))


def compare(regions: np.ndarray, words: np.ndarray) -> None:
    """The ranks must be those of the whole matrix of scores, or their time says nothing."""
    some = regions[:CHECKED], words[: min(CHECKED, len(regions)) * (len(words) // len(regions))]
    counts = [np.full(len(each), each.shape[1]) for each in some]
    whole = rank(
        MatrixScores(score_matrix(some[0], counts[0], some[1], counts[1]), photo_of_sentence(*some))
    )
    tiled = rank(
        VectorScores(some[0], counts[0], list(some[1]), photo_of_sentence(*some), tile=100)
    )
    different = int(
        (whole.photos != tiled.photos).sum() + (whole.sentences != tiled.sentences).sum()
    )
    # Near ties may fall either way by rounding
    if different > (len(whole.photos) + len(whole.sentences)) // 50:
        raise SystemExit(
            f"{different} ranks differ from the plain definition's: nothing was measured."
        )


def plain(regions: np.ndarray, words: np.ndarray, tile: int) -> Callable[[], None]:
    """All products of regions and words, (N M, h) by (h, L T), a tile at a time into one buffer."""
    left, right = regions.reshape(-1, regions.shape[2]), words.reshape(-1, words.shape[2])
    buffer = np.empty((min(tile, len(left)), min(tile, len(right))), np.float32)

    def multiply() -> None:
        for column in range(0, len(right), tile):
            some = right[column : column + tile].T
            for row in range(0, len(left), tile):
                part = left[row : row + tile]
                np.matmul(part, some, out=buffer[: len(part), : some.shape[1]])

    return multiply


def most_memory() -> int:
    """The most memory that this process has ever held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def show(seconds: dict[str, float], multiply_adds: int, memory: int, repeats: int) -> None:
    """The times, the share of the best product's speed, and the memory, each with its goal."""
    best = min(value for name, value in seconds.items() if name != "retrieval")
    rows = []
    for name, value in seconds.items():
        share = best / value
        goal = (
            ""
            if name != "retrieval"
            else f"at least {GOAL_RATIO:.0%}: {'yes' if share >= GOAL_RATIO else 'NO'}"
        )
        rows.append(
            [name, f"{value:.2f}", f"{2 * multiply_adds / value / 1e9:.0f}", f"{share:.0%}", goal]
        )
    print_table(
        f"{multiply_adds / 1e12:.2f} T multiply-adds, median of {repeats}",
        ["", "seconds", "GFLOP/s", "of the best product", "goal"],
        rows,
    )
    verdict = "yes" if memory < GOAL_BYTES else "NO"
    print(
        f"Memory beyond the vectors: {memory / 1e6:.0f} MB; under {GOAL_BYTES / 1e6:.0f} MB: "
        f"{verdict}"
    )


if __name__ == "__main__":
    main()
