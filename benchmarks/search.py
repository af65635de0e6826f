"""Exact search against the plain definition and against reading the vectors once.

And two stages against exact search. python benchmarks/search.py # 31,000 photos x 20 regions, h =
512 python benchmarks/search.py --simulate 1000000 # h = 64, float16: recall, times, also of a first
search, memory python benchmarks/search.py --storages data/flickr8k --photos 1000 # what float16 and
int8 lose on real photos

The plain definition is `numpy.einsum("rh,th->rt")` over all vectors, then max and sum. Reading is
`numpy.sum` over all of them, which one core does. The simulated photos lie in clusters, their
regions around them: see `simulated`.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from measuring import arguments, at_least_one, median_seconds, print_table

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.evaluation.retrieval.metric import retrieval
from regiontalk.search.columns import Columns
from regiontalk.search.engine import ExactEngine, TwoStageEngine
from regiontalk.search.index import Index
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.scoring import photo_scores
from regiontalk.search.storage import STORAGES, encode
from regiontalk.search.writer import MOST_PHOTOS, IndexWriter
from regiontalk.vision.session import available_cpus

REGIONS, WORDS = 20, 12
NONE = np.empty(0, np.float32)
GOAL_EINSUM, GOAL_READING, GOAL_RECALL, GOAL_STAGES = 4, 1.5, 0.95, 20


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--photos", type=at_least_one, default=31_000, help="of the exact search (default: 31000)"
    )
    parser.add_argument(
        "--dimensions", type=at_least_one, default=512, help="h of the exact search (default: 512)"
    )
    parser.add_argument(
        "--threads", type=at_least_one, help="cores for exact search; all by default"
    )
    parser.add_argument(
        "--simulate",
        type=at_least_one,
        metavar="PHOTOS",
        help="two stages on so many made-up photos",
    )
    parser.add_argument(
        "--candidates", type=at_least_one, default=2000, help="of the first stage (default: 2000)"
    )
    parser.add_argument(
        "--queries", type=at_least_one, default=20, help="of the simulation (default: 20)"
    )
    parser.add_argument(
        "--storages", metavar="FOLDER", help="measure storages on the test photos of this dataset"
    )
    options = parser.parse_args()
    if options.storages:
        storages(options)
    elif options.simulate:
        simulation(options)
    else:
        exact(options)


def exact(options: argparse.Namespace) -> None:
    """The same scores three ways, and how long each takes."""
    rng = np.random.default_rng(0)
    vectors = np.empty((options.photos * REGIONS, options.dimensions), np.float32)
    for start in range(0, len(vectors), 10_000):
        part = vectors[start : start + 10_000]
        rng.standard_normal(part.shape, np.float32, out=part)
    words = rng.standard_normal((WORDS, options.dimensions), np.float32)
    ends = np.arange(1, options.photos + 1) * REGIONS

    def search() -> np.ndarray:
        return photo_scores(vectors, NONE, ends, words, options.threads)

    def plain() -> np.ndarray:
        products = np.einsum("rh,th->rt", vectors, words)
        scores: np.ndarray = products.reshape(-1, REGIONS, WORDS).max(axis=1).sum(axis=1)
        return scores

    difference = float(np.abs(search() - plain()).max())
    if difference > 1e-2:  # of scores around a thousand
        raise SystemExit(f"the scores differ by {difference}: nothing was measured.")
    seconds = median_seconds(
        {"exact search": search, "einsum, max, sum": plain, "reading": vectors.sum}, options.repeats
    )
    first = seconds["exact search"]
    goals = {
        "einsum, max, sum": f"at least {GOAL_EINSUM}: "
        f"{yes(seconds['einsum, max, sum'] / first >= GOAL_EINSUM)}",
        "reading": f"at least {1 / GOAL_READING:.2f}: "
        f"{yes(first <= GOAL_READING * seconds['reading'])}",
    }
    rows = [
        [name, f"{each:.3f}", f"{each / first:.2f}", goals.get(name, "")]
        for name, each in seconds.items()
    ]
    threads = options.threads or available_cpus()
    title = (
        f"{options.photos} photos x {REGIONS} regions, h = {options.dimensions}, {threads} threads"
    )
    print_table(title, ["", "seconds", "of exact search", "goal"], rows)
    print(f"Scores differ by {difference:.1e} at the most.")


def yes(good: bool) -> str:
    """A verdict."""
    return "yes" if good else "NO"


def simulation(options: argparse.Namespace) -> None:
    """An index of made-up photos, committed as by `index add`, and searched both ways."""
    with tempfile.TemporaryDirectory() as folder:
        began = most_memory()
        start = time.perf_counter()
        build(Path(folder) / "index", options.simulate)
        build_seconds = time.perf_counter() - start
        grown = most_memory() - began
        index = Index.open(Path(folder) / "index")
        compare_stages(options, index)
        print_first(options, Path(folder) / "index")
        size = sum(each.stat().st_size for each in (Path(folder) / "index").iterdir())
    print(
        f"Built in {build_seconds:.0f} s, {size / 1e9:.2f} GB; memory grew by {grown / 1e6:.0f} MB."
    )


def compare_stages(options: argparse.Namespace, index: Index) -> None:
    """Recall@10 of two stages, and the median times."""
    engines: dict[str, ExactEngine | TwoStageEngine] = {
        "exact": ExactEngine(index, options.threads),
        "two stages": TwoStageEngine(index, options.candidates, options.threads),
    }
    rng, recalls = np.random.default_rng(1), []
    times: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(options.queries + 1):
        words = simulated_words(rng)
        found = {}
        for name, engine in engines.items():
            began = time.perf_counter()
            found[name] = engine.ranked(words, 10)[0]
            times[name].append(time.perf_counter() - began)
        if number:  # the first reads the files
            recalls.append(len(np.intersect1d(found["exact"], found["two stages"])) / 10)
    slow, fast = (median(times[name][1:]) for name in ("exact", "two stages"))
    recall = float(np.mean(recalls))
    rows = [
        ["exact", f"{slow * 1000:.0f}", "", "1"],
        ["two stages", f"{fast * 1000:.1f}", f"1/{slow / fast:.0f}", f"{recall:.3f}"],
        [
            "goal",
            "",
            f"1/{GOAL_STAGES}: {yes(slow >= GOAL_STAGES * fast)}",
            f"{GOAL_RECALL}: {yes(recall >= GOAL_RECALL)}",
        ],
    ]
    title = f"{index.photos} photos, {options.candidates} candidates, {options.queries} queries"
    print_table(title, ["", "p50, ms", "of exact", "recall@10"], rows)


def print_first(options: argparse.Namespace, folder: Path) -> None:
    """What a first search costs more than the next.

    It maps the files and compares the checksums of what it reads.
    """
    words = simulated_words(np.random.default_rng(2))
    first, later = list[float](), list[float]()
    for _ in range(options.repeats):
        engine = ExactEngine(Index.open(folder), options.threads)
        for times in (first, later):
            began = time.perf_counter()
            engine.ranked(words, 10)
            times.append(time.perf_counter() - began)
    took, again = median(first), median(later)
    print(
        f"An opened index's first exact search, which compares checksums: {took * 1000:.0f} ms, "
        f"{took / again:.2f} times the next; median of {options.repeats}."
    )


DIM, CLUSTERS = 64, 1000
BETWEEN, WITHIN = 1.0, 0.7
"""Spread of photos around their cluster's centre and of regions around their photo, beside 1.5 of
the centres."""


def centres() -> np.ndarray:
    """(CLUSTERS, h): what photos can be about."""
    return np.random.default_rng(99).normal(0, 1.5, (CLUSTERS, DIM)).astype(np.float32)


def simulated(numbers: range) -> Columns:
    """Made-up photos, each about one of `CLUSTERS` things.

    Each region is a variation of the thing, some longer than others.
    """
    rng, count = np.random.default_rng([7, numbers.start]), len(numbers)
    # about: (P, h)
    about = centres()[rng.integers(0, CLUSTERS, count)] + rng.normal(0, BETWEEN, (count, DIM))
    regions = about[:, None] + rng.normal(0, WITHIN, (count, REGIONS, DIM))  # (P, M, h)
    regions *= rng.gamma(8, 1 / 8, (count, REGIONS, 1))
    stored, scales = encode(regions.reshape(-1, DIM), "float16")
    paths = [f"/photos/{number:09}.jpg".encode() for number in numbers]
    arrays = {
        "row_ends": np.arange(1, count + 1) * REGIONS,
        "path_ends": np.cumsum([len(path) for path in paths]),
        "taken": np.zeros(count, np.int64),
        "file_sizes": np.ones(count, np.int64),
        "mtimes_ns": np.ones(count, np.int64),
        "dimensions": np.full((count, 2), 500, np.int32),
        "hubness": np.zeros(count, np.float32),
        "pooled": regions.mean(axis=1, dtype=np.float64).astype(np.float32),
        "boxes": np.tile(np.array([0, 0, 500, 500], np.float32), (count * REGIONS, 1)),
        "objectness": np.ones(count * REGIONS, np.float32),
        "scales": scales,
        "vectors": stored,
        "sha256": np.stack(
            [np.frombuffer(hashlib.sha256(path).digest(), np.uint8) for path in paths]
        ),
        "paths": np.frombuffer(b"".join(paths), np.uint8),
    }
    return Columns(arrays)


def simulated_words(rng: np.random.Generator) -> np.ndarray:
    """A made-up sentence, (T, h).

    Half of its words are about one thing, half about another, some matter little.
    """
    about = centres()[rng.integers(0, CLUSTERS, 2)]
    words = np.repeat(about, WORDS // 2, axis=0) + rng.normal(0, 1, (WORDS, DIM))
    weighed: np.ndarray = (words * rng.gamma(1, 1, (WORDS, 1))).astype(np.float32)
    return weighed


def build(folder: Path, photos: int, step: int = 4096) -> None:
    """An index of `photos` made-up photos."""
    with IndexWriter(folder, PackIdentity("simulated", "0" * 64, DIM), "float16") as writer:
        for start in range(0, photos, step):
            writer.commit([simulated(range(start, min(start + step, photos)))])
            if start // step % (MOST_PHOTOS // step) == 0:
                writer.merge()
        writer.merge()


def storages(options: argparse.Namespace) -> None:
    """Retrieval on real photos from float32, float16 and int8 vectors, and what search finds."""
    model = regiontalk.load(options.pack)
    photos = read_dataset(options.storages, "test").photos[: options.photos]
    looked = model.look(each.file for each in photos)
    sentences = model.read(caption for each in photos for caption in each.captions)
    photo_of_sentence = np.array([row for row, each in enumerate(photos) for _ in each.captions])
    ends = np.cumsum([len(each) for each in looked])
    word_counts = np.array([len(each.vectors) for each in sentences], np.float32)
    of_photos, of_sentences = (
        np.array([each.hubness for each in some], np.float32) for some in (looked, sentences)
    )
    hubness = of_photos[:, None] + of_sentences  # (N, L)
    best: np.ndarray | None = None
    rows = []
    for storage in STORAGES:
        stored, scales = encode(np.concatenate([each.vectors for each in looked]), storage)
        # scores: (N, L)
        scores = np.stack(
            [photo_scores(stored, scales, ends, each.vectors) for each in sentences], axis=1
        )
        if model.score_kind == "mean":
            scores /= word_counts
        scores -= hubness
        result = retrieval(scores, photo_of_sentence)
        order = np.argsort(-scores, axis=0, kind="stable")[:10]  # (10, L)
        best = order if best is None else best
        kept = np.mean(
            [len(np.intersect1d(a, b)) / len(a) for a, b in zip(order.T, best.T, strict=True)]
        )
        r1 = [f"{way.r1:.2f}" for way in (result.image_to_text, result.text_to_image)]
        rows.append(
            [storage, f"{(stored.nbytes + scales.nbytes) / len(stored):.0f}", *r1, f"{kept:.4f}"]
        )
    pack = f"pack {model.pack.settings.name} {model.pack.checksum[:12]}"
    title = f"{len(photos)} test photos, {len(sentences)} sentences, {pack}"
    print_table(
        title,
        [
            "storage",
            "bytes a region",
            "image → text R@1",
            "text → image R@1",
            "recall@10 of float32",
        ],
        rows,
    )


def most_memory() -> int:
    """The most memory that this process has ever held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main()
