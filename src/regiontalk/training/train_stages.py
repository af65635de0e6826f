"""`regiontalk train stages`: teach each stage of the backbone what the teacher's stage does.

A stage that is given what the teacher passes on, and asked for what the teacher makes of it, is a small network with a
dense target: thousands of steps do what end-to-end distillation needs a hundred thousand for. Stages taught alone add
up their errors, so a growing share of the photos goes through the whole chain, where each stage sees what its own
predecessors make of a photo, and is still asked for the teacher's map (Wang et al., 2018, teach one stage after the
other; here all learn at once).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from regiontalk.settings import Section
from regiontalk.training.checkpoint import read_finished, save_tensors
from regiontalk.training.config import NotNegative, Positive, Seed, identity
from regiontalk.training.devices import autocast, best_device
from regiontalk.training.distillation import Lesson
from regiontalk.training.loop import Task, one_cycle, train
from regiontalk.training.optimisers import make_optimiser, parameter_groups
from regiontalk.training.staged_net import StagedNet, require_whole_cells
from regiontalk.training.teacher_store import TeacherStore

WEIGHTS = "stages.safetensors"
ENOUGH = (8, 16, 64, 64, 64, 64)
"""Photos a step for each stage: early ones have many cells in each."""
VALIDATE_EVERY = 300


@dataclass(frozen=True)
class StagesConfig(Section):
    """Settings of a run.

    Attributes:
        store: folder that the recipe's teach.py wrote.
        output: folder of the run.
        start: folder of a finished run to start from; None for random weights.
        phases: (steps, photos of a step that go through the whole chain) pairs, one after the other.
        size: pixels a side of the photos; the teacher was trained on 224.
        learning_rate, weight_decay: of AdamW.
        clip: bound on each element of the gradient.
        seed: of everything random.
        stop_after: stop at this step as a kill would; None for the whole run.
    """

    store: Path
    output: Path
    start: Path | None = None
    phases: tuple[tuple[int, int], ...] = ((600, 0), (1600, 16), (2200, 40))
    size: int = 224
    learning_rate: Positive = 3e-3
    weight_decay: NotNegative = 0.02
    clip: Positive = 1.0
    seed: Seed = 0
    stop_after: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole_cells("size", self.size)

    @property
    def steps(self) -> int:
        return sum(steps for steps, _ in self.phases)

    def chained(self, step: int) -> int:
        """Photos of this step that go through the whole chain."""
        for steps, photos in self.phases:
            if step < steps:
                return photos
            step -= steps
        return self.phases[-1][1]


@dataclass(frozen=True)
class StageBatch:
    """Photos to learn from.

    Attributes:
        pixels: (n, S, S, 3) uint8, of as many photos as some stage needs.
        chained: how many of the photos, from the first, go through the whole chain.
    """

    pixels: np.ndarray
    chained: int


def train_stages(config: StagesConfig) -> Path:
    """Train, or go on training; returns the file of the finished weights (`stages.safetensors`)."""
    torch.manual_seed(config.seed)
    run = StagesRun(config, best_device())
    if train(run.task(), config.output, config.stop_after) == config.steps:
        save_tensors(run.network, config.output / WEIGHTS)
    return config.output / WEIGHTS


def read_stages(run: Path) -> dict[str, Tensor]:
    """The weights of a finished run.

    Raises:
        TrainingError: if the run is not finished.
    """
    return read_finished(run, WEIGHTS)


class StagesRun:
    """The parts of one run, put together once."""

    def __init__(self, config: StagesConfig, device: str) -> None:
        self.config, self.device = config, device
        self.store = TeacherStore(config.store)
        self.held_out, self.rows = self.store.held_out_and_others()
        self.network: nn.ModuleList = StagedNet().stages.to(device)
        if config.start is not None:
            self.network.load_state_dict(read_stages(config.start))
        self.whole = self.store.batch(self.held_out, config.size, None).pixels
        self.lesson = Lesson(self.store.teacher(), self.whole, device)

    def task(self) -> Task:
        config = self.config
        return Task(
            network=self.network,
            optimiser=make_optimiser(
                "adamw", parameter_groups(self.network.parameters(), config.learning_rate, config.weight_decay)
            ),
            steps=config.steps,
            learning_rate=one_cycle(config.steps),
            batch=self.batch,
            losses=self.losses,
            validate=self.validate,
            validate_every=VALIDATE_EVERY,
            clip=config.clip,
            run=identity(config),
        )

    def batch(self, step: int) -> StageBatch:
        """Random views of random photos: a function of the seed and the step alone."""
        rng = np.random.default_rng([self.config.seed, step])
        chained = self.config.chained(step)
        rows = rng.choice(self.rows, min(max(*ENOUGH, chained), len(self.rows)), replace=False)
        return StageBatch(self.store.batch(rows, self.config.size, rng).pixels, chained)

    def losses(self, batch: StageBatch) -> dict[str, Tensor]:
        """What the stages do not explain of the teacher's maps, in shares of their variance; added up over stages."""
        photos = self.lesson.photos(batch.pixels)
        maps = self.lesson.say(photos)
        own, shares = photos[: batch.chained], []
        with autocast(self.device):
            for k, stage in enumerate(self.network):
                found = []
                if batch.chained:
                    own = stage(own)
                    found.append(self.lesson.unexplained(k, own, maps[k][: batch.chained]))
                if batch.chained < ENOUGH[k]:  # the other photos come from the teacher's stage before
                    others = slice(batch.chained, ENOUGH[k])
                    given = (maps[k - 1] if k else photos)[others]
                    found.append(self.lesson.unexplained(k, stage(given), maps[k][others]))
                shares.append(torch.stack(found).mean())
        return {"loss": torch.stack(shares).sum(), **{f"stage_{k}": share for k, share in enumerate(shares)}}

    def validate(self, rehearsal: bool) -> dict[str, float]:
        """The chain alone on held-out whole photos: what it leaves unexplained after each stage, and the cosine of its
        last, pooled, centred and scaled map to the teacher's."""
        whole = self.whole[: 2 if rehearsal else len(self.whole)]
        numbers: list[list[float]] = []
        for some in np.array_split(whole, -(-len(whole) // 32)):
            x = self.lesson.photos(some)
            found = []
            for k, (stage, target) in enumerate(zip(self.network, self.lesson.say(x), strict=True)):
                with autocast(self.device):
                    x = stage(x)
                found.append(self.lesson.unexplained(k, x, target).item())
            numbers.append([*found, self.lesson.pooled_cosine(x, target).mean().item()])
        *chain, pooled = np.mean(numbers, axis=0)
        return {**{f"chain_{k}": float(share) for k, share in enumerate(chain)}, "pooled": float(pooled)}
