"""`regiontalk export`: assemble finished runs into a pack."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError
from regiontalk.json_files import read_toml
from regiontalk.language import tokenise
from regiontalk.language.reader import PlacedVectors, WordsReader
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.model import Model
from regiontalk.pack import BANK, PLACED, Pack, save_pack
from regiontalk.photos import MAX_PIXELS, PhotoSource
from regiontalk.recurrence import GATES
from regiontalk.settings import (
    AlignmentSettings,
    BankSettings,
    CaptionerSettings,
    PackSettings,
    SpaceSettings,
    VisionSettings,
    WordsSettings,
)
from regiontalk.training.alignment_net import AlignmentNet, first_vectors, read_alignment
from regiontalk.training.calibration import calibrated
from regiontalk.training.captioner_net import read_captioner
from regiontalk.training.checkpoint import read_finished_json, run_settings
from regiontalk.training.training_photos import (
    Tensors,
    look_at_photos,
    make_bank,
    photos_in,
    require_named,
    some,
    to_low_rank,
    training_photos,
)
from regiontalk.training.vision_graph import BACKBONE, read_graph, read_settings

SPACE_PHOTOS = 1000
"""Training photos, with their captions, that the low-rank shared space is estimated on."""


@dataclass(frozen=True)
class ExportConfig:
    """Settings of an export.

    Attributes:
        output: folder of the pack.
        name, licence: as shown to users.
        vision: folder of the finished run whose vision network the other runs were trained on.
        alignment, photo_captioner, region_captioner: folders of finished runs.
        photo_captioner_before: folder of the run that `photo_captioner` started from, for weight
            averaging; None for none.
        photo_captioner_share: share of `photo_captioner` in the mean of both runs' weights: the
            mean keeps more of how people write (Wortsman et al. 2022, "Robust fine-tuning of
            zero-shot models").
        beta, extra_proposals, objectness: of `AlignmentSettings`, for the assignment of words to
            regions; tuned on dev.
        score: "max", "sum" or "mean", as trained.
        beam, max_words, length_normalisation, rerank_weight: of the photo captioner; tuned on dev.
        region_beam, region_max_words, region_length_normalisation, region_rerank_weight: of the
            region captioner.
        say_once: 1 if neither captioner repeats a word that names something, else 0.
        about: TOML file with the tables `trained_on` and `results`, for readers of the pack; None
            for none.
        data: the captioned photos that the runs were trained on; of each the train split.
        photos: further photos that the vision network was trained on: its file of box labels, or
            folders. The pack lists fingerprints of all these for contamination checks in
            evaluation; without both it has no list.
        dim: dimensions of the pack's shared space, at most those of the alignment, by a low-rank
            projection that needs a GRU words network
            (`regiontalk.training.training_photos.to_low_rank`); 0 for as many as trained.
        bank: photos of the first of `data` in the query bank that estimates hubness
            (`regiontalk.alignment.hubness`), which needs the score "mean"; 0 for no bank.
        bank_others: photos of `photos` in the bank: the more of them, the less it represents
            captioned photos, and the more others.
        placed_vectors: the pretrained word vectors that the alignment was trained with, to embed
            words absent from the captions; None for no such words.
        placed_words: number of such words, the first of the file.
        bank_temperature, bank_weight: τ (in units of S_kl) and λ; tuned on dev.
        calibrate: datasets on whose dev splits scores are calibrated as probabilities
            (`regiontalk.alignment.certainty`); without them the pack gives no probabilities.
        max_pixels: of a photo, see `regiontalk.photos.open_photo`.
    """

    output: Path
    name: str
    licence: str
    vision: Path
    alignment: Path
    photo_captioner: Path
    region_captioner: Path
    photo_captioner_before: Path | None = None
    photo_captioner_share: float = 1.0
    beta: float = 1.0
    extra_proposals: int = 0
    objectness: float = 0.0
    score: Literal["max", "sum", "mean"] = "max"
    beam: int = 5
    max_words: int = 20
    length_normalisation: float = 0.0
    rerank_weight: float = 0.0
    region_beam: int = 5
    region_max_words: int = 12
    region_length_normalisation: float = 0.0
    region_rerank_weight: float = 0.0
    say_once: int = 0
    about: Path | None = None
    data: tuple[Path, ...] = ()
    photos: tuple[Path, ...] = ()
    dim: int = 0
    bank: int = 0
    bank_others: int = 0
    bank_temperature: float = 3.0
    bank_weight: float = 0.75
    placed_vectors: Path | None = None
    placed_words: int = 20_000
    calibrate: tuple[Path, ...] = ()
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        for name, least in {"dim": 0, "bank": 0, "bank_others": 0, "max_pixels": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name}: expected a number of at least {least}, found {getattr(self, name)}"
                )
        if not 0 <= self.photo_captioner_share <= 1:
            raise ValueError(
                "photo_captioner_share: expected a number in 0..1, "
                f"found {self.photo_captioner_share}"
            )
        if self.photo_captioner_share < 1 and self.photo_captioner_before is None:
            raise ValueError("photo_captioner_share needs photo_captioner_before")
        if (self.dim or self.bank) and not self.data:
            raise ValueError("dim and bank need data")
        if self.bank and self.score != "mean":
            raise ValueError('bank needs score = "mean"')
        if self.bank_others and not (self.bank and self.photos):
            raise ValueError("bank_others needs bank and photos")


def export_pack(config: ExportConfig) -> Pack:
    """Write the pack and return it as read back.

    Raises:
        TrainingError: if a run is not finished, or its checkpoint is damaged.
        PackError: if the runs do not fit together or the disk is full.
        ConfigError: if a setting is out of its range, the score is not the one that was trained, or
            `data` or `photos` are given, and `data` lacks a dataset that a run was trained on.
        DataError, PhotoError: if the training photos cannot be read.
    """
    require_trained_score(config)
    vocabulary, net = read_alignment(config.alignment)
    graph, vision_settings = read_graph(config.vision), read_settings(config.vision)
    photo, region = mean_photo_captioner(config), read_captioner(config.region_captioner)
    settings = pack_settings(config, net, vision_settings, photo, region)
    arrays = {**alignment_tensors(net), "photo_captioner": photo, "region_captioner": region}
    if config.placed_vectors is not None:
        vocabulary, arrays[PLACED] = place_words(config, net, vocabulary)
        settings = replace(
            settings, words=replace(settings.words, vector_dim=net.words.W_g.shape[0])
        )
    if config.data or config.photos:
        before = [] if config.photo_captioner_before is None else [config.photo_captioner_before]
        captioners = (config.photo_captioner, *before, config.region_captioner)
        require_named((config.alignment, *captioners), config.data)
    photos = training_photos(config.data, config.photos, config.max_pixels)
    if config.dim:
        arrays = reduced(config, arrays, graph, vision_settings, vocabulary)
    if config.bank:
        chosen = bank_photos(config)
        seen = look_at_photos(
            graph, vision_settings, arrays["projection"], chosen, config.max_pixels
        )
        bank, tensors = make_bank(
            seen, arrays, settings, config.bank_temperature, config.bank_weight
        )
        settings, arrays = replace(settings, bank=bank), {**arrays, BANK: tensors}
    pack = save_pack(config.output, settings, arrays, graph, vocabulary, photos)
    if not config.calibrate:
        return pack
    dev = [photo for each in config.calibrate for photo in read_dataset(each, "dev").photos]
    certainty = calibrated(Model(pack, max_pixels=config.max_pixels), dev)
    return save_pack(
        config.output, replace(settings, certainty=certainty), arrays, graph, vocabulary, photos
    )


def pack_settings(
    config: ExportConfig,
    net: AlignmentNet,
    vision: VisionSettings,
    photo: dict[str, np.ndarray],
    region: dict[str, np.ndarray],
) -> PackSettings:
    """Settings for `pack.json`, without those of a query bank.

    Args:
        net, vision: of the alignment and the vision run.
        photo, region: tensors of both captioners.

    Raises:
        ConfigError: if a setting is out of its range, or the words network cannot be projected to a
            smaller space.
    """
    about = read_about(config.about)
    trained = net.W_m.shape[1]
    if config.dim and (net.words.cell != "gru" or config.dim > trained):
        raise ConfigError(
            f'dim: expected words that are read by cell = "gru", and at most {trained}; '
            f'found "{net.words.cell}" and {config.dim}'
        )
    try:
        if config.bank:  # validated before any features are computed
            BankSettings(1, 1, 1, 1, config.bank_temperature, config.bank_weight)
        return PackSettings(
            name=config.name,
            licence=config.licence,
            made_with=f"regiontalk {regiontalk.__version__}",
            vision=vision,
            space=SpaceSettings(dim=config.dim or trained),
            words=WordsSettings(
                hidden=net.words.W_d.shape[0],
                embedding=net.words.embedding.shape[1],
                cell=net.words.cell,
            ),
            alignment=AlignmentSettings(
                config.score, config.beta, config.extra_proposals, config.objectness
            ),
            photo_captioner=captioner_settings(config, photo),
            region_captioner=captioner_settings(config, region, "region_"),
            trained_on=backbone_origin(config.vision) | about.get("trained_on", {}),
            results=about.get("results", {}),
        )
    except ValueError as error:
        raise ConfigError(f"the export's settings: {error}") from error


def mean_photo_captioner(config: ExportConfig) -> dict[str, np.ndarray]:
    """The photo captioner's tensors, averaged with those of the run before if there is one.

    Raises:
        ConfigError: if the runs' networks differ.
    """
    after, share = read_captioner(config.photo_captioner), np.float32(config.photo_captioner_share)
    if config.photo_captioner_before is None:
        return after
    before = read_captioner(config.photo_captioner_before)
    if {name: each.shape for name, each in before.items()} != {
        name: each.shape for name, each in after.items()
    }:
        raise ConfigError(
            f"photo_captioner_before: {config.photo_captioner} did not start from "
            f"{config.photo_captioner_before}: their networks differ"
        )
    return {name: (1 - share) * before[name] + share * each for name, each in after.items()}


def place_words(
    config: ExportConfig, net: AlignmentNet, vocabulary: Vocabulary
) -> tuple[Vocabulary, dict[str, np.ndarray]]:
    """The vocabulary with its first missing words of the file added, and the pack's `placed`.

    Raises:
        ConfigError: if the alignment was not trained with such vectors.
        DataError: if the file is damaged.
    """
    assert config.placed_vectors is not None
    if not net.words.places:
        raise ConfigError(
            f"placed_vectors: {config.alignment} was trained without such vectors; leave it out"
        )
    found = first_vectors(config.placed_vectors, vocabulary, config.placed_words)
    W_g = net.words.W_g.detach().numpy()
    return vocabulary.with_placed(tuple(found)), {
        "vectors": np.stack(list(found.values())),
        "W_g": W_g,
    }


def reduced(
    config: ExportConfig,
    arrays: Tensors,
    graph: bytes,
    settings: VisionSettings,
    vocabulary: Vocabulary,
) -> Tensors:
    """A pack's tensors in a low-rank shared space, estimated on training photos and captions."""
    photos = some(read_dataset(config.data[0], "train").photos, SPACE_PHOTOS)
    files = [photo.file for photo in photos]
    seen = look_at_photos(graph, settings, arrays["projection"], files, config.max_pixels)
    captions = [
        words for photo in photos for caption in photo.captions if (words := tokenise(caption))
    ]
    placed = PlacedVectors(arrays[PLACED]) if PLACED in arrays else None
    said = WordsReader(arrays["words"], "gru", placed).read(
        [vocabulary.encode(words) for words in captions]
    )
    return to_low_rank(
        arrays, np.concatenate([each.vectors for each in seen]), np.concatenate(said), config.dim
    )


def bank_photos(config: ExportConfig) -> list[PhotoSource]:
    """Photos of the query bank: captioned ones, and others that vision was trained on."""
    captioned = some(read_dataset(config.data[0], "train").photos, config.bank)
    folders = config.photos if config.bank_others else ()
    others = [photo for folder in folders for photo in photos_in(folder)]
    return [*(photo.file for photo in captioned), *some(others, config.bank_others)]


def require_trained_score(config: ExportConfig) -> None:
    """Check that the pack's score is the one that its alignment was trained with.

    Only if that run's settings are still there (`run_settings`).

    Raises:
        ConfigError: if it does not.
    """
    trained = run_settings(config.alignment).get("score", config.score)
    if trained != config.score:
        raise ConfigError(
            f'score: {config.alignment} was trained with "{trained}", the pack would have '
            f'"{config.score}"; say score = "{trained}"'
        )


def alignment_tensors(net: AlignmentNet) -> dict[str, dict[str, np.ndarray]]:
    """The pack's `projection` and `words`."""
    words = {
        name: value.detach().numpy()
        for name, value in net.words.named_parameters()
        if name != "W_g"
    }
    words["embedding"] = net.words.word_vectors().detach().numpy()
    projection = {name: value.detach().numpy() for name, value in net.folded_projection().items()}
    return {"projection": projection, "words": words}


def backbone_origin(run: Path) -> dict[str, Any]:
    """Origin of a vision run's pretrained weights, whose licence binds the pack."""
    origin = read_finished_json(run, BACKBONE, dict).get("origin")
    return {} if origin is None else {"backbone": origin}


def captioner_settings(
    config: ExportConfig, tensors: dict[str, np.ndarray], which: str = ""
) -> CaptionerSettings:
    """A captioner's settings: sizes from its tensors, search options with the prefix `which`."""
    search = {
        name: getattr(config, which + name)
        for name in ("beam", "max_words", "length_normalisation", "rerank_weight")
    }
    search["say_once"] = config.say_once
    hidden, columns = tensors["W_hh"].shape
    cell = next(cell for cell, gates in GATES.items() if gates * hidden == columns)
    attention = tensors["W_kr"].shape[1] if "W_kr" in tensors else 0
    embedding = tensors["embedding"].shape[1]
    return CaptionerSettings(
        cell=cell, hidden=hidden, embedding=embedding, attention=attention, **search
    )


def read_about(file: Path | None) -> dict[str, Any]:
    """Descriptive tables for `pack.json`.

    Raises:
        ConfigError: if the file is no TOML, or holds what JSON cannot (a date).
    """
    if file is None:
        return {}
    about = read_toml(file)
    try:
        json.dumps(about)
    except TypeError as error:
        raise ConfigError(f"{file}: {error}; write dates and times as text, in quotes") from error
    return about
