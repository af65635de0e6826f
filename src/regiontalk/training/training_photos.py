"""What a pack keeps of its training photos: fingerprints, the query bank, the low-rank space.

- Their fingerprints, for contamination checks in evaluation.
- A query bank, which estimates hubness (`regiontalk.alignment.hubness`): some of the photos, and
  captions that the photo captioner samples for them, so that no pack contains human captions.
- A low-rank basis of its shared space: what an index stores of each region, and a search reads,
  shrinks with its dimensions, and regions and words fill few of those that they were trained in.

Axis names: N photos, R regions and P words of them, D visual features, h dimensions of the shared
space, r of the low-rank one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from regiontalk.captioning.attention import photo_contexts
from regiontalk.captioning.captioner import Captioner
from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError, DataError
from regiontalk.fingerprints import MOST, fingerprint_files, listed, recognised
from regiontalk.language.reader import WordsReader
from regiontalk.photos import PhotoSource, open_photo
from regiontalk.photos.folders import find_photos
from regiontalk.settings import BankSettings, PackSettings, VisionSettings
from regiontalk.structures import Regions
from regiontalk.training.box_labels import read_box_labels
from regiontalk.training.checkpoint import run_settings
from regiontalk.training.loop import progress_bar
from regiontalk.vision.boxes import distinct
from regiontalk.vision.session import BATCH, VisionSession

SEED = 0
"""Of the sampling of photos and of captions for them."""
Tensors = dict[str, dict[str, np.ndarray]]
"""A pack's tensors by file and name, as `save_pack` takes them."""
Item = TypeVar("Item")


def training_photos(
    data: Sequence[Path], photos: Sequence[Path], max_pixels: int | None = None
) -> np.ndarray | None:
    """The fingerprints of all photos that a pack was trained on.

    Args:
        data: folders of captioned photos; of each the train split.
        photos: files of box labels (`boxes.jsonl`), and folders of photos, which are searched.
        max_pixels: see `open_photo`.

    Returns:
        (K, 16) uint8, as `listed`; None if nothing is named.

    Raises:
        DataError: if a folder holds no photo, a file is damaged, or there are more than `MOST`.
        PhotoError: if a photo is broken.
    """
    captioned = [[photo.file for photo in read_dataset(folder, "train").photos] for folder in data]
    others = [photos_in(place) for place in photos]
    found = [fingerprint_files(files, max_pixels=max_pixels) for files in (*captioned, *others)]
    if not found:
        return None
    known = found[0]
    for part in found[1:]:  # duplicates across sources are listed once
        known = np.concatenate([known, part[~recognised(part, known)]])
    known = listed(known)
    if not 0 < len(known) <= MOST:
        raise DataError(
            f"expected 1 to {MOST} different training photos that are not blank, found {len(known)}"
        )
    return known


def require_named(runs: Sequence[Path], data: Sequence[Path]) -> None:
    """Check that `data` has every dataset that the runs were trained on.

    Only for runs whose settings are still there (`run_settings`).

    Raises:
        ConfigError: if a run was trained on a dataset whose folder's name is not among those of
            `data`.
        TrainingError: if a checkpoint is damaged.
    """
    known = {path.name for path in data}
    for run in runs:
        missing = [
            name for name in dataset_names(run_settings(run).get("data")) if name not in known
        ]
        if missing:
            raise ConfigError(
                f"{run}: was trained on the dataset {missing[0]!r}, which data does not name; add "
                "it, so that the pack can list its photos"
            )


def dataset_names(data: Any) -> list[str]:
    """The names of the datasets in a run's settings: one name, or several with a share each."""
    if isinstance(data, str):
        return [data]
    pairs = data if isinstance(data, list) else []
    return [
        pair[0] for pair in pairs if isinstance(pair, list) and pair and isinstance(pair[0], str)
    ]


def photos_in(place: Path) -> Sequence[Path]:
    """The photos of a file of box labels, or below a folder.

    Raises:
        DataError: if it holds no photo, or the file is damaged.
    """
    if place.is_file():
        return read_box_labels(place).photos
    if not place.is_dir():
        raise DataError(
            f"{place}: expected a folder of photos or a file of boxes with names, found none"
        )
    files = find_photos(place)
    if not files:
        raise DataError(f"{place}: holds no photo")
    return files


def some(items: Sequence[Item], count: int) -> list[Item]:
    """A fixed random sample of this size, in order; all if there are fewer."""
    return [
        items[row] for row in np.sort(np.random.default_rng(SEED).permutation(len(items))[:count])
    ]


