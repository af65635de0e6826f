"""Retrieval by another system's saved scores or embeddings.

Ranks, ties and signature are those of a pack's retrieval. Axis names: N photos, L sentences, d
dimensions.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors

import regiontalk
from regiontalk.errors import DataError, memory_errors
from regiontalk.evaluation.results import SILENT, Progress, Reporting
from regiontalk.evaluation.retrieval.metric import RetrievalResult, cut_folds, rank_folds
from regiontalk.evaluation.retrieval.ranks import (
    MatrixScores,
    VectorScores,
    check_photo_of_sentence,
)
from regiontalk.evaluation.signature import file_sha256, photo_counts
from regiontalk.files import open_regular, problem

Similarity = Literal["dot", "cosine"]
SIMILARITIES: tuple[Similarity, ...] = ("dot", "cosine")

_ROWS = 4096
_MAX_BYTES = 1 << 44
_FLOAT32_MAX = np.finfo(np.float32).max
_SEEN = "unknown: the numbers come from a file"


def evaluate_scores(
    scores: Path,
    owners: Path | None = None,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> RetrievalResult:
    """Retrieval by a saved matrix of scores.

    A .npy file is memory-mapped and read in chunks of rows.

    Args:
        scores: .npy, .npz or .safetensors with float (N, L), photos by sentences, the higher the
            better.
        owners: the same kinds with integers (L,), the photo of each sentence from 0; None if the
            sentences are in the order of the photos, equally many for each.
        reporting, progress: as `evaluate_retrieval`.

    Returns:
        With the files' names and checksums in the signature.

    Raises:
        DataError: naming the file, what was expected in it and what was found.
        ConfigError: if the folds cannot be of equal size.
    """
    reporting, progress = reporting or Reporting(), progress or SILENT
    matrix = _read_floats(scores, "scores", "(photos, sentences)")
    of, origin = _read_photo_of_sentence(owners, len(matrix), matrix.shape[1], scores)
    parts = cut_folds(of, len(matrix), reporting.folds)

    def scores_of(part: slice, mine: np.ndarray, own: np.ndarray) -> MatrixScores:
        return MatrixScores(matrix[part], own, None if len(parts) == 1 else mine)

    with _blamed_on(scores, len(parts)):
        ranks = rank_folds(parts, scores_of, progress)
    signature = {**_start(of), **_file("scores", scores), "owners": origin}
    return RetrievalResult.of(ranks, signature, reporting)


def evaluate_embeddings(
    photos: Path,
    sentences: Path,
    similarity: Similarity,
    owners: Path | None = None,
    reporting: Reporting | None = None,
    progress: Progress | None = None,
) -> RetrievalResult:
    """Retrieval by saved embeddings, one vector a photo and a sentence, in float32.

    Args:
        photos, sentences: .npy, .npz or .safetensors with float (N, d) and (L, d). Of several
            arrays in a file those named `photos` and `sentences` are taken.
        similarity: "dot" for the plain dot product, "cosine" for that of vectors made unit length.
        owners, reporting, progress: as `evaluate_scores`.

    Returns:
        With the files' names and checksums in the signature.

    Raises:
        DataError, ConfigError: as `evaluate_scores`.
    """
    reporting, progress = reporting or Reporting(), progress or SILENT
    left = _vectors(photos, "photos", similarity)  # (N, d)
    right = _vectors(sentences, "sentences", similarity)  # (L, d)
    if left.shape[1] != right.shape[1]:
        raise DataError(
            f"{photos} has vectors of {left.shape[1]} numbers and {sentences} of {right.shape[1]}: "
            "expected as many"
        )
    of, origin = _read_photo_of_sentence(owners, len(left), len(right), sentences)
    parts = cut_folds(of, len(left), reporting.folds)

    def scores_of(part: slice, mine: np.ndarray, own: np.ndarray) -> VectorScores:
        # A photo is one region, a sentence one word
        regions, words = left[part][:, None], right[mine][:, None]
        return VectorScores(regions, np.ones(len(regions), np.int64), list(words), own)

    with _blamed_on(photos, len(parts)):
        ranks = rank_folds(parts, scores_of, progress)
    files = {**_file("photo_embeddings", photos), **_file("sentence_embeddings", sentences)}
    how = {"similarity": "dot product" if similarity == "dot" else "cosine", "owners": origin}
    return RetrievalResult.of(ranks, {**_start(of), **files, **how}, reporting)


@contextmanager
def _blamed_on(file: Path, folds: int) -> Iterator[None]:
    """Turns errors about scores that are not finite into DataErrors that name the file."""
    try:
        yield
    except ValueError as error:
        raise DataError(
            f"{file}: {error}{', counted within the fold' if folds > 1 else ''}"
        ) from error


def _start(photo_of_sentence: np.ndarray) -> dict[str, Any]:
    return {
        "regiontalk": regiontalk.__version__,
        **photo_counts(np.bincount(photo_of_sentence)),
        "seen_in_training": _SEEN,
    }


def _file(name: str, file: Path) -> dict[str, str]:
    return {name: file.name, f"{name}_sha256": file_sha256(file)}


def _vectors(file: Path, name: str, similarity: Similarity) -> np.ndarray:
    """Embeddings as float32, unit length for cosine: (N, d)."""
    array = _read_floats(file, name, f"({name}, dimensions), one vector each")
    vectors = np.empty(array.shape, np.float32)
    for start in range(0, len(array), _ROWS):
        part = np.asarray(array[start : start + _ROWS], np.float64)
        _refuse_rows(file, start, np.isfinite(part), "holds a number that is not finite")
        if similarity == "cosine":
            largest = np.abs(part).max(axis=1, keepdims=True)
            _refuse_rows(file, start, largest > 0, "is zero and has no cosine")
            part = part / largest  # so that no square overflows or vanishes
            part /= np.sqrt((part**2).sum(axis=1, keepdims=True))
        small = np.asarray(np.abs(part) <= _FLOAT32_MAX)
        _refuse_rows(file, start, small, "holds a number too large for float32")
        vectors[start : start + _ROWS] = part
    return vectors


def _refuse_rows(file: Path, start: int, right: np.ndarray, why: str) -> None:
    """Refuses a chunk of rows, from `start`, if `right`, (n, d), does not hold in all of one."""
    wrong = ~right.all(axis=1)
    if wrong.any():
        raise DataError(f"{file}: row {start + int(wrong.argmax())} {why}; expected finite vectors")


def _read_photo_of_sentence(
    file: Path | None, photos: int, sentences: int, of: Path
) -> tuple[np.ndarray, str]:
    """The photo of each sentence, (L,), and its origin for the signature."""
    if file is None:
        if sentences % photos or not sentences:
            raise DataError(
                f"{of}: {sentences} sentences are not equally many for each of {photos} photos. "
                "Photos come first and sentences second; say with --owners which photo each "
                "sentence belongs to"
            )
        each = sentences // photos
        return np.arange(
            sentences
        ) // each, f"assumed: sentences in the order of the photos, {each} for each"
    rows = _read_array(file, "owners")
    if rows.shape != (sentences,) or not np.issubdtype(rows.dtype, np.integer):
        raise DataError(
            f"{file}: expected {sentences} integers, the photo of each sentence, "
            f"found {rows.dtype} {rows.shape}"
        )
    rows = np.asarray(rows)
    if rows.min() < 0 or rows.max() >= photos:  # before the cast to int64 could overflow
        raise DataError(
            f"{file}: expected photos 0 to {photos - 1}, found {rows.min()} to {rows.max()}"
        )
    rows = rows.astype(np.int64)
    try:
        check_photo_of_sentence(rows, photos)
    except ValueError as error:
        raise DataError(f"{file}: {error}") from error
    return rows, f"{file.name}, sha256 {file_sha256(file)}"


def _read_floats(file: Path, name: str, axes: str) -> np.ndarray:
    array = _read_array(file, name)
    if array.ndim != 2 or 0 in array.shape or not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{file}: expected floating-point {axes}, found {array.dtype} of shape {array.shape}"
        )
    return array


def _read_array(file: Path, name: str) -> np.ndarray:
    """An array from a file, by name if there are several. Nothing is ever unpickled."""
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise DataError(
            f"{file}: expected a file .npy, .npz or .safetensors, "
            f"found {file.suffix or 'no suffix'}"
        )
    with open_regular(file, _MAX_BYTES):
        pass
    try:
        array = reader(file, name)
    except DataError:
        raise
    except MemoryError:
        raise problem(file, "too little memory to read it", DataError) from None
    except Exception as error:  # parsers raise almost anything on damaged files
        raise DataError(
            f"{file}: cannot be read as {file.suffix} with an array of numbers ({error})"
        ) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{file}: expected an array of numbers, found something else")
    return array


def _read_npy(file: Path, name: str) -> Any:
    return np.lib.format.open_memmap(file, mode="r")  # refuses objects


def _read_npz(file: Path, name: str) -> Any:
    with zipfile.ZipFile(file):  # np.load would also accept a file that is no archive
        pass
    with np.load(file, allow_pickle=False) as archive:
        return archive[_pick(file, archive.files, name)]


def _read_safetensors(file: Path, name: str) -> Any:
    twice = 2 * file.stat().st_size  # mapped, and copied
    with memory_errors(twice), safetensors.safe_open(file, framework="numpy") as tensors:
        return tensors.get_tensor(_pick(file, list(tensors.keys()), name))


_READERS: dict[str, Callable[[Path, str], Any]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
}


def _pick(file: Path, found: list[str], name: str) -> str:
    if len(found) == 1:
        return found[0]
    if name in found:
        return name
    raise DataError(
        f"{file}: expected one array, or one named {name}, found {', '.join(found) or 'none'}"
    )
