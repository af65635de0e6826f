from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, astuple
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import regiontalk
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.results import Reporting
from regiontalk.evaluation.retrieval.metric import (
    RetrievalResult,
    RetrievalScores,
    WayScores,
    retrieval,
)
from regiontalk.evaluation.retrieval.saved import Similarity, evaluate_embeddings, evaluate_scores
from regiontalk.evaluation.signature import file_sha256

PHOTOS, SENTENCES = 6, 18
OWNERS = np.arange(SENTENCES) // 3


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def saved(folder: Path, suffix: str = ".npy", **arrays: np.ndarray) -> Path:
    file = folder / f"{'_'.join(arrays)}{suffix}"
    if suffix == ".npy":
        np.save(file, *arrays.values())
    elif suffix == ".npz":
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    else:
        save_file(arrays, file)
    return file


def assert_numbers(found: RetrievalResult, expected: RetrievalScores) -> None:
    for way, numbers in asdict(expected).items():
        assert asdict(found.scores)[way] == pytest.approx(numbers, abs=1e-4)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_scores(tmp_path: Path, suffix: str) -> None:
    scores = random(PHOTOS, SENTENCES)
    file = saved(tmp_path, suffix, scores=scores)
    found = evaluate_scores(file)
    assert_numbers(found, retrieval(scores, OWNERS))
    assert found.signature == {
        "regiontalk": regiontalk.__version__,
        "photos": PHOTOS,
        "captions": SENTENCES,
        "captions_per_photo": "3",
        "seen_in_training": "unknown: the numbers come from a file",
        "scores": file.name,
        "scores_sha256": file_sha256(file),
        "owners": "assumed: sentences in the order of the photos, 3 for each",
        "ties": "count against the system",
        "folds": "1",
    }


def test_owners(tmp_path: Path) -> None:
    scores, owners = random(PHOTOS, 8), np.array([5, 4, 3, 3, 2, 1, 0, 0], np.uint8)
    file = saved(tmp_path, owners=owners)
    found = evaluate_scores(saved(tmp_path, scores=scores), file)
    assert_numbers(found, retrieval(scores, owners.astype(int)))
    assert found.signature["owners"] == f"owners.npy, sha256 {file_sha256(file)}"
    assert found.signature["captions_per_photo"] == "1 to 2"


def test_folds_and_intervals(tmp_path: Path) -> None:
    scores = random(PHOTOS, SENTENCES)
    found = evaluate_scores(
        saved(tmp_path, scores=scores), reporting=Reporting(folds=2, samples=50, seed=3)
    )
    parts = [retrieval(scores[k : k + 3, 3 * k : 3 * k + 9], OWNERS[:9]) for k in (0, 3)]
    ways = zip(*([each.image_to_text, each.text_to_image] for each in parts), strict=True)
    average = [
        WayScores(*np.mean([astuple(first), astuple(second)], axis=0).tolist())
        for first, second in ways
    ]
    assert_numbers(found, RetrievalScores(*average))
    assert found.signature["folds"] == "average of 2 of 3 photos each, in order"
    assert (
        found.signature["interval"] == "95 %, percentiles of 50 bootstrap samples of photos, seed 3"
    )
    assert found.interval is not None
    low, high = found.interval.text_to_image["mean_rank"]
    assert low <= found.scores.text_to_image.mean_rank <= high


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_embeddings(tmp_path: Path, suffix: str, similarity: Similarity) -> None:
    photos, sentences = random(PHOTOS, 5), random(SENTENCES, 5, seed=1)
    files = saved(tmp_path, suffix, photos=photos), saved(tmp_path, suffix, sentences=sentences)
    found = evaluate_embeddings(*files, similarity)
    if similarity == "cosine":
        photos, sentences = (
            each / np.linalg.norm(each, axis=1, keepdims=True) for each in (photos, sentences)
        )
    assert_numbers(found, retrieval(photos @ sentences.T, OWNERS))
    assert found.signature["similarity"] == {"dot": "dot product", "cosine": "cosine"}[similarity]
    assert found.signature["sentence_embeddings_sha256"] == file_sha256(files[1])


def test_embeddings_in_one_file_and_in_folds(tmp_path: Path) -> None:
    photos, sentences = random(PHOTOS, 5), random(SENTENCES, 5, seed=1)
    file = saved(tmp_path, ".npz", photos=photos, sentences=sentences, owners=OWNERS[::-1])
    found = evaluate_embeddings(file, file, "dot", file, Reporting(folds=2))
    scores = photos @ sentences.T
    parts = [
        retrieval(scores[k : k + 3, 15 - 3 * k - 6 : 18 - 3 * k], OWNERS[8::-1]) for k in (0, 3)
    ]
    assert found.scores.rsum == pytest.approx(np.mean([each.rsum for each in parts]))


def test_lengths_far_from_one_have_a_cosine(tmp_path: Path) -> None:
    photos, sentences = random(PHOTOS, 5), random(SENTENCES, 5, seed=1)
    plain = evaluate_embeddings(
        saved(tmp_path, photos=photos), saved(tmp_path, sentences=sentences), "cosine"
    )
    scale = np.array([1e-300, 1e300, 1e-160, 1e160, 1, 1])[:, None]
    odd = evaluate_embeddings(
        saved(tmp_path, photos=photos * scale), saved(tmp_path, sentences=sentences), "cosine"
    )
    assert plain.scores == odd.scores


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(DataError) as raised:
        call()
    for word in words:
        assert word in str(raised.value)