def look_at_photos(
    graph: bytes,
    settings: VisionSettings,
    projection: Mapping[str, np.ndarray],
    photos: Sequence[PhotoSource],
    max_pixels: int | None = None,
) -> list[Regions]:
    """The regions of photos, as `Model.look` computes them, without a pack.

    Args:
        graph, settings: of the vision network.
        projection: `W_m` (D, h) and `b_m` (h,).
        photos: files, or arrays (H, W, 3) uint8.
        max_pixels: see `open_photo`.

    Raises:
        PhotoError: if a photo is broken.
    """
    session, found = VisionSession(graph, projection, settings), list[Regions]()
    with progress_bar() as progress:
        bar = progress.add_task("looking at training photos", total=len(photos))
        for start in range(0, len(photos), BATCH):
            batch = photos[start : start + BATCH]
            found += session.look(
                [open_photo(each, max_pixels=max_pixels, min_side=settings.size) for each in batch]
            )
            progress.update(bar, completed=len(found))
    return found


def make_bank(
    seen: Sequence[Regions],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    settings: PackSettings,
    temperature: float,
    weight: float,
) -> tuple[BankSettings, dict[str, np.ndarray]]:
    """Query bank of some photos' distinct regions and a sampled sentence each, with its settings.

    Args:
        seen: N photos.
        arrays, settings: of the pack.
        temperature, weight: τ and λ.
    """
    captioner = Captioner(arrays["photo_captioner"], settings.photo_captioner.cell)
    clear = [distinct(each) for each in seen]
    contexts = photo_contexts(clear, captioner.attention)
    drawn = captioner.sample(
        contexts, 1.0, np.random.default_rng(SEED), settings.photo_captioner.max_words
    )
    reader = WordsReader(arrays["words"], settings.words.cell)
    said = reader.read([np.array(each.ids, np.int64) for each in drawn])
    regions = [each.vectors for each in clear]
    tensors = {
        "regions": np.concatenate(regions),
        "region_counts": np.array([len(each) for each in regions]),
        "words": np.concatenate(said),
        "word_counts": np.array([len(each) for each in said]),
    }
    sizes = {"photos": len(regions), "regions": len(tensors["regions"])}
    sizes |= {"sentences": len(said), "words": len(tensors["words"])}
    return BankSettings(**sizes, temperature=temperature, weight=weight), tensors


def to_low_rank(arrays: Tensors, regions: np.ndarray, words: np.ndarray, dim: int) -> Tensors:
    """Project a pack's `projection` and `words` to a low-rank shared space.

    The bases A and B (`low_rank_bases`) are folded into W_m, b_m (Eq. 1) and into the last, linear
    step of a GRU's words, so that nothing is added at run time.

    Args:
        arrays: of a pack whose words are read by a GRU.
        regions: (R, h), v_i of typical photos.
        words: (P, h), s_t of typical sentences.
        dim: r, at most h.
    """
    of_regions, of_words = low_rank_bases(regions, words, dim)
    projection = {name: tensor @ of_regions for name, tensor in arrays["projection"].items()}
    folded = {name: arrays["words"][name] @ of_words for name in ("W_d", "b_d")}
    return arrays | {
        "projection": projection,
        "words": {**arrays["words"], **folded},
    }


def low_rank_bases(
    regions: np.ndarray, words: np.ndarray, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Low-rank bases A and B, (h, r) each, which best keep the scores of regions and words.

    (v A)·(s B) is closest to v·s in mean square over all pairs. With C_v and C_s the mean outer
    products, the error is least for the first r eigenvectors Q of C_v^½ C_s C_v^½, with A = C_v^-½
    Q and B = C_v^½ Q; and equally for A T and B T^-ᵀ with any T. The T chosen makes A's columns
    orthonormal, so that v A is the orthogonal projection of v, and its length still says how much a
    region can contribute to a score.

    Args:
        regions: (R, h), v_i.
        words: (P, h), s_t.
        dim: r, at most h.

    >>> regions, words = np.array([[1.0, 0], [2.0, 0]]), np.array([[3.0, 4], [1.0, 0]])
    >>> of_regions, of_words = low_rank_bases(regions, words, 1)
    >>> abs(of_regions.ravel().round(3)).tolist(), abs(of_words.ravel().round(3)).tolist()
    ([1.0, 0.0], [1.0, 0.0])
    """
    mean_regions, mean_words = (
        each.T.astype(np.float64) @ each / len(each) for each in (regions, words)
    )
    root, inverse = _roots(mean_regions)
    _, eigenvectors = np.linalg.eigh(root @ mean_words @ root)
    best = eigenvectors[:, ::-1][:, :dim]
    of_regions, of_words = inverse @ best, root @ best
    root, inverse = _roots(of_regions.T @ of_regions)
    return (of_regions @ inverse).astype(np.float32), (of_words @ root).astype(np.float32)


def _roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The square root of a symmetric positive semidefinite matrix, and the root's pseudoinverse."""
    values, vectors = np.linalg.eigh(matrix)
    extent = values > 1e-9 * values.max()
    roots, vectors = np.sqrt(values[extent]), vectors[:, extent]
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
