"""Named boxes as texts: "a cat" of a box that shows one, seen once or in several views of its photo.

Axis names: m regions of a photo, D features.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from regiontalk.data import RegionStore, RegionStoreWriter
from regiontalk.errors import DataError
from regiontalk.evaluation.class_words import Words
from regiontalk.language import Vocabulary
from regiontalk.settings import VisionSettings
from regiontalk.training.loop import progress_bar
from regiontalk.training.named_photos import move_boxes, no_names, sayable_names
from regiontalk.training.regions import CHUNK, bare_session, pad_rows, see_view
from regiontalk.training.snippets import Snippets
from regiontalk.training.teacher_store import TeacherStore
from regiontalk.vision.boxes import WHOLE
from regiontalk.vision.roi_align import roi_align
from regiontalk.vision.session import BATCH


def store_boxes(
    graph: bytes, settings: VisionSettings, photos: TeacherStore, folder: Path, view: int = 0
) -> RegionStore:
    """The features of a teacher store's boxes, the whole view first; of a photo with many, the first ones.

    Args:
        view: 0 is the whole photo; every other number a random window on each photo, mirrored or not, its boxes
            slightly askew. The scores of boxes that are hidden in it are 0, those of all others 1.

    Raises:
        DataError: if `folder` holds regions of another graph, or of other boxes.
    """
    session, checksum = bare_session(graph, settings)
    most = settings.proposals + 1
    digests = [hashlib.sha256(each.tobytes()).hexdigest()[:16] for each in photos.boxes]
    names = [f"{row} {digest}" for row, digest in enumerate(digests)]
    writer = RegionStoreWriter.open(
        folder, names=names, regions=most, dim=settings.feature_dim, vision_checksum=checksum
    )
    with progress_bar() as progress:
        bar = progress.add_task(f"named boxes, view {view}", total=len(photos), completed=writer.done)
        while writer.done < len(photos):
            rows = range(writer.done, min(writer.done + CHUNK, len(photos)))
            seen = [see_boxes(photos, row, settings.size, most - 1, view) for row in rows]
            pixels, boxes, visible = zip(*seen, strict=True)
            maps = np.concatenate([session.run(np.stack(pixels[i : i + BATCH]))[0] for i in range(0, len(rows), BATCH)])
            writer.append(
                features=pad_rows([roi_align(b, m) for b, m in zip(boxes, maps, strict=True)], most),
                boxes=pad_rows(list(boxes), most),
                scores=pad_rows(list(visible), most),
                counts=np.array([len(each) for each in boxes]),
                sizes=np.ones((len(boxes), 2), np.int64),
            )
            progress.update(bar, completed=writer.done)
    writer.finish()
    return RegionStore.open(folder)


def see_boxes(
    photos: TeacherStore, row: int, size: int, most: int, view: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A view of a photo (S, S, 3), its boxes in it (m, 4), the whole view first, and which of them show (m,) as 0 or 1.

    Boxes that do not show are the whole view.
    """
    rng = np.random.default_rng([row, view]) if view else None
    pixels, found, shows = see_view(Image.fromarray(photos.photos[row]), photos.boxes[row], size, rng)
    boxes = np.tile(WHOLE, (len(shows) + 1, 1))
    boxes[1:][shows] = found if rng is None else move_boxes(found, 0.05, 0.1, rng)
    return pixels, boxes[: most + 1], np.concatenate([[1], shows]).astype(np.float32)[: most + 1]


def named_texts(photos: TeacherStore, store: RegionStore, vocabulary: Vocabulary) -> Snippets:
    """Every named box that shows as a text, "a cat", about its region.

    Args:
        store: the features of the boxes, see `store_boxes`.

    Raises:
        DataError: if there is no name to learn.
    """
    names = sayable_names(photos, vocabulary)
    if not names:
        raise DataError(no_names(photos.folder))
    said = {name: vocabulary.encode(with_article(name)) for name in sorted(set(names.values()))}
    ids, rows, regions = [], [], []
    for photo, labels in enumerate(photos.labels):
        kept = labels[: int(store.counts[photo]) - 1]
        for region, name in enumerate((names.get(label or "") for label in kept), start=1):
            if name is not None and store.scores[photo, region]:
                ids.append(said[name])
                rows.append(photo)
                regions.append(region)
    return Snippets(tuple(ids), np.array(rows, np.int64), np.array(regions, np.int64))


def with_article(name: Words) -> Words:
    """A name as a caption would have it.

    >>> with_article(("umbrella",)), with_article(("skis",)), with_article(("wine", "glass"))
    (('an', 'umbrella'), ('skis',), ('a', 'wine', 'glass'))
    """
    plural = name[-1].endswith("s") and not name[-1].endswith(("ss", "us"))
    return name if plural else ("an" if name[0][0] in "aeiou" else "a", *name)
