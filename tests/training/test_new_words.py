"""New words enter a pack, which reads, scores and captions as before until they are taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regiontalk.language import Vocabulary, tokenise
from regiontalk.model import Model
from regiontalk.pack import PLACED, save_pack
from regiontalk.training.new_words import captioner_with_words, new_shares, with_new_words

from .taught_packs import PLACED_WORDS, write_pack

CAPTIONS = ["Ein Mädchen läuft, ein Hund schläft.", "Ein Mädchen schläft.", "개가 잔디밭에 있다", "a dog"]
WORDS = [tokenise(caption) for caption in CAPTIONS]


@pytest.mark.parametrize("kind", ["plain", "attention"])
def test_before_it_is_taught_the_pack_reads_as_before(kind: str, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", kind)
    parts = with_new_words(pack, pack.vocabulary.extended(WORDS))
    grown = save_pack(tmp_path / "grown", parts.settings, parts.arrays, pack.vision_onnx, parts.vocabulary)
    before, after = Model(pack), Model(grown)
    for one, other in zip(before.read([*CAPTIONS, "corgi"]), after.read([*CAPTIONS, "corgi"]), strict=True):
        np.testing.assert_allclose(one.vectors, other.vectors, atol=5e-3)
    assert set(after.read(CAPTIONS[0])[0].kinds) == {"learnt"}
    photo = np.full((40, 50, 3), 90, np.uint8)
    np.testing.assert_allclose(before.score(photo, CAPTIONS), after.score(photo, CAPTIONS), rtol=5e-3, atol=5e-3)


def test_a_pack_whose_placed_words_are_all_taught_has_none(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", "attention")
    parts = with_new_words(pack, pack.vocabulary.extended([list(PLACED_WORDS)]))
    assert PLACED not in parts.arrays and parts.settings.words.vector_dim == 0
    assert not save_pack(
        tmp_path / "grown", parts.settings, parts.arrays, pack.vision_onnx, parts.vocabulary
    ).vocabulary.placed


def test_captioners_begin_with_the_mean_of_the_words_they_know() -> None:
    tensors = {
        "embedding": np.array([[9.0], [9], [1], [3]], np.float32),
        "W_oh": np.array([[9.0, 9, 2, 4]], np.float32),
        "b_o": np.zeros(4, np.float32),
        "W_hh": np.ones((1, 1), np.float32),
    }
    grown = captioner_with_words(tensors, np.array([-1.5], np.float32))
    assert grown["embedding"].ravel().tolist() == [9, 9, 1, 3, 2]
    assert grown["W_oh"].tolist() == [[9, 9, 2, 4, 3]]
    assert grown["b_o"].tolist() == [0, 0, 0, 0, -1.5]
    assert grown["W_hh"] is tensors["W_hh"]


def test_shares_are_of_what_the_new_captions_say() -> None:
    old = Vocabulary(["a", "dog"], [10, 0, 30, 10])
    new = old.extended([["a", "wug"], ["wug", "wug", "dax"]])
    np.testing.assert_allclose(new_shares(old, new), [3 / 7, 1 / 7])  # five words and two ends
