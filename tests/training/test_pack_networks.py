"""Networks of a pack compute what the pack computes, and become the same pack again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from regiontalk.captioning.contexts import Contexts, photo_contexts, region_contexts
from regiontalk.language.reader import WordsReader
from regiontalk.model import Model
from regiontalk.pack import Pack, save_pack
from regiontalk.training.captioner_net import CaptionerNet, folded_captioner
from regiontalk.training.export import alignment_tensors
from regiontalk.training.pack_networks import (
    alignment_network,
    captioner_network,
    standardise_alignment,
    standardise_captioner,
)
from regiontalk.training.sentences import pad_ids

from .taught_packs import KINDS, write_pack

SENTENCES = ["a black dog", "two people in the snow and a girl", "cat"]


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Three photos of random tiles."""
    rng = np.random.default_rng(3)
    return {
        name: rng.integers(0, 256, (4, 5, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1) for name in ("a", "b", "c")
    }


def there_and_back(pack: Pack, photos: list[np.ndarray]) -> tuple[dict[str, dict[str, np.ndarray]], Model]:
    """The pack's tensors after a way through its networks, standardised by some photos, and back."""
    model = Model(pack)
    seen = model.look(photos)
    settings, arrays = pack.settings, pack.arrays
    net = alignment_network(arrays["words"], arrays["projection"], settings.words.cell)
    standardise_alignment(net, np.concatenate([each.features for each in seen]))
    assert net.mean.abs().max() > 0
    found = {name: dict(tensors) for name, tensors in arrays.items()} | alignment_tensors(net)
    for name, contexts in (
        ("photo_captioner", photo_contexts(seen, settings.photo_captioner.attention > 0)),
        ("region_captioner", region_contexts(seen)),
    ):
        captioner = captioner_network(arrays[name], getattr(settings, name).cell)
        standardise_captioner(captioner, contexts)
        found[name] = folded_captioner(captioner.state_dict())
    return found, model


@pytest.mark.parametrize("kind", KINDS)
def test_exported_again_a_pack_answers_as_before(kind: str, looked: dict[str, np.ndarray], tmp_path: Path) -> None:
    pack, photos = write_pack(tmp_path / "pack", kind), list(looked.values())
    arrays, before = there_and_back(pack, photos)
    for file, tensors in arrays.items():
        for name, tensor in tensors.items():
            np.testing.assert_allclose(tensor, pack.arrays[file][name], rtol=2e-3, atol=2e-3, err_msg=f"{file} {name}")
    again = save_pack(tmp_path / "again", pack.settings, arrays, pack.vision_onnx, pack.vocabulary)
    after = Model(again)
    sentences = [*SENTENCES, *pack.vocabulary.placed]
    scores = before.score(photos, sentences)
    np.testing.assert_allclose(after.score(photos, sentences), scores, rtol=0.01, atol=0.01 * np.abs(scores).max())
    one, other = (
        [caption.log_prob for caption in model.caption(model.look(photos), beam=1)] for model in (before, after)
    )
    np.testing.assert_allclose(one, other, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_untouched_tensors_are_the_very_same(kind: str, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", kind)
    net = alignment_network(pack.arrays["words"], pack.arrays["projection"], pack.settings.words.cell)
    for file, tensors in alignment_tensors(net).items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, pack.arrays[file][name])
    for file in ("photo_captioner", "region_captioner"):
        captioner = captioner_network(pack.arrays[file], getattr(pack.settings, file).cell)
        found = folded_captioner(captioner.state_dict())
        assert found.keys() == pack.arrays[file].keys()
        for name, tensor in found.items():
            np.testing.assert_array_equal(tensor, pack.arrays[file][name])


@pytest.mark.parametrize("kind", KINDS)
def test_standardised_networks_see_what_the_pack_sees(kind: str, tmp_path: Path) -> None:
    pack, rng = write_pack(tmp_path / "pack", kind), np.random.default_rng(1)
    features = rng.normal(3, 2, (30, pack.settings.vision.feature_dim)).astype(np.float32)
    net = alignment_network(pack.arrays["words"], pack.arrays["projection"], pack.settings.words.cell)
    standardise_alignment(net, features)
    expected = features @ pack.arrays["projection"]["W_m"] + pack.arrays["projection"]["b_m"]
    with torch.no_grad():
        np.testing.assert_allclose(net.regions(torch.from_numpy(features)).numpy(), expected, atol=1e-3)
        ids, mask = pad_ids(pack.vocabulary.encode(text.split()) for text in SENTENCES)
        words = net.words(ids, mask).numpy()
    read = WordsReader(pack.arrays["words"], pack.settings.words.cell)
    for own, length, text in zip(words, mask.sum(1), SENTENCES, strict=True):
        (vectors,) = read.read([pack.vocabulary.encode(text.split())])
        np.testing.assert_allclose(own[: int(length)], vectors, atol=1e-3)


def test_a_second_standardisation_takes_the_place_of_the_first(tmp_path: Path) -> None:
    pack, rng = write_pack(tmp_path / "pack", "plain"), np.random.default_rng(1)
    net = captioner_network(pack.arrays["photo_captioner"], "lstm")
    for shift in (2.0, -5.0):
        whole = rng.normal(shift, 1 + abs(shift), (40, pack.settings.vision.feature_dim)).astype(np.float32)
        standardise_captioner(net, Contexts(whole, np.zeros((40, 0, 0), np.float32), np.zeros(40, np.int64)))
    assert isinstance(net, CaptionerNet) and net.mean.mean() < 0
    for name, tensor in folded_captioner(net.state_dict()).items():
        np.testing.assert_allclose(tensor, pack.arrays["photo_captioner"][name], rtol=1e-4, atol=1e-4)
