"""A pack with new words, and its networks, answer as before until they are taught.

The best mix is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from regiontalk.captioning.attention import Contexts, photo_contexts, region_contexts
from regiontalk.errors import TrainingError
from regiontalk.language import Vocabulary, tokenise
from regiontalk.language.reader import WordsReader
from regiontalk.model import Model
from regiontalk.pack import PLACED, Pack, save_pack
from regiontalk.training.captioner_net import CaptionerNet, folded_captioner
from regiontalk.training.checkpoint import read_tensors
from regiontalk.training.export import alignment_tensors
from regiontalk.training.loop import Task
from regiontalk.training.sentences import pad_ids
from regiontalk.training.tuning import (
    BEST,
    TUNED,
    Best,
    Choice,
    alignment_network,
    captioner_network,
    captioner_with_words,
    copied,
    mixed,
    new_shares,
    standardise_alignment,
    standardise_captioner,
    tune,
    with_new_words,
)

from .killing import ALWAYS, NEVER, kill
from .taught_packs import KINDS, PLACED_WORDS, write_pack

STEPS, EVERY = 24, 2


class Dot(nn.Module):
    """A weight that goes from 1 down to 0 by 0.05 a step, and a table of three words, one new."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.table = nn.Parameter(torch.ones(3, 1))


def task(goal: float, run: str = "{}", measured: list[float] | None = None) -> Task:
    """Dev's best weight is `goal`."""
    net = Dot()

    def validate(rehearsal: bool) -> dict[str, float]:
        if measured is not None and not rehearsal:
            measured.append(net.weight.item())
        return {"far": abs(net.weight.item() - goal)}

    return Task(
        network=net,
        optimiser=torch.optim.SGD(net.parameters(), lr=0.05),
        steps=STEPS,
        learning_rate=lambda step: 1.0,
        batch=lambda step: step,
        losses=lambda batch: {"loss": net.weight.sum() + net.table.sum()},
        validate=validate,
        validate_every=EVERY,
        clip=None,
        run=run,
    )


def nearest(numbers: Mapping[str, float]) -> tuple[float, ...]:
    return (-round(numbers["far"], 4),)


CHOICE = Choice(nearest, nearest, patience=3, words={"table": 0}, known=2)


def test_the_best_step_is_kept_and_the_run_ends_early(tmp_path: Path) -> None:
    measured: list[float] = []
    tuned = task(goal=0.6, measured=measured)
    assert tune(tuned, tmp_path, CHOICE) == 1.0
    assert isinstance(tuned.network, Dot)
    assert tuned.network.weight.item() == pytest.approx(0.6)  # after 8 steps
    assert len(measured) == 7 + 5  # 14 steps, the last 6 without a better one; then the mixes
    assert not (tmp_path / BEST).exists() and not (tmp_path / "checkpoint.safetensors").exists()
    again = task(goal=0.6, measured=measured)
    assert tune(again, tmp_path, CHOICE) == 1.0 and len(measured) == 12  # nothing is done twice
    assert isinstance(again.network, Dot) and torch.equal(
        again.network.weight, tuned.network.weight
    )


def test_the_mix_is_the_best_of_old_and_new(tmp_path: Path) -> None:
    """Where every measurement is worse than the first weights, these stay.

    But new words are as they were learnt.
    """
    tuned = task(goal=1.0)
    assert tune(tuned, tmp_path, CHOICE) == 0.0
    assert isinstance(tuned.network, Dot)
    assert tuned.network.weight.item() == 1
    assert tuned.network.table.ravel().tolist() == pytest.approx([1, 1, 0.9])


def test_mixes_by_hand() -> None:
    first = {"weight": torch.tensor([1.0]), "table": torch.tensor([[1.0], [2], [3]])}
    learnt = {"weight": torch.tensor([3.0]), "table": torch.tensor([[5.0], [2], [7]])}
    found = mixed(first, learnt, 0.25, CHOICE)
    assert found["weight"].tolist() == [1.5]
    assert found["table"].ravel().tolist() == [2, 2, 7]
    assert first["table"].ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize("killed", [1, 3, 8, 9, 13, 14])
def test_a_killed_run_ends_as_one_that_was_not(killed: int, tmp_path: Path) -> None:
    whole = task(goal=0.61)
    share = tune(whole, tmp_path / "whole", CHOICE)
    for seconds, name in ((NEVER, "never"), (ALWAYS, "always")):
        folder = tmp_path / name
        kill(partial(tune, task(goal=0.61), folder, CHOICE), killed, seconds)
        broken = task(goal=0.61)
        assert tune(broken, folder, CHOICE) == share
        for name, value in copied(broken.network).items():
            assert torch.equal(value, whole.network.state_dict()[name])


