"""Recall of the two-stage engine against the exact one, for given or 50 built-in sentences.

Axis names: T words, h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.search.engine import ExactEngine, TwoStageEngine
from regiontalk.search.index import Index

CANDIDATES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Numbers of candidates that `measure_recall` tries, if the index has more photos."""


@dataclass(frozen=True)
class Recall:
    """Recall at k of the two-stage engine with a number of candidates.

    Attributes:
        candidates: photos that the first stage retrieves.
        recall: share of the exact engine's k best among its k best, mean over the queries, 0 to 1.
        worst: the same of the worst query.
    """

    candidates: int
    recall: float
    worst: float


def measure_recall(
    index: Index,
    queries: Sequence[np.ndarray],
    k: int = 10,
    done: Callable[[], None] = lambda: None,
) -> list[Recall]:
    """Recall@k of the two-stage engine against the exact one, for growing numbers of candidates.

    Args:
        index: open, with more than k photos.
        queries: each the words of a sentence, (T, h); at least one.
        done: called after each query.

    Returns:
        For each of `CANDIDATES` from k to below the number of photos, in order; empty if there are
        none, for then every photo is a candidate.
    """
    exact = ExactEngine(index)
    engines = {n: TwoStageEngine(index, n) for n in CANDIDATES if k <= n < index.photos}
    found: dict[int, list[float]] = {n: [] for n in engines}
    for words in queries:
        best = exact.ranked(words, k)[0]
        for candidates, engine in engines.items():
            hits = engine.ranked(words, k)[0]
            found[candidates].append(len(np.intersect1d(best, hits)) / len(best))
        done()
    return [Recall(n, float(np.mean(each)), min(each)) for n, each in found.items()]


PROBES = """
a black dog jumps over a hurdle
two children play football on the grass
a man in a red jacket stands on a snowy mountain
a woman with a white hat sits on a bench
people walk across a busy street
a brown horse runs through a field
a boy swings on a rope over the water
three girls smile at the camera
a white cat sleeps on a blue sofa
a cyclist rides past a crowd
a surfer on a large wave
an old man reads a newspaper
a baby in a yellow shirt eats cake
a small boat on a calm lake
a basketball player shoots the ball
two dogs fight over a stick
a train stops at a station
a group of friends around a table with food
a climber hangs on a steep rock
a girl blows bubbles in the park
a man plays the guitar on a stage
a skateboarder jumps down some stairs
a bird sits on the branch of a tree
children in a swimming pool
a woman holds an umbrella in the rain
a red car in front of a house
a dog swims with a ball in its mouth
a couple dances at a wedding
a firefighter climbs a ladder
a boy with glasses looks through a window
a football team celebrates
a woman takes a photo of a building
a kitchen with a stove and a window
a motorcycle turns on a muddy track
a man sells fruit at a market
sheep on a green hill
a child draws on the pavement
a skier in the air
two women talk on a train
an elephant drinks from a river
a plane above the clouds
a sandy beach with many people
a lamp on a wooden desk
a man in a suit talks on the phone
a girl in a pink dress climbs some stairs
a bowl of soup and a slice of bread
a tall tower at night
a bus beside a yellow taxi
a tennis player hits the ball
a black and white dog catches a disc
""".strip().splitlines()
"""Default queries: ordinary sentences, where none are given."""
