"""How well fingerprints tell copies of a photo from other photos.

The numbers of docs/pack_format.md.

    python benchmarks/fingerprints.py data/flickr8k/images data/coco data/voc data/imagenet_samples

Some photos, drawn with a seed, are changed in several ways; and all photos are compared with one
another. Close pairs are named: they may be copies in the data.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from measuring import at_least_one, print_table
from PIL import Image, ImageEnhance, ImageOps

from regiontalk.fingerprints import NEAR, fingerprint, fingerprint_files
from regiontalk.photos import open_photo
from regiontalk.photos.folders import find_photos

ROWS = 500
"""Photos compared with all others at a time."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", help="photos, and folders that are searched for them")
    parser.add_argument(
        "--changed", type=at_least_one, default=400, help="photos to change (default: 400)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of their choice (default: 0)")
    options = parser.parse_args()
    files = find_photos(options.photos)
    known = fingerprint_files(files)  # (N, 16)
    chosen = np.random.default_rng(options.seed).permutation(len(files))[: options.changed]
    print_copies([files[row] for row in chosen])
    print_pairs(files, known)


def print_copies(files: list[Path]) -> None:
    """How many bits each change costs."""
    apart: dict[str, list[int]] = {name: [] for name in CHANGES}
    for file in files:
        photo = open_photo(file).image
        own = fingerprint(photo)
        for name, change in CHANGES.items():
            apart[name].append(bits(own, fingerprint(change(photo))))
    rows = []
    for name, each in apart.items():
        numbers = f"{np.mean(each):.1f}", f"{np.quantile(each, 0.99):.0f}", str(max(each))
        rows.append([name, *numbers, f"{np.mean(np.array(each) <= NEAR):.1%}"])
    print_table(
        f"{len(files)} photos against", ["", "bits apart, mean", "99 %", "most", "recognised"], rows
    )


def print_pairs(files: list[Path], known: np.ndarray) -> None:
    """How many bits different photos are apart: the closest pairs."""
    counts, close = np.zeros(129, np.int64), []
    for start in range(0, len(files), ROWS):
        apart = bits_of_all(known[start : start + ROWS], known)
        later = np.arange(len(files))[None] > np.arange(start, start + len(apart))[:, None]
        counts += np.bincount(apart[later], minlength=129)
        close += [(start + a, b) for a, b in np.argwhere((apart <= NEAR) & later).tolist()]
    table = [[str(apart), f"{count:,}"] for apart, count in enumerate(counts.tolist()) if count][
        :10
    ]
    print_table(
        f"{counts.sum():,} pairs of {len(files):,} photos",
        ["bits apart, the fewest", "pairs"],
        table,
    )
    for a, b in close:
        print(f"{bits(known[a], known[b])} bits: {files[a]} and {files[b]}")


def bits(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def bits_of_all(some: np.ndarray, all_of_them: np.ndarray) -> np.ndarray:
    """(n, 16), (N, 16) -> (n, N)."""
    left, right = (each.view(np.uint64) for each in (some, all_of_them))
    return sum(
        np.bitwise_count(left[:, None, half] ^ right[None, :, half]).astype(np.int64)
        for half in (0, 1)
    )


def jpeg(photo: Image.Image, quality: int) -> Image.Image:
    """Compressed and read again."""
    stream = BytesIO()
    photo.save(stream, "JPEG", quality=quality)
    return open_photo(stream.getvalue()).image


def scaled(photo: Image.Image, factor: float) -> Image.Image:
    return photo.resize((max(1, round(photo.width * factor)), max(1, round(photo.height * factor))))


def cropped(photo: Image.Image, share: float) -> Image.Image:
    """A share of width and height cut off at each edge."""
    across, down = round(photo.width * share), round(photo.height * share)
    return photo.crop((across, down, photo.width - across, photo.height - down))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "squashed to 224 x 224, JPEG quality 90": lambda photo: jpeg(photo.resize((224, 224)), 90),
    "squashed to 64 x 64, JPEG quality 75": lambda photo: jpeg(photo.resize((64, 64)), 75),
    "four times enlarged, JPEG quality 75": lambda photo: jpeg(scaled(photo, 4), 75),
    "halved, JPEG quality 30": lambda photo: jpeg(scaled(photo, 0.5), 30),
    "JPEG quality 10": lambda photo: jpeg(photo, 10),
    "grey": ImageOps.grayscale,
    "less contrast (0.7)": lambda photo: ImageEnhance.Contrast(photo).enhance(0.7),
    "brighter (1.3)": lambda photo: ImageEnhance.Brightness(photo).enhance(1.3),
    "1 % cut off at each edge": lambda photo: cropped(photo, 0.01),
    "2 % cut off at each edge": lambda photo: cropped(photo, 0.02),
    "5 % cut off at each edge": lambda photo: cropped(photo, 0.05),
    "mirrored": ImageOps.mirror,
}


if __name__ == "__main__":
    main()
