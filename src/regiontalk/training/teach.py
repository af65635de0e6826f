"""`regiontalk teach`: fine-tune a pack on a person's captioned photos.

In resumable stages: region features are computed once, then the alignment is tuned, then the
captioner of photos, then that of regions, on the snippets that the alignment infers. The vision
network is frozen. Tuned weights are averaged with the pack's own, and evaluated on held-out photos
before the pack is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import regiontalk
from regiontalk.data import Dataset
from regiontalk.errors import TrainingError
from regiontalk.files import fitting_name, read_text, write_bytes
from regiontalk.fingerprints import fingerprint_files, listed, recognised
from regiontalk.model import Model
from regiontalk.pack import BANK, Pack, find_pack, refuse_foreign_folder, save_pack
from regiontalk.photos import MAX_PIXELS
from regiontalk.settings import PackSettings, Section
from regiontalk.training.alignment_net import AlignmentNet
from regiontalk.training.config import Count, Positive, Seed, Share, identity, require_same_run
from regiontalk.training.export import alignment_tensors
from regiontalk.training.regions import CachedFeatures, sample_features
from regiontalk.training.sentences import caption_words, whole_captions
from regiontalk.training.teach_photos import (
    HeldOutScores,
    StoredPhotos,
    TaughtPhotos,
    measure_pack,
    read_taught_photos,
    store_photos,
    stored_regions,
    worsened,
)
from regiontalk.training.teach_stages import (
    AlignmentTeaching,
    Lesson,
    region_texts,
    teach_captioner,
)
from regiontalk.training.training_photos import make_bank, some
from regiontalk.training.tuning import (
    PackParts,
    alignment_network,
    standardise_alignment,
    with_new_words,
)

ALIGNMENT, PHOTO, REGION = "alignment", "photo_captioner", "region_captioner"
REGIONS, CANDIDATE, IDENTITY = "regions", "pack", "teaching.json"
WORK_FOLDERS = (REGIONS, ALIGNMENT, PHOTO, REGION, CANDIDATE)
"""Subfolders of the work folder, beside a file that identifies the run."""

MOST_IN_BANK = 400
"""Taught photos added to a pack's query bank, at most."""
LONGEST_NAME, LONGEST_LICENCE = 100, 200
"""Characters of a pack's name and licence, see `PackSettings`."""


@dataclass(frozen=True)
class TeachConfig(Section):
    """Settings of a teaching run. The defaults are for 200 to 2,000 photos.

    Attributes:
        data: captioned photos, see `read_taught_photos`.
        output: folder of the new pack.
        pack: an included pack's name or a pack's folder; None for the default pack.
        work: folder of intermediate results; None for OUTPUT.work, which is removed in the end.
        anyway: write the pack even if it is worse on the held-out photos.
        epochs: passes over the captions, at most.
        patience: early stopping: passes without a better evaluation after which a stage ends.
        batch: captions in a batch.
        learning_rate: small, so that the pack stays near its own weights.
        dropout: as in training.
        min_count: words with fewer occurrences in the captions do not enter the vocabulary.
        seed: of everything random.
        max_pixels: of a photo, see `regiontalk.photos.open_photo`.
    """

    data: Path
    output: Path
    pack: str | None = None
    work: Path | None = None
    anyway: bool = False
    epochs: Count = 30
    patience: Count = 5
    batch: Count = 50
    learning_rate: Positive = 5e-4
    dropout: Share = 0.3
    min_count: Count = 2
    seed: Seed = 0
    max_pixels: Count = MAX_PIXELS


@dataclass(frozen=True)
class Taught:
    """Result of a teaching run.

    Attributes:
        pack: the new pack as read back; None if it was not written because it is worse.
        photos, captions: numbers of those that were learnt.
        held_out: number of held-out photos.
        new_words: added to the vocabulary, the most frequent first.
        shares: of the tuned weights in the mean with the pack's own, by stage.
        before, after: scores on the held-out photos.
        worse: what is worse after than before, in words; empty if nothing is.
    """

    pack: Pack | None
    photos: int
    captions: int
    held_out: int
    new_words: tuple[str, ...]
    shares: Mapping[str, float]
    before: HeldOutScores
    after: HeldOutScores
    worse: list[str]

    def to_json(self) -> dict[str, Any]:
        """The object that `regiontalk teach --json` prints."""
        written = (
            None
            if self.pack is None
            else {"folder": str(self.pack.folder), "sha256": self.pack.checksum}
        )
        return {
            "pack": written,
            "photos": self.photos,
            "captions": self.captions,
            "held_out": self.held_out,
            "new_words": len(self.new_words),
            "shares": dict(self.shares),
            "before": self.before.numbers(),
            "after": self.after.numbers(),
            "worse": self.worse,
        }


