"""Scores and alignments of a model, checked against the equations and the parts."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from regiontalk.alignment.mrf import align, viterbi
from regiontalk.alignment.score import Kind, pad, score_matrix
from regiontalk.errors import ConfigError, SentenceError
from regiontalk.model import Model, load
from regiontalk.pack import save_pack
from regiontalk.settings import AlignmentSettings
from regiontalk.structures import Sentence
from regiontalk.vision.boxes import distinct

from ..tiny_pack import (
    DIM,
    tiny_arrays,
    tiny_bank,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
    write_tiny_pack,
)
from .conftest import SENTENCES


def test_scores_are_equation_8(model: Model, photo_files: list[Path]) -> None:
    regions, sentences = model.look(photo_files), model.read(SENTENCES)
    scores = model.score(photo_files, SENTENCES)
    assert scores.shape == (11, 3)
    assert scores.dtype == np.float32
    expected = [[(s.vectors @ r.vectors.T).max(axis=1).sum() for s in sentences] for r in regions]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.score(regions, sentences), scores, rtol=1e-4, atol=1e-4)
    mixed = model.score([photo_files[0], regions[1]], [SENTENCES[0], sentences[1]])
    np.testing.assert_allclose(mixed, scores[:2, :2], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        model.score(photo_files[4], "two people"), scores[4:5, 1:2], rtol=1e-4, atol=1e-4
    )


def test_equal_photos_and_sentences_have_equal_scores_and_captions(
    tmp_path: Path, photo_files: list[Path]
) -> None:
    model = load(write_tiny_pack(tmp_path / "pack", score="mean", bank=True).folder, threads=1)
    photos, sentences = (
        [photo_files[k % 4] for k in range(43)],
        [SENTENCES[k % 3] for k in range(301)],
    )
    read, looked = model.read(sentences), model.look(photos)
    assert all(np.array_equal(each.vectors, read[k % 3].vectors) for k, each in enumerate(read))
    assert len({each.hubness for each in read}) == 3
    assert all(np.array_equal(each.vectors, looked[k % 4].vectors) for k, each in enumerate(looked))
    scores = model.score(looked, read)
    np.testing.assert_array_equal(scores, scores[np.ix_(np.arange(43) % 4, np.arange(301) % 3)])
    described = model.describe_regions(looked)
    assert len({each.caption for each in described}) <= 4
    assert len({each.region_captions for each in described}) <= 4


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_pack_names_its_kind_of_score(tmp_path: Path, photo_file: Path, kind: Kind) -> None:
    write_tiny_pack(tmp_path / "pack", score=kind)
    model = load(tmp_path / "pack", threads=1)
    regions, words = model.look(photo_file), model.read(SENTENCES)
    expected = score_matrix(
        *pad([r.vectors for r in regions]), *pad([w.vectors for w in words]), kind=kind
    )
    np.testing.assert_allclose(model.score(regions, words), expected)
    for each, score in zip(words, expected[0], strict=True):
        found, plain = model.align(regions[0], each), align(regions[0], each, beta=1.0)
        assert found.score == pytest.approx(float(score), rel=1e-4, abs=1e-4)
        # Of β = 1, whatever the kind
        assert found.word_regions.tolist() == plain.word_regions.tolist()
        assert found.phrases == plain.phrases


def test_a_bank_takes_hubness_off(tmp_path: Path, photo_files: list[Path]) -> None:
    plain, model = (
        load(write_tiny_pack(tmp_path / str(bank), score="mean", bank=bank).folder, threads=1)
        for bank in (False, True)
    )
    regions, sentences = model.look(photo_files), model.read(SENTENCES)
    assert all(each.hubness == 0 for each in (*plain.look(photo_files), *plain.read(SENTENCES)))
    of_photos, of_sentences = ([each.hubness for each in some] for some in (regions, sentences))
    assert len(set(of_photos)) == 11 and len(set(of_sentences)) == 3
    scores = plain.score(photo_files, SENTENCES) - np.array(of_photos)[:, None] - of_sentences
    np.testing.assert_allclose(model.score(photo_files, SENTENCES), scores, rtol=1e-4, atol=1e-4)
    found, other = model.align(regions[3], sentences[1]), plain.align(photo_files[3], SENTENCES[1])
    assert found.score == pytest.approx(scores[3, 1], rel=1e-4, abs=1e-4)
    assert [each.text for each in found.phrases] == [each.text for each in other.phrases]
    # Of the words' own scores: hubness changes none
    for one, two in zip(found.phrases, other.phrases, strict=True):
        assert (one.region, one.score) == (two.region, pytest.approx(two.score, rel=1e-4, abs=1e-4))
    assert distinct(regions[0]).hubness == regions[0].hubness
    described = model.describe(photo_files[0]), plain.describe(photo_files[0])
    assert described[0].caption == described[1].caption


def sentence_of(words: int, seed: int = 0, width: int = DIM) -> Sentence:
    vectors = np.random.default_rng(seed).normal(size=(words, width)).astype(np.float32)
    return Sentence("dog " * words, ("dog",) * words, np.zeros(words, np.int64), vectors)


def test_scores_of_long_and_short_sentences_are_those_of_padded_ones(
    model: Model, photo_files: list[Path]
) -> None:
    regions = model.look(photo_files)
    sentences = [sentence_of(words, words) for words in (3, 1500, 1, 700, 700, 12)]
    expected = score_matrix(
        *pad([r.vectors for r in regions]), *pad([s.vectors for s in sentences])
    )
    np.testing.assert_array_equal(model.score(regions, sentences), expected)


def test_a_long_sentence_costs_the_short_ones_no_memory(model: Model, photo_file: Path) -> None:
    regions, sentences = model.look(photo_file), [sentence_of(5)] * 500 + [sentence_of(1000)]
    tracemalloc.start()
    model.score(regions, sentences)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    padded = 501 * 1000 * DIM * 4
    assert peak < padded / 4


def test_vectors_of_different_packs_have_no_score(model: Model, photo_file: Path) -> None:
    with pytest.raises(ValueError, match=rf"one dimension, found \[{DIM}, {DIM + 1}\]"):
        model.score(photo_file, sentence_of(3, width=DIM + 1))


def test_nothing_to_score(model: Model, photo_file: Path) -> None:
    assert model.score([], SENTENCES).shape == (0, 3)
    assert model.score(photo_file, []).shape == (1, 0)


def test_align(model: Model, photo_file: Path) -> None:
    (regions,), (sentence,) = model.look(photo_file), model.read(SENTENCES[0])
    for beta in (0.0, 0.5, 100.0):
        found, expected = (
            model.align(photo_file, SENTENCES[0], beta),
            align(regions, sentence, beta),
        )
        assert found.word_regions.tolist() == expected.word_regions.tolist()
        assert found.score == pytest.approx(
            float(model.score(photo_file, SENTENCES[0])[0, 0]), rel=1e-4
        )
    assert model.align(regions, sentence).beta == model.pack.settings.alignment.beta == 1.0
    assert len(model.align(regions, sentence, beta=1e6).phrases) == 1


def test_words_choose_from_more_regions_than_a_photo_is_found_and_described_by(
    tmp_path: Path, photo_files: list[Path]
) -> None:
    settings = replace(
        tiny_settings(),
        vision=replace(tiny_settings().vision, proposals=3),
        alignment=AlignmentSettings("mean", beta=1.0, extra_proposals=5, objectness=1.5),
        bank=tiny_bank(),
    )
    save_pack(
        tmp_path / "p", settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    )
    model = load(tmp_path / "p", threads=1)
    few, more, (read,) = (
        model.look(photo_files),
        model.look(photo_files, extra=True),
        model.read(SENTENCES[0]),
    )
    assert max(len(each) for each in more) == 9 and {len(each) for each in few} == {4}
    for one, two in zip(few, more, strict=True):
        assert (one.extra, two.extra) == (0, len(two) - 4)
        assert one.hubness == pytest.approx(two.hubness, rel=1e-4, abs=1e-5)
        np.testing.assert_allclose(two.main.vectors, one.vectors, rtol=1e-4, atol=1e-5)
        assert np.array_equal(one.scores, two.scores[:4])
        assert two.scores[1:].tolist() == sorted(two.scores[1:], reverse=True)
        unary = read.vectors.astype(np.float64) @ two.vectors.T + 1.5 * np.log(two.scores)
        found = model.align(two, read, 0.25)
        assert found.word_regions.tolist() == viterbi(unary, 0.25)[0].tolist()
        np.testing.assert_allclose(found.unary, unary, rtol=1e-4, atol=1e-4)
        assert found.score == pytest.approx(float(model.score(one, read)[0, 0]), rel=1e-4, abs=1e-5)
    assert any((model.align(two, read, 0.0).word_regions > 3).any() for two in more), (
        "an extra region is chosen"
    )
    assert (
        model.align(photo_files[2], read).word_regions.tolist()
        == model.align(more[2], read).word_regions.tolist()
    )
    np.testing.assert_allclose(
        model.score(more, SENTENCES), model.score(few, SENTENCES), rtol=1e-4, atol=1e-4
    )
    assert [each.text for each in model.caption(more)] == [each.text for each in model.caption(few)]
    main, every = model.describe(few[0]), model.describe(more[0])
    assert len(every.regions) == len(main.regions)
    assert [each.text for each in every.region_captions] == [
        each.text for each in main.region_captions
    ]
    (given,) = model.look(photo_files[0], [np.array([[0, 0, 9, 9]], np.float32)], extra=True)
    assert (len(given), given.extra) == (2, 0)


def test_a_sentence_of_unknown_words_only(model: Model, photo_file: Path) -> None:
    with pytest.raises(SentenceError, match="knows none of the words 'quantum', 'chromodynamics'"):
        model.align(photo_file, "Quantum chromodynamics!")
    assert len(model.align(photo_file, "a quantum dog").sentence) == 3


def test_beta_must_make_sense(model: Model, photo_file: Path) -> None:
    with pytest.raises(ConfigError, match="beta"):
        model.align(photo_file, "a dog", beta=-1.0)