def test_scores_that_are_none(tmp_path: Path) -> None:
    for array, words in (
        (np.zeros(4), ("floating-point (photos, sentences)", "float64 of shape (4,)")),
        (np.zeros((2, 4), int), ("floating-point", "int64")),
        (np.zeros((2, 4), complex), ("floating-point", "complex128")),
        (np.zeros((0, 4)), ("(0, 4)",)),
        (np.zeros((3, 4)), ("4 sentences are not equally many for each of 3 photos", "--owners")),
        (np.zeros((8, 4)), ("4 sentences", "8 photos", "Photos come first")),
        (
            np.array([[0, 1, np.nan, 0], [0, 0, 0, 0]]),
            ("finite", "photo 0 and sentence 2 score nan"),
        ),
        (
            np.array([[0, 1, 0, 0], [0, -np.inf, 0, 0]]),
            ("finite", "photo 1 and sentence 1 score -inf"),
        ),
        (np.array([["a", "b"]]), ("floating-point",)),
    ):
        file = saved(tmp_path, scores=array)
        refused(lambda file=file: evaluate_scores(file), "scores.npy", *words)  # type: ignore[misc]


def test_a_wrong_score_in_a_fold(tmp_path: Path) -> None:
    scores = np.zeros((4, 4))
    scores[3, 2] = np.nan
    file = saved(tmp_path, scores=scores)
    refused(
        lambda: evaluate_scores(file, reporting=Reporting(folds=2)),
        "photo 1 and sentence 0",
        "within the fold",
    )
    with pytest.raises(ConfigError, match="--folds 3: 4 photos cannot be cut"):
        evaluate_scores(file, reporting=Reporting(folds=3))


def test_owners_that_are_none(tmp_path: Path) -> None:
    scores = saved(tmp_path, scores=np.zeros((2, 4)))
    for array, words in (
        (np.zeros(4), ("4 integers", "float64 (4,)")),
        (np.zeros(3, int), ("4 integers", "(3,)")),
        (np.array([0, 1, 2, 1]), ("photos 0 to 1", "0 to 2")),
        (np.array([0, 1, -1, 1]), ("photos 0 to 1", "-1 to 1")),
        (np.array([0, 1, 2**64 - 1, 1], np.uint64), ("photos 0 to 1", "18446744073709551615")),
        (np.array([0, 0, 0, 0]), ("must each have a sentence",)),
    ):
        owners = saved(tmp_path, owners=array)
        refused(lambda owners=owners: evaluate_scores(scores, owners), "owners.npy", *words)  # type: ignore[misc]


def test_embeddings_that_are_none(tmp_path: Path) -> None:
    good = saved(tmp_path, sentences=random(4, 3))
    for array, words in (
        (np.zeros((2, 3, 4)), ("(photos, dimensions), one vector each", "(2, 3, 4)")),
        (random(2, 5), ("vectors of 5 numbers", "sentences.npy of 3")),
        (np.array([[0, 0, 1], [1, np.nan, 0]]), ("row 1 holds a number that is not finite",)),
        (np.array([[1e39, 0, 0], [1, 0, 0]]), ("row 0 holds a number too large",)),
        (np.array([[3e38, 3e38, 3e38], [1, 0, 0]]), ("scores must be finite",)),
    ):
        photos = saved(tmp_path, photos=array)
        refused(
            lambda photos=photos: evaluate_embeddings(photos, good, "dot"), "photos.npy", *words
        )  # type: ignore[misc]
    photos = saved(tmp_path, photos=np.array([[1.0, 0, 0], [0, 0, 0]]))
    refused(
        lambda: evaluate_embeddings(photos, good, "cosine"),
        "photos.npy",
        "row 1 is zero and has no cosine",
    )


def test_files_that_are_none(tmp_path: Path) -> None:
    several = saved(tmp_path, ".npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    refused(lambda: evaluate_scores(several), "one array, or one named scores", "a, b")
    refused(lambda: evaluate_scores(tmp_path / "missing.npy"), "missing.npy", "no such file")
    refused(lambda: evaluate_scores(tmp_path), "expected a file .npy, .npz or .safetensors")
    whole = saved(tmp_path, scores=random(40, 40)).read_bytes()
    for suffix in (".npy", ".npz", ".safetensors"):
        file = tmp_path / f"broken{suffix}"
        for content in (
            b"",
            b"nonsense",
            b"\x93NUMPY\x01\x00\x0a\x00((((((((((",
            whole[:500],
            b"PK\x05\x06" + bytes(18),
        ):
            file.write_bytes(content)
            refused(lambda file=file: evaluate_scores(file), file.name)  # type: ignore[misc]


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    trap = np.array([[Trap(), Trap()]], object)
    np.save(tmp_path / "trap.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "trap.npz", scores=trap)
    (tmp_path / "raw.npy").write_bytes((tmp_path / "trap.npy").read_bytes()[128:])
    for name in ("trap.npy", "trap.npz", "raw.npy"):
        refused(lambda name=name: evaluate_scores(tmp_path / name), name)  # type: ignore[misc]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("suffix", [".NPY", ".Npz", ".SAFETENSORS"])
def test_suffixes_in_any_case(tmp_path: Path, suffix: str) -> None:
    scores = random(PHOTOS, SENTENCES).astype(np.float32)
    file = saved(tmp_path, suffix.lower(), scores=scores).rename(tmp_path / f"other{suffix}")
    assert evaluate_scores(file).signature["photos"] == PHOTOS
