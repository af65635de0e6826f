"""`regiontalk train captioner`: captions of whole photos or of regions (Eq. 13 to 15)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from regiontalk.captioning.captioner import Captioner
from regiontalk.evaluation.captions.metric import BLEU_NAMES, caption_scores
from regiontalk.training.batches import Shuffled
from regiontalk.training.caption_sources import Glance, contexts_of, shown_things
from regiontalk.training.captioner_config import CaptionerConfig
from regiontalk.training.captioner_data import CaptionerData, HeldOut, Reader
from regiontalk.training.captioner_net import (
    WEIGHTS,
    Attention,
    CaptionerNet,
    Seen,
    folded_captioner,
    learnt_places,
    load_captioner,
    looking_loss,
    shift_words,
    text_counts,
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
from regiontalk.training.self_critical import CaptionReward, advantages, drawn_mask, policy_loss

DEV_PHOTOS, DEV_TEXTS = 500, 3000
"""Photos of each dataset whose captions are generated and scored in each evaluation, and texts
whose loss is measured."""
STATISTICS = 5000
"""Texts whose visual contexts are sampled for standardisation."""


@dataclass(frozen=True)
class Batch:
    """B texts: words in (B, T) from START, words out (B, T) to END, and mask (B, T).

    With their visual contexts, and `things` (B, T, M): which regions show what a word out names.
    """

    seen: Seen
    inputs: Tensor
    targets: Tensor
    mask: Tensor
    things: Tensor


@dataclass(frozen=True)
class PhotoBatch:
    """K photos to sample captions of: numbers (K,), contexts, and the generator for sampling."""

    photos: np.ndarray
    glances: list[Glance]
    rng: np.random.Generator


def train_captioner(config: CaptionerConfig) -> Path:
    """Train or resume; returns the file of the finished weights (`captioner.safetensors`)."""
    torch.manual_seed(config.seed)
    data = Reader.of(config).read()
    run = CaptionerRun(config, best_device(), data, first_network(config, data))
    weights = config.output / WEIGHTS
    if train(run.task(), config.output, config.stop_after) == run.steps:
        save_tensors(run.network, weights)
    return weights


def first_network(config: CaptionerConfig, data: CaptionerData) -> CaptionerNet:
    """The network with the weights of the run that it starts from, or with random ones.

    Raises:
        TrainingError: if that run is not finished, or its sizes differ.
    """
    # Every n-th text, so that statistics are of all datasets and not of the first.
    some = data.rows[:: max(1, len(data.rows) // STATISTICS)]
    seen = contexts_of([data.sources[source].glance(row, None) for source, row in some])
    attention = None
    if config.attention:
        region = seen.regions.shape[2]
        attention = Attention(
            region, config.hidden, config.attention, config.embedding, config.dropout
        )
    network = CaptionerNet(
        target_counts(config, data),
        seen.whole.shape[1],
        config.cell,
        config.hidden,
        config.embedding,
        config.dropout,
        attention,
    )
    network.set_statistics(seen)
    if config.start is not None:
        load_captioner(network, config.start)
    return network


def target_counts(config: CaptionerConfig, data: CaptionerData) -> np.ndarray:
    """How often each word is a target in an epoch.  # (V,)"""
    texts = [data.sources[source].ids[row] for source, row in data.rows]
    return text_counts(texts, len(data.vocabulary), config.longest)


