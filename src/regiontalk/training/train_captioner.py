"""`regiontalk train captioner`: sentences about whole photos, or about regions (Eq. 13 to 15)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset

from regiontalk.captioning.captioner import Captioner
from regiontalk.data import Dataset, RegionStore, read_dataset
from regiontalk.evaluation.captions import BLEU_NAMES, caption_scores
from regiontalk.settings import Section, whole
from regiontalk.training.box_labels import named_texts, read_box_labels
from regiontalk.training.captioner_net import (
    WEIGHTS,
    CaptionerNet,
    caption_loss,
    folded_captioner,
    load_captioner,
    shift_words,
    text_counts,
)
from regiontalk.training.checkpoint import save_tensors
from regiontalk.training.config import Count, NotNegative, Positive, Seed, Share, identity
from regiontalk.training.devices import autocast, best_device
from regiontalk.training.loop import SCHEDULES, Task, train
from regiontalk.training.optimisers import make_optimiser, parameter_groups
from regiontalk.training.phrase_edges import PhraseEdges
from regiontalk.training.regions import store_boxes, store_regions, store_views
from regiontalk.training.self_critical import CiderReward, advantages, drawn_mask, policy_loss
from regiontalk.training.sentences import Sentences, Shuffled, caption_words, encode_captions, first_photos
from regiontalk.training.snippets import Described, Snippets, infer_snippets, whole_captions
from regiontalk.training.train_alignment import read_alignment
from regiontalk.training.vision_graph import read_graph, read_settings

DEV_PHOTOS = 500
"""Photos whose captions are written and scored after every epoch."""


@dataclass(frozen=True)
class CaptionerConfig(Section):
    """Settings of a captioner run.

    Attributes:
        data: folder of captioned photos with a train and a dev split.
        about: "photo" learns whole captions, "region" the snippets that the alignment inferred.
        vision: folder with the `vision.safetensors` that the pack will hold.
        alignment: folder of a finished alignment run: its vocabulary, and for regions its vectors.
        regions: folder of the region stores of that vision network, made where missing.
        output: folder of the run.
        start: folder of a finished captioner run of the same sizes to start from; None for random weights.
        loss: "likelihood" of human captions, Eq. 15; "reward" is self-critical training on CIDEr-D (photos only).
        samples: captions drawn for each photo of a batch where they are rewarded, at least 2.
        cell: "rnn" is the paper's Eq. 14.
        hidden, embedding: H and d.
        dropout: everywhere but in the recurrence.
        optimiser: the paper's is "rmsprop".
        learning_rate, weight_decay, batch, epochs, clip: clip bounds every element of the gradient. A batch is one of
            captions, or of photos where captions are drawn.
        schedule, averaging: as for the alignment.
        longest: words of a caption that are learnt, or drawn. Of a caption that goes on, no end is learnt.
        beta, min_words: how captions are cut into snippets (regions only).
        boxes: file of photos whose boxes have names, learnt beside snippets (regions only); None for none.
        boxes_repeats: how often an epoch passes over them.
        views: random views of each training photo that are looked at beside the photo itself (photos only): the
            alignment has seen that photo often, and its features tell more than a new one's will.
        limit, seed, stop_after: as for the alignment.
    """

    data: Path
    about: Literal["photo", "region"]
    vision: Path
    alignment: Path
    regions: Path
    output: Path
    start: Path | None = None
    loss: Literal["likelihood", "reward"] = "likelihood"
    samples: Count = 5
    cell: Literal["rnn", "gru", "lstm"] = "gru"
    hidden: Count = 512
    embedding: Count = 256
    dropout: Share = 0.4
    optimiser: Literal["sgd", "rmsprop", "adamw"] = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.01
    batch: Count = 100
    epochs: Count = 10
    clip: Positive = 5.0
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    averaging: Share = 0.0
    longest: Count = 20
    beta: NotNegative = 1.0
    min_words: Count = 2
    boxes: Path | None = None
    boxes_repeats: Count = 1
    views: Annotated[int, whole(0, 100)] = 0
    limit: int | None = None
    seed: Seed = 0
    stop_after: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.boxes is not None and self.about != "region":
            raise ValueError('boxes needs about = "region"')
        if self.views and self.about != "photo":
            raise ValueError('views needs about = "photo"')
        if self.loss == "reward" and (self.about != "photo" or self.start is None or self.samples < 2):
            raise ValueError('loss = "reward" needs about = "photo", samples of at least 2, and a run to start from')


Texts = ConcatDataset[tuple[np.ndarray, np.ndarray]]
"""Of each text what is seen when it is said (X,), and its words' ids (t,)."""