def test_files_of_another_run_are_refused(tmp_path: Path) -> None:
    first = task(goal=0.6, run='{"seed": 0}')
    best = Best(first.network, tmp_path / BEST, first.run, nearest, 4)
    assert not best(2, {"far": 0.5})
    assert read_tensors(tmp_path / BEST, "")[1]["step"] == "2"
    with pytest.raises(TrainingError, match="seed was 0, is 1"):
        tune(task(goal=0.6, run='{"seed": 1}'), tmp_path, CHOICE)
    (tmp_path / BEST).unlink()
    tune(first, tmp_path, CHOICE)
    with pytest.raises(TrainingError, match=rf"{TUNED}: belongs to a run with other settings"):
        tune(task(goal=0.6, run='{"seed": 1}'), tmp_path, CHOICE)


def test_equal_measurements_are_no_better(tmp_path: Path) -> None:
    net = Dot()
    best = Best(net, tmp_path / BEST, "{}", nearest, 4)
    assert [best(step, {"far": 0.5}) for step in (2, 4, 6)] == [False, False, True]
    assert best.step == 2


CAPTIONS = [
    "Ein Mädchen läuft, ein Hund schläft.",
    "Ein Mädchen schläft.",
    "개가 잔디밭에 있다",
    "a dog",
]
WORDS = [tokenise(caption) for caption in CAPTIONS]


@pytest.mark.parametrize("kind", ["plain", "attention"])
def test_before_it_is_taught_the_pack_reads_as_before(kind: str, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", kind)
    parts = with_new_words(pack, pack.vocabulary.extended(WORDS))
    grown = save_pack(
        tmp_path / "grown", parts.settings, parts.arrays, pack.vision_onnx, parts.vocabulary
    )
    before, after = Model(pack), Model(grown)
    for one, other in zip(
        before.read([*CAPTIONS, "corgi"]), after.read([*CAPTIONS, "corgi"]), strict=True
    ):
        np.testing.assert_allclose(one.vectors, other.vectors, atol=5e-3)
    assert set(after.read(CAPTIONS[0])[0].kinds) == {"learnt"}
    photo = np.full((40, 50, 3), 90, np.uint8)
    np.testing.assert_allclose(
        before.score(photo, CAPTIONS), after.score(photo, CAPTIONS), rtol=5e-3, atol=5e-3
    )


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


SENTENCES = ["a black dog", "two people in the snow and a girl", "cat"]


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Three photos of random tiles."""
    rng = np.random.default_rng(3)
    return {
        name: rng.integers(0, 256, (4, 5, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        for name in ("a", "b", "c")
    }


def there_and_back(
    pack: Pack, photos: list[np.ndarray]
) -> tuple[dict[str, dict[str, np.ndarray]], Model]:
    """The pack's tensors through its networks, standardised by some photos, and back."""
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
def test_exported_again_a_pack_answers_as_before(
    kind: str, looked: dict[str, np.ndarray], tmp_path: Path
) -> None:
    pack, photos = write_pack(tmp_path / "pack", kind), list(looked.values())
    arrays, before = there_and_back(pack, photos)
    for file, tensors in arrays.items():
        for name, tensor in tensors.items():
            np.testing.assert_allclose(
                tensor, pack.arrays[file][name], rtol=2e-3, atol=2e-3, err_msg=f"{file} {name}"
            )
    again = save_pack(tmp_path / "again", pack.settings, arrays, pack.vision_onnx, pack.vocabulary)
    after = Model(again)
    sentences = [*SENTENCES, *pack.vocabulary.placed]
    scores = before.score(photos, sentences)
    np.testing.assert_allclose(
        after.score(photos, sentences), scores, rtol=0.01, atol=0.01 * np.abs(scores).max()
    )
    one, other = (
        [caption.log_prob for caption in model.caption(model.look(photos), beam=1)]
        for model in (before, after)
    )
    np.testing.assert_allclose(one, other, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_untouched_tensors_are_the_very_same(kind: str, tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack", kind)
    net = alignment_network(
        pack.arrays["words"], pack.arrays["projection"], pack.settings.words.cell
    )
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
    net = alignment_network(
        pack.arrays["words"], pack.arrays["projection"], pack.settings.words.cell
    )
    standardise_alignment(net, features)
    expected = features @ pack.arrays["projection"]["W_m"] + pack.arrays["projection"]["b_m"]
    with torch.no_grad():
        np.testing.assert_allclose(
            net.regions(torch.from_numpy(features)).numpy(), expected, atol=1e-3
        )
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
        whole = rng.normal(shift, 1 + abs(shift), (40, pack.settings.vision.feature_dim)).astype(
            np.float32
        )
        standardise_captioner(
            net, Contexts(whole, np.zeros((40, 0, 0), np.float32), np.zeros(40, np.int64))
        )
    assert isinstance(net, CaptionerNet) and net.mean.mean() < 0
    for name, tensor in folded_captioner(net.state_dict()).items():
        np.testing.assert_allclose(
            tensor, pack.arrays["photo_captioner"][name], rtol=1e-4, atol=1e-4
        )