def teach(config: TeachConfig) -> Taught:
    """Teach a pack, or resume.

    Raises:
        DataError: if the captions cannot be read, or there are too few photos.
        PackError: if there is no such pack, or the new one cannot be written.
        PhotoError: if a photo cannot be read.
        TrainingError: if the work folder is of another teaching, or a file of it is damaged.
    """
    refuse_foreign_folder(config.output.resolve())
    pack = Pack.load(find_pack(config.pack))
    photos = read_taught_photos(config.data)
    work = work_folder(config)
    teaching = Teaching(config, pack, photos, work)
    parts, shares = teaching.learn()
    before = measure_pack(Model(pack), teaching.held_out)
    candidate = save_pack(
        work / CANDIDATE, parts.settings, parts.arrays, pack.vision_onnx, parts.vocabulary
    )
    after = measure_pack(Model(candidate), teaching.held_out)
    taught = Taught(
        pack=None,
        photos=len(photos.taught),
        captions=sum(len(photo.captions) for photo in photos.taught.photos),
        held_out=len(photos.held_out),
        new_words=parts.vocabulary.words[len(pack.vocabulary.words) :],
        shares=shares,
        before=before,
        after=after,
        worse=worsened(before, after),
    )
    if taught.worse and not config.anyway:
        return taught
    settings = described(parts.settings, pack, config.output, photos, taught)
    known = taught_fingerprints(pack.training_photos, photos.taught.files, config.max_pixels)
    written = save_pack(
        config.output, settings, parts.arrays, pack.vision_onnx, parts.vocabulary, known
    )
    clear(work, keep=config.work is not None)
    return replace(taught, pack=written)


class Teaching:
    """The stages of one teaching run, with files in the folder `work`."""

    def __init__(self, config: TeachConfig, pack: Pack, photos: TaughtPhotos, work: Path) -> None:
        self.config, self.pack, self.work, self.known = config, pack, work, len(pack.vocabulary)
        captions = [caption for photo in caption_words(photos.taught) for caption in photo]
        self.parts = with_new_words(pack, pack.vocabulary.extended(captions, config.min_count))
        self.run = identity(config, pack=pack.checksum, captions=photos.checksum)
        claim(work, self.run)
        self.taught, self.held_out = (self.store(each) for each in (photos.taught, photos.held_out))

    def store(self, dataset: Dataset) -> StoredPhotos:
        graph, vision, vocabulary = (
            self.pack.vision_onnx,
            self.parts.settings.vision,
            self.parts.vocabulary,
        )
        return store_photos(
            graph, vision, dataset, vocabulary, self.work / REGIONS, self.config.max_pixels
        )

    def learn(self) -> tuple[PackParts, dict[str, float]]:
        """All stages: the new pack's parts, and each stage's share of tuned weights."""
        net, shares = self.teach_alignment()
        arrays = {
            name: dict(tensors) for name, tensors in self.parts.arrays.items()
        } | alignment_tensors(net)
        settings = self.parts.settings
        for name, lesson in self.lessons(net).items():
            own = getattr(settings, name)
            arrays[name], shares[name] = teach_captioner(
                self.config, lesson, arrays[name], own, self.work / name, self.run
            )
        if settings.bank.photos:
            settings, arrays[BANK] = self.grown_bank(arrays)
        return PackParts(settings, self.parts.vocabulary, arrays), shares

    def lessons(self, net: AlignmentNet) -> dict[str, Lesson]:
        """Training data of each captioner; none for regions if captions have no phrases."""
        both, vocabulary = (self.taught, self.held_out), self.parts.vocabulary
        captions = whole_captions(self.taught.sentences), whole_captions(self.held_out.sentences)
        found = {PHOTO: Lesson("photo", both, captions, vocabulary, self.known)}
        phrases = region_texts(net, both, vocabulary, self.parts.settings.alignment.beta)
        return (
            found
            if phrases is None
            else found | {REGION: Lesson("region", both, phrases, vocabulary, self.known)}
        )

    def teach_alignment(self) -> tuple[AlignmentNet, dict[str, float]]:
        settings, arrays = self.parts.settings, self.parts.arrays
        torch.manual_seed(self.config.seed)
        net = alignment_network(
            arrays["words"], arrays["projection"], settings.words.cell, self.config.dropout
        )
        standardise_alignment(net, sample_features(CachedFeatures(self.taught.store, "cpu")))
        stage = AlignmentTeaching(self.config, net, self.taught, self.held_out, settings)
        return net, {ALIGNMENT: stage.tune(self.work / ALIGNMENT, self.run, self.known)}

    def grown_bank(
        self, arrays: dict[str, dict[str, np.ndarray]]
    ) -> tuple[PackSettings, dict[str, np.ndarray]]:
        """The pack's query bank with some of the taught photos added.

        The vectors of the bank's own photos stay as they were, as the pack holds no features to
        compute them from: after small steps they are close, and without them hubness among other
        kinds of photos would be unknown.
        """
        settings, old = self.parts.settings, self.parts.settings.bank
        rows = some(range(len(self.taught.dataset)), MOST_IN_BANK)
        seen = [stored_regions(self.taught, row, arrays["projection"]) for row in rows]
        new, tensors = make_bank(seen, arrays, settings, old.temperature, old.weight)
        counted = {
            name: getattr(old, name) + getattr(new, name)
            for name in ("photos", "regions", "sentences", "words")
        }
        both = {
            name: np.concatenate([arrays[BANK][name], tensor]) for name, tensor in tensors.items()
        }
        return replace(settings, bank=replace(old, **counted)), both


