"""`regiontalk train alignment`: regions and words in one space, Eq. 1 to 9, vision tuned or not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regiontalk.errors import TrainingError
from regiontalk.language import Vocabulary
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.alignment_data import AlignmentData, read_alignment_data
from regiontalk.training.alignment_net import (
    VOCABULARY,
    WEIGHTS,
    AlignmentNet,
    WordsNet,
    load_word_vectors,
    standardise,
    vectors_of,
)
from regiontalk.training.batches import CaptionedPhotos, Turns
from regiontalk.training.box_labels import (
    NamedBatch,
    NamedFeatures,
    NamedPhotos,
    encode_names,
    sayable_names,
)
from regiontalk.training.checkpoint import save_tensors
from regiontalk.training.config import (
    identity,
)
from regiontalk.training.loop import (
    SCHEDULES,
    Task,
    autocast,
    best_device,
    make_optimiser,
    parameter_groups,
    train,
)
from regiontalk.training.losses import measure_retrieval, naming_loss, ranking_loss
from regiontalk.training.regions import (
    LiveFeatures,
    freeze_normalisation,
    read_map,
    resized,
    sample_features,
)
from regiontalk.training.sentences import (
    first_sentences,
    pad_ids,
)
from regiontalk.training.vision_graph import prepared, save_vision

PROPOSAL_WEIGHT = 0.2
"""Weight of the proposal losses while the backbone is fine-tuned: proposals must follow its map."""


@dataclass(frozen=True)
class Batch:
    """K photos with C captions each.

    Attributes:
        regions: of the photos, as the source loaded them.
        source: row of their dataset.
        ids, mask: (C * K, T); the sentences of photo k are rows k, K + k and so on.
        photos: (K,) identities of the photos.
        named: photos with box labels, if they are trained on.
    """

    regions: Any
    source: int
    ids: Tensor
    mask: Tensor
    photos: Tensor
    named: NamedBatch | NamedFeatures | None


def train_alignment(config: AlignmentConfig) -> Path:
    """Train or resume; returns the file of the finished weights (`alignment.safetensors`)."""
    torch.manual_seed(config.seed)
    device = best_device()
    run = AlignmentRun(config, read_alignment_data(config, device), device)
    reached = train(run.task(), config.output, config.stop_after)
    if reached == run.steps:
        run.save()
    return config.output / WEIGHTS


class AlignmentRun:
    """Network, batches and losses of one alignment run."""

    def __init__(self, config: AlignmentConfig, data: AlignmentData, device: str) -> None:
        self.config, self.data, self.device = config, data, device
        self.tunes_vision = config.vision_learning_rate > 0
        self.vocabulary, self.vision = data.vocabulary, data.vision.to(device)
        # Epochs on small photos are cheap and may come first; the last size is the pack's.
        phases = config.sizes or ((data.settings.size, config.epochs),)
        self.settings = [
            resized(data.settings, size) for size, epochs in phases for _ in range(epochs)
        ]  # of each epoch
        self.net = self.prepare(
            first_network(config, data) if data.started is None else data.started
        ).to(device)
        # All that a checkpoint of this run must hold
        self.network = nn.ModuleDict({"alignment": self.net})
        if self.tunes_vision:
            self.network["vision"] = self.vision
        orders = [
            CaptionedPhotos(each.sentences, config.batch, config.captions, config.seed)
            for each in data.train
        ]
        self.turns = Turns(orders, [share for _, share in config.data], config.seed)
        self.steps = self.turns.epoch_steps * len(self.settings)
        self.named: NamedPhotos | None = None
        if data.labels is not None:
            names, some = sayable_names(data.labels, self.vocabulary), config.named_photos
            self.named = NamedPhotos(
                data.labels, names, some, config.seed, config.jitter, config.max_pixels
            )

    def prepare(self, net: AlignmentNet) -> AlignmentNet:
        """Apply the run's dropout and freezing to a network."""
        config = self.config
        if not config.recurrent and net.words.cell != "rnn":
            raise TrainingError(
                f"{config.start}: its words network is a GRU; recurrent = false needs an rnn"
            )
        net.dropout = net.words.dropout = config.dropout
        net.words.forget = config.forget
        net.words.embedding.requires_grad_(config.train_word_vectors)
        if not config.recurrent:
            net.words.cut_recurrence()
        return net

    def task(self) -> Task:
        config = self.config
        groups = parameter_groups(self.net.parameters(), config.learning_rate, config.weight_decay)
        if self.tunes_vision:
            # At its own, smaller rate: large steps would undo the pretraining.
            groups += parameter_groups(
                self.vision.parameters(), config.vision_learning_rate, config.weight_decay
            )
        return Task(
            network=self.network,
            optimiser=make_optimiser(config.optimiser, groups),
            steps=self.steps,
            learning_rate=SCHEDULES[config.schedule](self.steps),
            batch=self.batch,
            losses=self.losses,
            validate=self.validate,
            validate_every=self.turns.epoch_steps * config.validate_epochs,
            clip=config.clip,
            run=identity(config),
            averaging=config.averaging,
        )

    def batch(self, step: int) -> Batch:
        settings = self.settings[step // self.turns.epoch_steps]
        source, own_step = self.turns.turn(step)
        photos, rows = self.turns.orders[source].rows(own_step)
        ids, mask = pad_ids(self.data.train[source].sentences.ids[row] for row in rows.ravel())
        rng = np.random.default_rng([self.config.seed, step, 1])
        regions = self.data.train[source].source.load(photos, rng, settings)
        # Word dropout: UNKNOWN gets a useful vector, and a sentence is matched by all of its words.
        ids[mask & torch.from_numpy(rng.random(mask.shape) < self.config.word_dropout)] = (
            Vocabulary.UNKNOWN
        )
        named: NamedBatch | NamedFeatures | None = None
        if self.named is not None and self.tunes_vision:
            named = self.named.batch(step, settings)
        elif self.named is not None and self.data.named_store is not None:
            named = self.named.stored(step, self.data.named_store)
        return Batch(regions, source, ids, mask, torch.from_numpy(photos), named)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Ranking loss of captions, naming loss of box labels, proposal losses in fine-tuning."""
        source, named, parts = (
            self.data.train[batch.source].source,
            batch.named,
            dict[str, Tensor](),
        )
        if isinstance(source, LiveFeatures):
            freeze_normalisation(self.vision)  # a few photos a batch are too few for statistics
            feature_map = self.vision.see(batch.regions.pixels, self.device)
            features, present = source.read(feature_map, batch.regions)
            if named is None:  # the stored regions keep the proposals from drifting
                parts = self.vision.box_losses(feature_map, batch.regions.boxes)
        else:
            features, present = source.features(batch.regions)
        ids, mask, photos = (each.to(self.device) for each in (batch.ids, batch.mask, batch.photos))
        regions, (score, loss) = self.net.regions(features), (self.config.score, self.config.loss)
        parts["ranking"] = ranking_loss(
            self.net, regions, present, (ids, mask), photos, score, loss
        )
        if isinstance(named, NamedBatch):
            feature_map = self.vision.see(named.pixels, self.device)
            features = read_map(feature_map, torch.from_numpy(named.weights).to(self.device))
            parts["naming"] = self.naming(features, named)
            parts |= self.vision.box_losses(feature_map, named.boxes)
        elif named is not None:
            parts["naming"] = self.naming(torch.from_numpy(named.features).to(self.device), named)
        weights = {
            "box": PROPOSAL_WEIGHT,
            "objectness": PROPOSAL_WEIGHT,
            "naming": self.config.naming_weight,
        }
        weighted = [weights.get(name, 1.0) * value for name, value in parts.items()]
        return {"loss": torch.stack(weighted).sum(), **parts}

    def naming(self, features: Tensor, batch: NamedBatch | NamedFeatures) -> Tensor:
        """Contrastive loss of box names and regions (B, M, D), in the scores that rank."""
        assert self.named is not None
        regions = self.net.regions(features)
        ids, mask, name = (
            t.to(self.device)
            for t in encode_names(self.named.names, batch.sentence, self.vocabulary)
        )
        with autocast(self.device):
            names = (self.net.words(ids, mask) * name[..., None]).sum(1)  # (N, h)
            scores = (regions @ names.T).float() * self.net.log_scale.exp()
        present, overlap = (
            torch.from_numpy(each).to(self.device) for each in (batch.mask, batch.overlap)
        )
        return naming_loss(scores, present, overlap)

    def validate(self, rehearsal: bool) -> dict[str, float]:
        """Recalls and ranks on each dev set."""
        numbers: dict[str, float] = {}
        for each in self.data.dev:
            sentences = first_sentences(each.sentences, 2) if rehearsal else each.sentences
            score, settings = self.config.score, self.settings[-1]
            found = measure_retrieval(
                self.net, each.source, sentences, score, self.device, settings
            )
            numbers |= {f"{each.name}_{key}": value for key, value in found.items()}
        return numbers

    def save(self) -> None:
        (self.config.output / VOCABULARY).write_text(json.dumps(self.vocabulary.to_json()))
        save_tensors(self.net, self.config.output / WEIGHTS)
        if self.tunes_vision:
            settings = self.settings[-1]
            typical = prepared(self.data.train_files, settings.size, self.config.max_pixels)
            save_vision(self.config.output, self.vision, settings, typical)


def first_network(config: AlignmentConfig, data: AlignmentData) -> AlignmentNet:
    """A network with random weights, and pretrained word vectors where configured."""
    placed = None
    if config.placed_vectors is not None:
        placed = vectors_of(config.placed_vectors, data.vocabulary)
    words = WordsNet(
        len(data.vocabulary),
        config.embedding,
        config.hidden,
        config.dim,
        config.dropout,
        config.cell,
        0 if placed is None else placed.shape[1],
    )
    if placed is not None:
        words.vectors.copy_(torch.from_numpy(placed))
    net = AlignmentNet(words, data.settings.feature_dim, config.dim, config.dropout)
    if config.word_vectors is not None:
        load_word_vectors(config.word_vectors, data.vocabulary, words.embedding.data)
    standardise(net, np.concatenate([sample_features(each.source) for each in data.train]))
    return net
