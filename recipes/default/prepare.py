"""Gather every training photo and say what stands where on it.

The result is `boxes.jsonl`, which `regiontalk train` reads.

    python recipes/default/prepare.py DATA OUTPUT

DATA holds ``flickr8k``, ``coco``, ``coco_captions``, ``voc``, ``imagenet_samples`` and ``teachers``
(see the README beside this file). OUTPUT receives files, each written beside its name and renamed,
and links to their photos:

    boxes.jsonl       a line a photo, {"file_name", "boxes": [{"box": [x1, y1, x2, y2],
                      "names": [...]}]}, boxes in 0..1 of the photo's sides, names relative to
                      OUTPUT; a box without names is a thing of unknown class
    coco.json, voc.json, imagenet.json
                      machine-captioned photos, {"file_name", "captions", "split"}; the photo's
                      things in a row are a caption too
    sentences/        the same without these rows, which are no sentences

Names come from Pascal VOC's annotation, from a detector (YOLOX-nano, COCO's classes), and, where it
is sure, from the pretrained backbone's own ImageNet classes with their hypernyms. Nothing of a dev
or test split enters: neither Flickr8k's, nor COCO's, nor every sixth VOC photo, nor every third
ImageNet sample with its class's name.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypernyms import hypernyms
from PIL import Image

from regiontalk.data import read_dataset, read_voc
from regiontalk.training.backbones.efficientnet_lite import pretrained_classifier
from regiontalk.vision.boxes import iou, nms

DETECTOR_SIZE, CROP_SIZE = 416, 224
VOC_HELD_OUT_EVERY, IMAGENET_HELD_OUT_EVERY = 6, 3
BOX_FROM, LABEL_FROM, CLASS_FROM = 0.25, 0.4, 0.6
"""The detector's score from which a box is kept, and from which its class is; the probability of an
ImageNet class."""
CROPS, SMALLEST_CROP = 5, 0.03
"""Boxes of a photo whose ImageNet class is asked for, the largest first, and the share of the photo
they have at least. The whole photo is asked for, too."""
CLASSES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""  # COCO's, in the order of the detector's outputs
CHUNK = 64
MACHINE_CAPTIONED = (
    ("coco", "coco/unlabelled.json", "coco/unlabelled"),
    ("voc", "voc/machine.json", "voc/images"),
    ("imagenet", "imagenet_samples.json", "imagenet_samples"),
)
"""Names, lists of captions, and folders of their photos."""
WHOLE = (0.0, 0.0, 1.0, 1.0)

Labelled = tuple[np.ndarray, list[list[str]]]
"""Boxes (n, 4) in 0..1 and the names of what each shows."""


def training_photos(data: Path) -> list[Path]:
    """Every photo that may be trained on, in a fixed order."""
    held_out = {
        line
        for split in ("dev", "test")
        for line in (data / f"flickr8k/{split}.txt").read_text().split()
    }
    coco_held_out = {
        p.file.name
        for split in ("dev", "test")
        for p in read_dataset(data / "coco_captions", split).photos
    }
    flickr = [
        path
        for path in sorted((data / "flickr8k/images").glob("*.jpg"))
        if path.name not in held_out
    ]
    coco = {path.name: path for path in sorted((data / "coco/unlabelled").glob("*.jpg"))}
    coco |= {
        photo.file.name: photo.file
        for photo in read_dataset(data / "coco_captions", "train").photos
    }
    voc = [
        path
        for i, path in enumerate(sorted((data / "voc/images").glob("*.jpg")))
        if i % VOC_HELD_OUT_EVERY
    ]
    imagenet = [
        path for i, path in enumerate(imagenet_samples(data)) if i % IMAGENET_HELD_OUT_EVERY
    ]
    return [
        *flickr,
        *(path for name, path in coco.items() if name not in coco_held_out),
        *voc,
        *imagenet,
    ]


def imagenet_samples(data: Path) -> list[Path]:
    """One photo of each class, in the usual order of the classes.

    That is by their WordNet ids, with which the names begin.
    """
    return sorted((data / "imagenet_samples").glob("*.jpg"))


def class_name(sample: Path) -> str:
    """n01443537_goldfish.jpg → goldfish"""
    return sample.stem.split("_", 1)[1].replace("_", " ").lower()


def detect(paths: list[Path], detector_path: str) -> list[Labelled]:
    """YOLOX's boxes on some photos, suppressed at IoU 0.5 regardless of class."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    detector = onnxruntime.InferenceSession(
        detector_path, options, providers=["CPUExecutionProvider"]
    )
    name, classes = detector.get_inputs()[0].name, [name.strip() for name in CLASSES.split(",")]
    cells = [
        (x, y, s)
        for s in (8, 16, 32)
        for y in range(DETECTOR_SIZE // s)
        for x in range(DETECTOR_SIZE // s)
    ]
    grid, stride = np.float32(cells)[:, :2], np.float32(cells)[:, 2:]
    found = []
    for path in paths:
        bgr = (
            read_photo(path, DETECTOR_SIZE).astype(np.float32)[:, :, ::-1].transpose(2, 0, 1)[None]
        )
        output = detector.run(None, {name: np.ascontiguousarray(bgr)})[0][0]
        scores = output[:, 4] * output[:, 5:].max(1)
        good = scores >= BOX_FROM
        centre = (output[good, :2] + grid[good]) * stride[good]
        half = np.exp(output[good, 2:4]) * stride[good] / 2
        boxes = (np.concatenate([centre - half, centre + half], 1) / DETECTOR_SIZE).clip(0, 1)
        kept = nms(boxes, scores[good], 0.5)
        best = zip(scores[good][kept], output[good, 5:].argmax(1)[kept], strict=True)
        found.append(
            (boxes[kept], [[classes[c]] if score >= LABEL_FROM else [] for score, c in best])
        )
    return found


def read_photo(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def voc_boxes(data: Path) -> dict[Path, Labelled]:
    """Pascal VOC's own boxes."""
    return {
        photo.file: (
            photo.boxes_xyxy / np.array([photo.width, photo.height] * 2),
            [list(texts) for texts in photo.texts],
        )
        for photo in read_voc(data / "voc").photos
    }


def merge_boxes(truth: Labelled | None, detected: Labelled) -> Labelled:
    """Ground truth where there is some, and detections that it does not already hold."""
    boxes, names = detected
    if truth is None:
        return detected
    new = np.flatnonzero(iou(boxes, truth[0]).max(1, initial=0) < 0.5)
    return np.concatenate([truth[0], boxes[new]]), [*truth[1], *(names[row] for row in new)]


class Classifier:
    """The pretrained backbone's own classes, without those whose names are held out."""

    def __init__(self, data: Path) -> None:
        self.network = pretrained_classifier("efficientnet-lite2").to(
            memory_format=torch.channels_last
        )
        names = [class_name(sample) for sample in imagenet_samples(data)]
        self.names = [
            ([] if row % IMAGENET_HELD_OUT_EVERY == 0 else [name]) + hypernyms(row)
            for row, name in enumerate(names)
        ]

    def add_names(self, photos: list[tuple[Path, Labelled]]) -> Iterator[Labelled]:
        """The same boxes with more names, and the whole photo where it has one."""
        asked = [
            (row, box)
            for row, (_, (boxes, _)) in enumerate(photos)
            for box in (-1, *largest(boxes))
        ]
        crops = np.stack([crop(photos[row][0], photos[row][1][0], box) for row, box in asked])
        # The whole photo's last
        found: list[list[list[str]]] = [[*names, []] for _, (_, names) in photos]
        for (row, box), names in zip(asked, self.classify(crops), strict=True):
            found[row][box] = list(dict.fromkeys([*found[row][box], *names]))
        for (_, (boxes, _)), names in zip(photos, found, strict=True):
            whole = names.pop()
            yield (np.concatenate([boxes, [WHOLE]]), [*names, whole]) if whole else (boxes, names)

    @torch.no_grad()
    def classify(self, crops: np.ndarray) -> list[list[str]]:
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = torch.cat([self.network(some) for some in pixels.split(32)]).float()
        best = logits.softmax(1).max(1)
        return [
            self.names[int(row)] if chance >= CLASS_FROM else []
            for chance, row in zip(*best, strict=True)
        ]


def largest(boxes: np.ndarray) -> list[int]:
    """Which boxes are asked for."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return [int(row) for row in np.argsort(-areas)[:CROPS] if areas[row] >= SMALLEST_CROP]


def crop(path: Path, boxes: np.ndarray, box: int) -> np.ndarray:
    with Image.open(path) as photo:
        rgb = photo.convert("RGB")
    corners = np.array(WHOLE if box < 0 else boxes[box]) * (rgb.size * 2)
    return np.asarray(
        rgb.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BILINEAR, box=tuple(corners.tolist()))
    )


def machine_captions(data: Path, output: Path) -> None:
    """Captions that a machine wrote, those of held-out ImageNet samples in the split "test"."""
    held_out = {
        path.name
        for row, path in enumerate(imagenet_samples(data))
        if row % IMAGENET_HELD_OUT_EVERY == 0
    }
    for name, captions, photos in MACHINE_CAPTIONED:
        entries = json.loads((data / captions).read_text(encoding="utf-8"))
        for place, with_things in ((output, True), (output / "sentences", False)):
            lines = [
                {
                    "file_name": each["file_name"],
                    "captions": [
                        *each["captions"],
                        *([", ".join(each["things"])] if with_things else []),
                    ],
                    "split": "test" if each["file_name"] in held_out else "train",
                }
                for each in entries
            ]
            place.mkdir(exist_ok=True)
            # Readers look for the photos in the folder that is named as the file is
            folder = place / name
            if not folder.is_symlink():
                folder.symlink_to((data / photos).resolve(), target_is_directory=True)
            (place / f"{name}.json").write_text(json.dumps(lines), encoding="utf-8")


def write(lines: Iterable[Any], file: Path) -> None:
    beside = file.with_name(file.name + ".part")
    with beside.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    beside.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    data, output = args.data, args.output
    output.mkdir(parents=True, exist_ok=True)
    machine_captions(data, output)
    paths = training_photos(data)
    print(f"{len(paths)} photos", flush=True)
    parts = [paths[k :: args.processes] for k in range(args.processes)]
    with ProcessPoolExecutor(args.processes) as pool:
        found = list(
            pool.map(partial(detect, detector_path=str(data / "teachers/yolox_nano.onnx")), parts)
        )
    detected = {
        path: each
        for part, rows in zip(parts, found, strict=True)
        for path, each in zip(part, rows, strict=True)
    }
    print("detected", flush=True)
    truth, classifier = voc_boxes(data), Classifier(data)
    merged = [(path, merge_boxes(truth.get(path), detected[path])) for path in paths]
    lines = []
    for start in range(0, len(merged), CHUNK):
        some = merged[start : start + CHUNK]
        for (path, _), (boxes, names) in zip(some, classifier.add_names(some), strict=True):
            things = [
                {"box": np.round(b, 4).tolist(), "names": n}
                for b, n in zip(boxes.astype(float), names, strict=True)
            ]
            lines.append({"file_name": os.path.relpath(path, output), "boxes": things})
    write(lines, output / "boxes.jsonl")
    print(f"{sum(len(line['boxes']) for line in lines)} boxes", flush=True)


if __name__ == "__main__":
    main()
