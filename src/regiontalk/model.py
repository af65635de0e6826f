"""`Model`: facade of region detection, sentence encoding, alignment, scoring and captioning.

Axis names: N photos, L sentences, M regions, T words, h dimensions of the shared space.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from PIL import Image

from regiontalk.alignment.certainty import caption_probability, region_caption_probability
from regiontalk.alignment.distinct import Distinct
from regiontalk.alignment.evidence import Evidence
from regiontalk.alignment.hubness import QueryBank
from regiontalk.alignment.mrf import align
from regiontalk.alignment.score import Kind, pad, score_sentences
from regiontalk.captioning.attention import photo_contexts, region_contexts
from regiontalk.captioning.captioner import Captioner
from regiontalk.captioning.writing import Writer, of_rows
from regiontalk.errors import PackError, SentenceError
from regiontalk.language.reader import PlacedVectors, WordsReader
from regiontalk.language.tokenise import tokenise
from regiontalk.language.vocabulary import Vocabulary, one_letter_off
from regiontalk.pack import BANK, PLACED, VISION_FILE, Pack, find_pack
from regiontalk.photos import Photo, open_photo, prepare
from regiontalk.photos.given import PhotoLike, listed, one, what
from regiontalk.photos.kinds import out_of_memory
from regiontalk.structures import Alignment, Caption, Description, Regions, Sentence
from regiontalk.vision.boxes import distinct, distinct_rows
from regiontalk.vision.session import BATCH, VisionSession


def load(
    pack: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    max_pixels: int | None = None,
) -> Model:
    """Load a model.

    Args:
        pack: an included pack's name or a pack's folder; None for the default pack.
        threads: CPU threads for the vision graph; None for as many as the process may use.
        max_pixels: limit for photos that the model opens, see `open_photo`.

    Raises:
        PackError: if there is no such pack, or it is damaged or invalid.
    """
    return Model(Pack.load(find_pack(pack)), threads, max_pixels)


class Model:
    """Detects regions of photos, encodes sentences, aligns, scores and captions them.

    Args:
        pack: a checked pack.
        threads, max_pixels: as in `load`.

    Attributes:
        pack, max_pixels: as given.
        evidence: computes the log-odds that words are shown (`regiontalk.alignment.evidence`).

    Raises:
        PackError: if the pack's vision graph cannot be used.
    """

    def __init__(
        self, pack: Pack, threads: int | None = None, max_pixels: int | None = None
    ) -> None:
        self.pack, self.max_pixels = pack, max_pixels
        settings, arrays = pack.settings, pack.arrays
        graph_name = str(pack.folder / VISION_FILE)
        self._vision = VisionSession(
            pack.vision_onnx, arrays["projection"], settings.vision, threads, graph_name
        )
        placed = PlacedVectors(arrays[PLACED]) if settings.words.vector_dim else None
        self._reader = WordsReader(arrays["words"], settings.words.cell, placed)
        bank_name = str(pack.folder / f"{BANK}.safetensors")
        self._bank = (
            QueryBank(arrays[BANK], settings.bank, bank_name) if settings.bank.photos else None
        )
        self.evidence = Evidence(pack.vocabulary, self._vectors, settings.certainty)
        self._photo_writer, self._region_writer = (
            Writer(
                Captioner(arrays[name], each.cell, str(pack.folder / f"{name}.safetensors")),
                each,
                pack.vocabulary,
                self._vectors,
                self.score_kind,
            )
            for name, each in (
                ("photo_captioner", settings.photo_captioner),
                ("region_captioner", settings.region_captioner),
            )
        )

    def __repr__(self) -> str:
        return f"Model({self.pack!r})"

    def look(
        self,
        photos: PhotoLike | Iterable[PhotoLike],
        boxes: Sequence[np.ndarray] | None = None,
        extra: bool = False,
    ) -> list[Regions]:
        """Detect and encode the regions of photos (Eq. 1), or encode given boxes.

        Args:
            photos: one or many; many are opened and processed in batches, resized to the network's
                input size to bound memory.
            boxes: for each photo the boxes to encode instead of detecting some: (K, 4) xyxy in
                pixels of the upright photo.
            extra: detect more boxes for `align`, since words may name smaller things than a photo
                is found and described by; they are last, `Regions.extra` of them.

        Returns:
            The regions of each photo, in order; a list of one for a single photo. Given boxes are
            regions 1 to K.

        Raises:
            PhotoError: if a photo cannot be opened; it names the photo.
            ValueError: if `boxes` do not fit the photos, or one has no area inside its photo.
        """
        waiting = listed(photos)
        if boxes is not None and len(boxes) != len(waiting):
            raise ValueError(
                f"{len(waiting)} photos need as many arrays of boxes, found {len(boxes)}"
            )
        more = self.pack.settings.alignment.extra_proposals if extra else 0
        found: list[Regions] = []
        for start in range(0, len(waiting), BATCH):
            part = slice(start, start + BATCH)
            opened = [self._open(photo) for photo in waiting[part]]
            found += self._vision.look(opened, None if boxes is None else boxes[part], more)
        return self.with_hubness(found)

    def with_hubness(self, regions: Sequence[Regions]) -> list[Regions]:
        """Regions with their hubness as `look` sets it, for regions from a store for example."""
        if self._bank is None:
            return list(regions)
        return [replace(each, hubness=self._bank.of_photo(each.main.vectors)) for each in regions]

    def read(self, sentences: str | Iterable[str]) -> list[Sentence]:
        """Tokenise and encode sentences (Eq. 2 to 6).

        Returns:
            Each sentence with its word vectors, in order; a list of one for a single sentence.

        Raises:
            SentenceError: if a sentence has no word; it names the sentence.
        """
        texts = [sentences] if isinstance(sentences, str) else list(sentences)
        words = [tokenise(text) for text in texts]
        for text, found in zip(texts, words, strict=True):
            if not found:
                raise SentenceError(
                    f"{text!r} is empty or has no word. Give a sentence with at least one word."
                )
        # Duplicates are encoded once, so that equal sentences have exactly equal vectors
        said = Distinct(tuple(each) for each in words)
        ids = [self.pack.vocabulary.encode(words[each]) for each in said.first]
        vectors = self._vectors(ids)
        hubness = (
            [0.0] * len(ids) if self._bank is None else self._bank.of_sentences(vectors).tolist()
        )
        kinds = [
            tuple(self.pack.vocabulary.kind(word) for word in words[each]) for each in said.first
        ]
        meant = [self._meant(words[each], kinds[n]) for n, each in enumerate(said.first)]
        return [
            Sentence(text, tuple(own), ids[n], vectors[n], hubness[n], kinds[n], meant[n])
            for text, own, n in zip(texts, words, said.number, strict=True)
        ]

    def _meant(self, words: Sequence[str], kinds: Sequence[str]) -> dict[str, tuple[str, ...]]:
        unknown = [word for word, kind in zip(words, kinds, strict=True) if kind == "unknown"]
        return {
            word: near for word in unknown if (near := one_letter_off(word, self.pack.vocabulary))
        }

    def score(
        self,
        photos: PhotoLike | Regions | Iterable[PhotoLike | Regions],
        sentences: str | Sentence | Iterable[str | Sentence],
    ) -> np.ndarray:
        """Scores of all pairs of photos and sentences.

        S_kl of the pack's kind, minus the hubness of both. S_kl is Eq. 8, Eq. 7, or Eq. 8 divided
        by the sentence's number of words; hubness, 0 in packs without a query bank, is how well a
        photo fits sentences in general, and a sentence photos in general.

        Args:
            photos: N photos, or their regions from `look`.
            sentences: L sentences, as text or from `read`.

        Returns:
            (N, L) float32; higher is better, neither bounded nor normalised.

        Raises:
            PhotoError, SentenceError: as `look` and `read`.
            ValueError: if vectors come from packs of different sizes.
        """
        regions, read = [each.main for each in self._regions(photos)], self._sentences(sentences)
        if not regions or not read:
            return np.zeros((len(regions), len(read)), np.float32)
        widths = {each.vectors.shape[1] for each in regions} | {
            each.vectors.shape[1] for each in read
        }
        if len(widths) > 1:
            raise ValueError(
                f"regions and sentences of one pack have one dimension, found {sorted(widths)}"
            )
        vectors, counts = pad([each.vectors for each in regions])  # (N, M, h), (N,)
        scores = score_sentences(vectors, counts, [each.vectors for each in read], self.score_kind)
        of_photos, of_sentences = (
            np.array([each.hubness for each in some], np.float32) for some in (regions, read)
        )
        scores -= of_photos[:, None]
        scores -= of_sentences
        return scores

    def align(
        self, photo: PhotoLike | Regions, sentence: str | Sentence, beta: float | None = None
    ) -> Alignment:
        """Align each word of a sentence with a region of a photo (Eq. 10 to 12).

        Args:
            photo: a photo, or its regions from `look`, best with `extra`.
            sentence: as text or from `read`.
            beta: β of Eq. 12, at least 0; None for the pack's.

        Raises:
            SentenceError: if the sentence has no word, or none in the vocabulary; or if it is not a
                single sentence.
            PhotoError: as `look`; also if it is not a single photo.
            ConfigError: if `beta` is negative or above a million.
        """
        read = self._sentence(sentence)
        if (read.ids == Vocabulary.UNKNOWN).all():
            words = ", ".join(repr(word) for word in read.words)
            raise SentenceError(
                f"The pack knows none of the words {words}. Say it with more common English words."
            )
        (regions,) = self._regions(one(photo, "align"), extra=True)
        settings = self.pack.settings.alignment
        stay = settings.beta if beta is None else beta
        odds = self.evidence.odds(regions.main.vectors, read)
        return align(regions, read, stay, self.score_kind, odds, settings.objectness)

    def describe(self, photo: PhotoLike, beam: int | None = None) -> Description:
        """Caption a photo and each of its distinct regions.

        Args:
            photo: a single one, or its regions from `look`; for many, `describe_regions` of the
                results of `look` and `distinct` is faster.
            beam: beam width; None for the pack's.

        Raises:
            PhotoError: as `look`; also if it is not a single photo.
            ValueError: if `beam` is below 1.
        """
        (regions,) = self._regions(one(photo, "describe"))
        return self.describe_regions([distinct(regions)], beam)[0]

    def describe_regions(
        self, regions: Sequence[Regions], beam: int | None = None, temperature: float | None = None
    ) -> list[Description]:
        """Caption photos and each of their regions, all decoded in one batch.

        Args:
            regions: of each photo, from `look`.
            beam: as in `describe`.
            temperature: above 0, to sample captions at this temperature instead of beam search; see
                `beam.sample`.

        Raises:
            ValueError: if `beam` is below 1, `temperature` not above 0, or both are given.
        """
        seen = [each.vectors[row : row + 1] for each in regions for row in range(1, len(each))]
        captions: list[Caption] = []
        if seen:
            captions = self._region_writer.write(region_contexts(regions), seen, beam, temperature)
            if (settings := self.pack.settings.certainty).region_slope:
                odds = (
                    self.evidence.naming_odds(*each) for each in zip(captions, seen, strict=True)
                )
                sure = [region_caption_probability(each, settings) for each in odds]
                captions = [
                    replace(caption, sure=each)
                    for caption, each in zip(captions, sure, strict=True)
                ]
        written = iter(captions)
        return [
            Description(each, caption, tuple(next(written) for _ in range(len(each) - 1)))
            for each, caption in zip(regions, self.caption(regions, beam, temperature), strict=True)
        ]

    def caption(
        self, regions: Sequence[Regions], beam: int | None = None, temperature: float | None = None
    ) -> list[Caption]:
        """Caption whole photos only.

        Args:
            regions: of each photo, from `look`; its caption is generated from the `distinct` ones.
            beam, temperature: as in `describe_regions`.
        """
        if not regions:
            return []
        regions = [each.main for each in regions]
        rows = [distinct_rows(each.boxes_xyxy, each.scores) for each in regions]
        seen = [each.select(own) for each, own in zip(regions, rows, strict=True)]
        contexts = photo_contexts(seen, self._photo_writer.captioner.attention)
        captions = self._photo_writer.write(
            contexts, [each.vectors for each in seen], beam, temperature
        )
        if (settings := self.pack.settings.certainty).caption_slope:
            odds = [
                self.evidence.naming_odds(*each)
                for each in zip(captions, (each.vectors for each in regions), strict=True)
            ]
            sure = [
                caption_probability(said.log_prob, each, settings)
                for said, each in zip(captions, odds, strict=True)
            ]
            captions = [
                replace(caption, sure=each) for caption, each in zip(captions, sure, strict=True)
            ]
        return [of_rows(caption, own) for caption, own in zip(captions, rows, strict=True)]

    @property
    def score_kind(self) -> Kind:
        """The pack's kind of S_kl: "max" (Eq. 8), "sum" (Eq. 7) or "mean" (Eq. 8 / words)."""
        return cast(Kind, self.pack.settings.alignment.score)

    def _vectors(self, ids: list[np.ndarray]) -> list[np.ndarray]:
        """The word vectors (T, h) of sentences."""
        # Weights of an untrusted pack may overflow: checked below
        with np.errstate(over="ignore", invalid="ignore"):
            vectors = self._reader.read(ids)
        if not all(np.isfinite(each).all() for each in vectors):
            raise PackError(
                f"{self.pack.folder}: the words network gives values that are not finite. "
                "Take another."
            )
        return vectors

    def _open(self, photo: PhotoLike) -> Photo:
        """Opens a photo at the network's input size; an opened one is returned unchanged.

        At full size a batch could take gigabytes.
        """
        if isinstance(photo, Photo):
            return photo
        size = self.pack.settings.vision.size
        opened = open_photo(photo, max_pixels=self.max_pixels, min_side=size)
        try:
            return replace(opened, image=Image.fromarray(prepare(opened.image, size)))
        except MemoryError:
            raise out_of_memory(opened.file) from None

    def _regions(self, photos: Any, extra: bool = False) -> list[Regions]:
        """Regions of photos and regions, mixed or single, in order; photos in batches."""
        given = listed(photos)
        looked = iter(
            self.look([each for each in given if not isinstance(each, Regions)], extra=extra)
        )
        return [each if isinstance(each, Regions) else next(looked) for each in given]

    def _sentence(self, sentence: Any) -> Sentence:
        if not isinstance(sentence, Sentence | str):
            raise SentenceError(
                f"align: expected one sentence, found {what(sentence)}. Give them one by one."
            )
        (read,) = self._sentences(sentence)
        return read

    def _sentences(self, sentences: Any) -> list[Sentence]:
        if isinstance(sentences, Sentence | str):
            sentences = [sentences]
        given = list(sentences)
        read = iter(self.read([each for each in given if not isinstance(each, Sentence)]))
        return [each if isinstance(each, Sentence) else next(read) for each in given]
