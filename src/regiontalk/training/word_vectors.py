"""Word vectors from word2vec and GloVe text files: a word and its numbers on a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import Tensor

from regiontalk.errors import DataError
from regiontalk.language import Vocabulary, tokenise


def vectors_of(file: Path, vocabulary: Vocabulary) -> np.ndarray:
    """The vectors of a vocabulary's words, each of length 1; zero for words without.  # (V, G)

    Raises:
        DataError: if the file cannot be read, its lines differ in length, or it has none of the words.
    """
    special = len(vocabulary) - len(vocabulary.words)
    found = {word: unit(vector) for word, vector in read_vectors(file, vocabulary.__contains__)}
    if not found:
        raise DataError(f"{file}: none of the vocabulary's {len(vocabulary.words)} words is in it")
    table = np.zeros((len(vocabulary), len(next(iter(found.values())))), np.float32)
    for row, word in enumerate(vocabulary.words, start=special):
        if word in found:
            table[row] = found[word]
    return table


def first_vectors(file: Path, vocabulary: Vocabulary, count: int) -> dict[str, np.ndarray]:
    """The first words of a file that a vocabulary lacks, with their vectors as `vectors_of` has them.

    Raises:
        DataError: if the file cannot be read, its lines differ in length, or it has no such word.
    """
    others = read_vectors(file, lambda word: word not in vocabulary and tokenise(word) == [word])
    found = {word: unit(vector) for word, vector in islice(others, count)}
    if not found:
        raise DataError(f"{file}: holds no word that captions do not teach already")
    return found


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector (G,) with length 1."""
    return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-9))


def read_vectors(file: Path, wanted: Callable[[str], bool], length: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """The words of a file that are wanted, in its order, each with its vector.

    Args:
        length: dimensions to expect; 0 for those of the first line.

    Raises:
        DataError: if the file cannot be read, or a vector has other dimensions than the first.
    """
    before = 0
    with open_text(file) as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip().split(" ")
            if number == 1 and len(values) == 1:
                continue  # word2vec's header: count and dimensions
            length = length or len(values)
            spaced = 0 < before < len(values)  # not this word but one with spaces, as GloVe has
            before = before or len(values)
            if not spaced and wanted(word):
                yield word, parse_vector(values, length, f"{file}, line {number}")


def load_word_vectors(file: Path, vocabulary: Vocabulary, embedding: Tensor) -> int:
    """Copy the vectors of known words from a word2vec or GloVe text file into `embedding` (V, d), in place.

    Vectors are scaled together so that their mean length equals that of the random ones they replace.

    Returns:
        How many words of the vocabulary were found.

    Raises:
        DataError: if the file cannot be read, a line's number of values is not d, or no word is found.
    """
    special = len(vocabulary) - len(vocabulary.words)
    rows = {word: row for row, word in enumerate(vocabulary.words, start=special)}
    found = {rows[word]: vector for word, vector in read_vectors(file, rows.__contains__, embedding.shape[1])}
    if not found:
        raise DataError(
            f"{file}: none of the vocabulary's {len(rows)} words is in it; is it a text file of word vectors?"
        )
    vectors = np.stack(list(found.values()))
    scale = float(embedding.norm(dim=1).mean()) / max(float(np.linalg.norm(vectors, axis=1).mean()), 1e-9)
    with torch.no_grad():
        embedding[list(found)] = torch.from_numpy(vectors * np.float32(scale)).to(embedding)
    return len(found)


def open_text(file: Path) -> TextIO:
    try:
        return file.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); `word_vectors` must name a text file") from error


def parse_vector(values: list[str], length: int, where: str) -> np.ndarray:
    try:
        vector = np.array(values, np.float32)
    except ValueError as error:
        raise DataError(f"{where}: expected numbers after the word ({error})") from error
    if len(vector) != length or not np.isfinite(vector).all():
        raise DataError(f"{where}: expected {length} finite numbers, found {len(vector)}; set `embedding` to match")
    return vector