class CaptionerRun:
    """Data, network, batches and losses of one captioner run."""

    def __init__(
        self,
        config: CaptionerConfig,
        device: str,
        data: CaptionerData,
        network: CaptionerNet,
    ) -> None:
        self.config, self.device, self.data = config, device, data
        self.reward: CaptionReward | None = None
        if config.loss == "reward":
            names, weight = self.data.names, config.absent_weight
            self.reward = CaptionReward(self.data.references, self.data.vocabulary, names, weight)
        self.order = Shuffled(len(self.data.rows), config.batch, config.seed)
        self.steps = config.text_steps + self.order.epoch_steps * config.epochs
        self.network = network.to(device)

    def task(self) -> Task:
        config = self.config
        groups = parameter_groups(
            self.network.parameters(), config.learning_rate, config.weight_decay
        )
        return Task(
            network=self.network,
            optimiser=make_optimiser(config.optimiser, groups),
            steps=self.steps,
            learning_rate=SCHEDULES[config.schedule](self.steps),
            batch=self.train_batch,
            losses=self.losses if self.reward is None else self.reward_losses,
            validate=self.validate,
            validate_every=self.order.epoch_steps,
            clip=config.clip,
            run=identity(config),
            averaging=config.averaging,
        )

    def train_batch(self, step: int) -> Batch | PhotoBatch:
        """Captions, or photos for self-critical training; text-only captions in the first steps."""
        config, data, rng = self.config, self.data, self.order.generator(step)
        if step < config.text_steps:
            rows, texts = data.rows[:0], self.order.batch
        else:
            rows = data.rows[self.order.rows(step - config.text_steps)]
            texts = round(len(rows) * config.text_share)
        if self.reward is not None:
            photos = data.references.first[rows[:, 0]] + rows[:, 1]
            return PhotoBatch(
                photos, [data.sources[source].glance(row, rng) for source, row in rows], rng
            )
        glances = [self.glance(source, row, rng) for source, row in rows]
        ids = [data.sources[source].ids[row] for source, row in rows]
        if data.text is not None:
            drawn = rng.integers(len(data.text.ids), size=texts).tolist()
            glances += [data.text.glance(row, rng) for row in drawn]
            ids += [data.text.ids[row] for row in drawn]
        return self.batch(glances, ids)

    def glance(self, source: int, row: int, rng: np.random.Generator) -> Glance:
        """Visual context of a text in training, with random masking of the whole photo."""
        glance = self.data.sources[source].glance(row, rng)
        # Without the whole photo, which sets the first state, the caption must come from the
        # regions.
        hidden = rng.random() < self.config.photo_dropout and len(glance.regions) > 1
        return glance.without_whole() if hidden else glance

    def batch(self, glances: list[Glance], ids: list[np.ndarray]) -> Batch:
        inputs, targets, mask = shift_words(ids, self.config.longest)
        shown = np.array([each.shown for each in glances])
        things = torch.from_numpy(shown_things(glances, targets.shape[1]))
        return Batch(Seen.of(contexts_of(glances), shown), inputs, targets, mask, things)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the words, and attention supervision."""
        targets, asked = (
            batch.targets.to(self.device),
            learnt_places(batch.targets, batch.mask).to(self.device),
        )
        with autocast(self.device):
            logits, looks = self.network(
                batch.seen.to(self.device), batch.inputs.to(self.device), asked
            )
        words = F.cross_entropy(logits.float(), targets[asked])  # in nats a word, END included
        if not self.config.looking_weight:
            return {"loss": words}
        looking = looking_loss(looks, batch.things.to(self.device))
        return {
            "loss": words + self.config.looking_weight * looking,
            "words": words,
            "looking": looking,
        }

    def reward_losses(self, batch: PhotoBatch) -> dict[str, Tensor]:
        """Self-critical losses: sampled captions weighted by their advantage over siblings."""
        assert self.reward is not None
        samples = self.config.samples
        every = np.tile(np.arange(len(batch.photos)), samples)  # (S * K,), sample by sample
        contexts = contexts_of(batch.glances)[every]
        # Sampled by the NumPy runtime, without a graph; the forward pass below scores the samples
        # with one.
        drawn = self.written().sample(contexts, 1.0, batch.rng, self.config.longest)
        rewards = self.reward(drawn, batch.photos[every]).reshape(samples, -1)
        inputs, targets, mask = shift_words(
            [np.array(each.ids, np.int64) for each in drawn], self.config.longest
        )
        said = drawn_mask(drawn, mask)
        advantage = torch.from_numpy(advantages(rewards).ravel().astype(np.float32))[
            :, None
        ].expand(said.shape)
        with autocast(self.device):
            logits, _ = self.network(
                Seen.of(contexts).to(self.device), inputs.to(self.device), said.to(self.device)
            )
        loss = policy_loss(
            logits.float(), targets[said].to(self.device), advantage[said].to(self.device)
        )
        return {"loss": loss, "reward": torch.tensor(rewards.mean())}

    def written(self) -> Captioner:
        """The current weights in the NumPy runtime."""
        return Captioner(folded_captioner(self.network.state_dict()), self.config.cell)

    def validate(self, rehearsal: bool) -> dict[str, float]:
        """Cross-entropy a word in nats of each dev set; for photos, scores of greedy captions."""
        return {
            f"{each.name}_{name}": value
            for each in self.data.dev
            for name, value in self.measure(each, rehearsal).items()
        }

    def measure(self, dev: HeldOut, rehearsal: bool) -> dict[str, float]:
        rows = np.arange(len(dev.source.ids))[: 200 if rehearsal else DEV_TEXTS]
        losses = []
        for some in np.array_split(rows, -(-len(rows) // 200)):
            glances, ids = (
                [dev.source.glance(row) for row in some],
                [dev.source.ids[row] for row in some],
            )
            losses.append(float(self.losses(self.batch(glances, ids))["loss"]))
        numbers = {"loss": float(np.mean(losses))}
        if self.config.about == "photo":
            photos = min(2 if rehearsal else DEV_PHOTOS, len(dev.words))
            written = self.written().greedy(
                contexts_of([dev.source.of_photo(photo) for photo in range(photos)])
            )
            scores = caption_scores(
                [self.data.vocabulary.decode(h.ids) for h in written], dev.words[:photos]
            )
            numbers |= {name: getattr(scores, name) for name in (*BLEU_NAMES, "cider")}
        return numbers
