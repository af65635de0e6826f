"""Photos per second of `Model.look`, against two other ways to the same regions:

(a) the paper's: the backbone runs once for each of 20 crops of a photo, here through the same graph
at the same size; (b) eager PyTorch: the pack's own weights, in float32, in
`regiontalk.training.vision_net`, then the same NumPy as
    `look`.

    python benchmarks/vision.py
    python benchmarks/vision.py --pack FOLDER --copies 4

All three open the photos, too. (b) needs PyTorch and a pack whose backbone is an EfficientNet-Lite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from measuring import (
    arguments,
    at_least_one,
    median_seconds,
    print_table,
    ratio_rows,
    sample_photos,
)

import regiontalk
from regiontalk.photos import Photo, open_photo, prepare
from regiontalk.structures import Regions
from regiontalk.vision.session import BATCH, OUTPUTS, VisionSession, available_cpus

CROPS = 20
GOALS = {"a pass for each of 20 crops": 5.0, "eager PyTorch": 1.5}


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--copies",
        type=at_least_one,
        default=4,
        help="each sample photo so many times (default: 4)",
    )
    parser.add_argument(
        "--threads",
        type=at_least_one,
        default=available_cpus(),
        help="default: all this process has",
    )
    options = parser.parse_args()

    model = regiontalk.load(options.pack, options.threads)
    files = sample_photos() * options.copies
    session = VisionSession(
        model.pack.vision_onnx, model.pack.arrays["projection"], _settings(model), options.threads
    )
    size = _settings(model).size
    boxes = [_twenty_boxes(regions) for regions in model.look(files)]

    competitors: dict[str, Callable[[], object]] = {
        "look": lambda: model.look(files),
        "a pass for each of 20 crops": lambda: [
            look_at_crops(session, open_photo(file), each, size)
            for file, each in zip(files, boxes, strict=True)
        ],
    }
    eager = _eager_session(model, options.threads)
    if eager is not None:
        _check_same(session, eager, [open_photo(file) for file in sample_photos()])
        competitors["eager PyTorch"] = lambda: [
            eager.look([open_photo(file, min_side=size) for file in files[start : start + BATCH]])
            for start in range(0, len(files), BATCH)
        ]
    seconds = median_seconds(competitors, options.repeats)
    print_table(
        f"{len(files)} photos, pack {model.pack.settings.name}, {options.threads} threads, "
        f"median of {options.repeats}",
        ["", "photos/s", "look is faster by", "goal"],
        ratio_rows(seconds, len(files), GOALS),
    )


def look_at_crops(session: VisionSession, photo: Photo, boxes: np.ndarray, size: int) -> np.ndarray:
    """The paper's way: the whole network on every box (M, 4), cropped -> features (M, D)."""
    crops = [prepare(photo.image.crop(tuple(box)), size) for box in boxes]
    maps = [session.run(np.stack(crops[at : at + BATCH]))[0] for at in range(0, len(crops), BATCH)]
    features: np.ndarray = np.concatenate(maps).mean(axis=1)  # (M, C, D) -> (M, D)
    return features


def _twenty_boxes(regions: Regions) -> np.ndarray:
    """(20, 4) int: a photo's regions, repeated where it has fewer, none empty."""
    boxes = np.resize(regions.boxes_xyxy, (CROPS, 4)).round().astype(int)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return boxes


def _settings(model: regiontalk.Model) -> Any:
    return model.pack.settings.vision


def _eager_session(model: regiontalk.Model, threads: int) -> VisionSession | None:
    """The same session with PyTorch under it, or None where that cannot be had, which is said."""
    try:
        from eager import EagerSession, network_of
    except ModuleNotFoundError as error:
        print(
            f"Without eager PyTorch: {error.name} is not installed (pip install "
            "'regiontalk[train]')."
        )
        return None
    try:
        network = network_of(model.pack.vision_onnx)
    except ValueError as error:
        print(f"Without eager PyTorch: {error}.")
        return None
    return EagerSession(
        model.pack.vision_onnx, model.pack.arrays["projection"], _settings(model), network, threads
    )


def _check_same(session: VisionSession, eager: VisionSession, photos: list[Photo]) -> None:
    """Both must compute the same thing, up to the rounding of int8, or their times say nothing."""
    pixels = np.stack([prepare(photo.image, session.settings.size) for photo in photos])
    for name, ours, theirs in zip(OUTPUTS, session.run(pixels), eager.run(pixels), strict=True):
        apart = np.abs(ours - theirs)
        share = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
        print(
            f"{name}: the int8 graph and eager PyTorch in float32 differ by at most "
            f"{apart.max():.3f} of {theirs.max():.3f}, {apart.mean():.4f} on average; "
            f"{100 * share:.1f} % of the norm."
        )
        if share > 0.2:
            raise SystemExit("They do not compute the same thing: nothing was measured.")


if __name__ == "__main__":
    main()