@dataclass(frozen=True)
class Batch:
    """B texts: context (B, X), words in (B, T) from START, words out (B, T) to END, mask (B, T)."""

    context: Tensor
    inputs: Tensor
    targets: Tensor
    mask: Tensor


@dataclass(frozen=True)
class PhotoBatch:
    """K photos to be described: their rows (K,), contexts (K, X), and where the chance in drawing comes from."""

    photos: np.ndarray
    contexts: np.ndarray
    rng: np.random.Generator


def train_captioner(config: CaptionerConfig) -> Path:
    """Train, or go on training; returns the file of the finished weights (`captioner.safetensors`)."""
    torch.manual_seed(config.seed)
    run = CaptionerRun(config, best_device())
    weights = config.output / WEIGHTS
    if train(run.task(), config.output, config.stop_after) == run.steps:
        save_tensors(run.network, weights)
    return weights


class CaptionerRun:
    """The parts of one run, put together once."""

    def __init__(self, config: CaptionerConfig, device: str) -> None:
        self.config, self.device = config, device
        self.vocabulary, self.alignment = read_alignment(config.alignment)
        train_set, dev_set = (first_photos(read_dataset(config.data, s), config.limit) for s in ("train", "dev"))
        train_sentences, self.train_store, train_words = self.read(train_set)
        dev_sentences, self.dev_store, self.dev_words = self.read(dev_set)
        self.views = self.look_again(train_set) if config.views else None
        self.edges = PhraseEdges.of(train_sentences, self.vocabulary)
        train_texts = self.texts(train_sentences, self.train_store)
        dev_texts = self.texts(dev_sentences, self.dev_store)
        self.photos_of_texts = train_texts.photos
        parts = [Described(train_texts, self.train_store, config.about)]
        if config.boxes is not None:
            parts += [self.read_named(config.boxes)] * config.boxes_repeats
        self.train_texts: Texts = ConcatDataset(parts)
        self.dev_texts: Texts = ConcatDataset([Described(dev_texts, self.dev_store, config.about)])
        self.network = CaptionerNet(
            text_counts([ids for part in parts for ids in part.texts.ids], len(self.vocabulary), config.longest),
            len(self.train_texts[0][0]),
            config.cell,
            config.hidden,
            config.embedding,
            config.dropout,
        )
        some = range(0, len(self.train_texts), max(1, len(self.train_texts) // 5000))
        self.network.set_statistics(np.stack([self.train_texts[row][0] for row in some]))
        if config.start is not None:
            load_captioner(self.network, config.start)
        self.network.to(device)
        self.reward = CiderReward(train_words, self.vocabulary) if config.loss == "reward" else None
        items = len(self.train_texts) if self.reward is None else len(train_words)
        self.order = Shuffled(items, config.batch, config.seed)
        self.steps = self.order.epoch_steps * config.epochs

    def read(self, dataset: Dataset) -> tuple[Sentences, RegionStore, list[list[list[str]]]]:
        """A split's captions as ids, regions, and every photo's captions as words."""
        config = self.config
        graph, settings = read_graph(config.vision), read_settings(config.vision)
        store = store_regions(graph, settings, dataset, config.regions / dataset.name / dataset.split)
        words = caption_words(dataset)
        return encode_captions(words, self.vocabulary), store, words

    def look_again(self, dataset: Dataset) -> RegionStore:
        """Views of the training photos."""
        config = self.config
        folder = config.regions / dataset.name / f"train_views_{config.views}"
        return store_views(read_graph(config.vision), read_settings(config.vision), dataset, folder, config.views)

    def texts(self, sentences: Sentences, store: RegionStore) -> Snippets:
        """What is learnt of a split's captions."""
        config = self.config
        if config.about == "photo":
            return whole_captions(sentences)
        return infer_snippets(self.alignment, store, sentences, self.edges, config.beta, config.min_words)

    def read_named(self, file: Path) -> Described:
        """Named boxes as texts about regions."""
        vision, folder, labels = self.config.vision, self.config.regions / "named", read_box_labels(file)
        store = store_boxes(read_graph(vision), read_settings(vision), labels.photos, labels.boxes, folder)
        return Described(named_texts(labels, store, self.vocabulary), store, self.config.about)

    def task(self) -> Task:
        config = self.config
        groups = parameter_groups(self.network.parameters(), config.learning_rate, config.weight_decay)
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
        rows, rng = self.order.rows(step), self.order.generator(step)
        if self.reward is not None:
            return PhotoBatch(rows, self.seen(rows, rng), rng)
        batch = self.batch(self.train_texts, rows)
        if self.views is None:
            return batch
        return replace(batch, context=torch.from_numpy(self.seen(self.photos_of_texts[rows], rng)))

    def seen(self, photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The features of whole training photos, or of views of them as chance has it.  # (B, D)"""
        contexts = np.asarray(self.train_store.features[photos, 0], np.float32)
        if self.views is not None:
            view = rng.integers(-1, self.config.views, size=len(photos))
            again = view >= 0
            contexts[again] = self.views.features[photos[again], view[again]]
        return contexts

    def batch(self, texts: Texts, rows: np.ndarray) -> Batch:
        contexts, ids = zip(*(texts[row] for row in rows), strict=True)
        inputs, targets, mask = shift_words(list(ids), self.config.longest)
        context = torch.from_numpy(np.stack(contexts))
        return Batch(context, inputs, targets, mask)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        with autocast(self.device):
            logits = self.network(batch.context.to(self.device), batch.inputs.to(self.device))
        targets, mask = batch.targets.to(self.device), batch.mask.to(self.device)
        return {"loss": caption_loss(logits.float(), targets, mask)}

    def reward_losses(self, batch: PhotoBatch) -> dict[str, Tensor]:
        """Captions that the network draws now, those that beat their siblings made likelier."""
        assert self.reward is not None
        samples = self.config.samples
        contexts, photos = np.tile(batch.contexts, (samples, 1)), np.tile(batch.photos, samples)
        drawn = self.written().sample(contexts, 1.0, batch.rng, self.config.longest)
        rewards = self.reward(drawn, photos).reshape(samples, -1)
        inputs, targets, mask = shift_words([np.array(each.ids, np.int64) for each in drawn], self.config.longest)
        advantage = torch.from_numpy(advantages(rewards).ravel().astype(np.float32)).to(self.device)
        with autocast(self.device):
            logits = self.network(torch.from_numpy(contexts).to(self.device), inputs.to(self.device))
        said = drawn_mask(drawn, mask).to(self.device)
        loss = policy_loss(logits.float(), targets.to(self.device), said, advantage)
        return {"loss": loss, "reward": torch.tensor(rewards.mean())}

    def written(self) -> Captioner:
        """The network as it is now, as the pack will run it."""
        tensors = {name: value.numpy() for name, value in folded_captioner(self.network.state_dict()).items()}
        return Captioner(tensors, self.config.cell)

    def validate(self, rehearsal: bool) -> dict[str, float]:
        """Cross-entropy a word in nats, and for photos the scores of greedily written captions."""
        rows = np.arange(len(self.dev_texts))[: 200 if rehearsal else 5000]
        chunks = [self.batch(self.dev_texts, some) for some in np.array_split(rows, -(-len(rows) // 200))]
        numbers = {"loss": float(np.mean([float(self.losses(chunk)["loss"]) for chunk in chunks]))}
        if self.config.about == "photo":
            photos = min(2 if rehearsal else DEV_PHOTOS, len(self.dev_words))
            written = self.written().greedy(np.asarray(self.dev_store.features[:photos, 0], np.float32))
            scores = caption_scores([self.vocabulary.decode(h.ids) for h in written], self.dev_words[:photos])
            numbers |= {name: scores[name] for name in (*BLEU_NAMES, "cider")}
        return numbers