def described(
    settings: PackSettings, pack: Pack, output: Path, photos: TaughtPhotos, taught: Taught
) -> PackSettings:
    """The settings with the new pack's origin: the pack before, and what it was taught."""
    before, dataset = pack.settings, photos.taught
    lesson = {
        "dataset": dataset.name,
        "split": dataset.split,
        "photos": taught.photos,
        "captions": taught.captions,
        "new_words": len(taught.new_words),
        "shares": dict(taught.shares),
        "pack": before.name,
        "pack_sha256": pack.checksum,
    }
    earlier = before.trained_on.get("taught", [])
    lessons = [*(earlier if isinstance(earlier, list) else [earlier]), lesson]
    held_out = {
        "photos": taught.held_out,
        "before": taught.before.numbers(),
        "after": taught.after.numbers(),
    }
    return replace(
        settings,
        name=pack_name(output),
        licence=taught_licence(before.licence, dataset.name, taught.photos),
        made_with=f"regiontalk {regiontalk.__version__}",
        trained_on={**before.trained_on, "taught": lessons},
        results={"held_out": held_out},  # those of the pack that was taught are of other weights
    )


def pack_name(output: Path) -> str:
    """The folder's name, reduced to what a pack's name may be."""
    name = "".join(c for c in output.resolve().name if c.isprintable())[:LONGEST_NAME]
    return name or "taught"


def taught_licence(licence: str, name: str, photos: int) -> str:
    """A pack's licence line, with what it was taught appended.

    What was taught is shortened first where both do not fit, then the licence, as little as
    possible.
    """
    shown = "".join(c for c in name if c.isprintable())
    endings = (
        f"; taught {photos} captioned photos of {shown}",
        f"; taught {photos} captioned photos",
        "; taught",
    )
    for ending in endings:
        if len(licence) + len(ending) <= LONGEST_LICENCE:
            return licence + ending
    ending = "...; taught"
    return licence[: LONGEST_LICENCE - len(ending)] + ending


def taught_fingerprints(
    known: np.ndarray | None, files: list[Path], max_pixels: int | None
) -> np.ndarray | None:
    """A pack's fingerprints of training photos with those of more files.

    None for a pack without fingerprints, as its list would be incomplete.
    """
    if known is None:
        return None
    found = fingerprint_files(files, max_pixels=max_pixels)
    return listed(np.concatenate([known, found[~recognised(found, known)]]))


def work_folder(config: TeachConfig) -> Path:
    """The folder of the stages: as configured, or beside the output."""
    output = config.output.resolve()
    return (
        output.with_name(fitting_name(output.name, ".work")) if config.work is None else config.work
    )


def claim(work: Path, run: str) -> None:
    """Create the work folder of a run, or check that it belongs to this one.

    Raises:
        TrainingError: if it belongs to a run with other photos, captions or settings.
    """
    file = work / IDENTITY
    if file.exists():
        require_same_run(work, read_text(file, error=TrainingError), run)
    else:
        write_bytes(file, run.encode())


def clear(work: Path, keep: bool) -> None:
    """Remove intermediate results and no other files; with `keep` only the evaluated pack."""
    for name in (CANDIDATE,) if keep else WORK_FOLDERS:
        shutil.rmtree(work / name, ignore_errors=True)
    if not keep:
        (work / IDENTITY).unlink()
        if not any(work.iterdir()):
            work.rmdir()
