"""Gather every training photo, ask a detector what stands where on it, and convert the teacher to PyTorch.

    python recipes/flickr8k_small/teach.py DATA STORE

DATA holds ``flickr8k``, ``coco/unlabelled``, ``voc``, ``imagenet_samples`` and ``teachers`` (see the README beside this
file). STORE receives the layout that `regiontalk.training.teacher_store` reads:

    photos.npy           (N, 256, 256, 3) uint8   every photo, squashed to a square
    names.json           N names; the row order of everything else
    boxes.json           N lists of [x1, y1, x2, y2] in 0..1 of the photo's width and height
    labels.json          N lists with the class of each of these boxes, or null where the detector was not sure of it
    teacher.safetensors  the weights of `regiontalk.training.teacher_net.TeacherNet`

Each is written beside its name and renamed; the same command again makes those that are missing. Flickr8k's dev and
test photos, COCO's captioned photos and every sixth VOC photo (kept for measuring) never enter. Needs
``ai-edge-litert`` beside the ``train`` extra; the detector is used here and nowhere else.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from regiontalk.data import BoxedPhoto, read_voc
from regiontalk.training.checkpoint import save_tensors
from regiontalk.training.teacher_net import TeacherNet
from regiontalk.training.vision_net import scale_pixels
from regiontalk.vision.boxes import iou, nms

PHOTO_SIZE = 256  # pixels; of the store's photos: what most of them have
SIZE = 224  # pixels; the teacher's input
DETECTOR_SIZE = 416
VOC_HELD_OUT_EVERY = 6
BOX_FROM, LABEL_FROM = 0.25, 0.4  # the detector's score from which a box is kept, and from which its class is
CLASSES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag,
tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard,
tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote,
keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""  # COCO's, in the order of the detector's outputs
LAYER = re.compile(r"MobilenetV2/(Conv\w*|Logits/\w+|expanded_conv\w*/\w+)")  # that a tensor of the teacher belongs to
LOGITS = "MobilenetV2/Logits/Squeeze1"
LEAST_AGREEMENT = 0.97  # a correlation; 0.99 and more on 100 photos, 0.9 where the wrong end of the maps was padded


def training_photos(data: Path) -> list[Path]:
    """Every photo that may be trained on, in a fixed order."""
    held_out = {line for split in ("dev", "test") for line in (data / f"flickr8k/{split}.txt").read_text().split()}
    flickr = [path for path in sorted((data / "flickr8k/images").glob("*.jpg")) if path.name not in held_out]
    voc = [path for i, path in enumerate(sorted((data / "voc/images").glob("*.jpg"))) if i % VOC_HELD_OUT_EVERY]
    coco = sorted((data / "coco/unlabelled").glob("*.jpg"))
    return flickr + coco + voc + sorted((data / "imagenet_samples").glob("*.jpg"))


def read_photo(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def part_of(file: Path) -> Path:
    """Where a file is written, until it is whole."""
    return file.with_name(file.name + ".part")


def save_photos(photos: Iterable[np.ndarray], count: int, file: Path) -> None:
    shape = (count, PHOTO_SIZE, PHOTO_SIZE, 3)
    written = np.lib.format.open_memmap(part_of(file), mode="w+", dtype=np.uint8, shape=shape)
    for row, photo in enumerate(photos):
        written[row] = photo
    written.flush()
    part_of(file).replace(file)


def save_json(value: Any, file: Path) -> None:
    part_of(file).write_text(json.dumps(value))
    part_of(file).replace(file)


class QuantisedTeacher:
    """The teacher as it was published, in bytes: every tensor has a scale and a zero point."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.path = path
        self.interpreter = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
        self.interpreter.allocate_tensors()
        self.tensors = {each["name"]: each for each in self.interpreter.get_tensor_details()}

    def read(self, name: str) -> np.ndarray:
        """A tensor as float32."""
        scale, zero = self.tensors[name]["quantization"]
        return np.float32(scale) * (self.interpreter.get_tensor(self.tensors[name]["index"]).astype(np.float32) - zero)

    def named(self, part: str, axes: int) -> dict[str, np.ndarray]:
        """Layer → its tensor of so many axes whose name ends with `part`, in the order of the tensors."""
        names = [n for n, each in self.tensors.items() if n.endswith(part) and len(each["shape"]) == axes]
        return {found[1]: self.read(name) for name in names if (found := LAYER.match(name))}

    def convolutions(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights (outputs, inputs of a group, h, w) and biases, in the order in which they are applied.

        The interpreter does not publish which tensors a layer reads: weights stand in the order of the layers, and
        names say which bias goes with which.
        """
        weights, biases = self.named("FakeQuantWithMinMaxVars", 4), self.named("bias", 1) | self.named("biases", 1)
        depthwise = {layer for layer in weights if layer.endswith("/depthwise")}  # (1, h, w, C); others (O, h, w, I)
        axes = {layer: (3, 0, 1, 2) if layer in depthwise else (0, 3, 1, 2) for layer in weights}
        none = np.zeros(0, np.float32)
        return [(weight.transpose(axes[layer]), biases.get(layer, none)) for layer, weight in weights.items()]

    def class_scores(self, photo: np.ndarray) -> np.ndarray:
        """Scores of the classes before they become probabilities, for (SIZE, SIZE, 3) uint8.  # (1001,)"""
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], photo[None])
        self.interpreter.invoke()
        return self.read(LOGITS)[0]


def convert_teacher(quantised: QuantisedTeacher, photo: np.ndarray) -> TeacherNet:
    """The same network in PyTorch; both must say much the same about a photo (H, W, 3)."""
    teacher = TeacherNet()
    own = [layer for layer in teacher.modules() if isinstance(layer, nn.Conv2d)]
    given = quantised.convolutions()
    expected = [(layer.weight.shape, layer.bias.shape) for layer in own]
    if [(weight.shape, bias.shape) for weight, bias in given] != expected:
        raise SystemExit(f"{quantised.path}: its layers are not MobileNetV2 1.0's; another file?")
    for layer, (weight, bias) in zip(own, given, strict=True):
        layer.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    agreement = score_agreement(teacher, quantised, photo)
    if not agreement >= LEAST_AGREEMENT:
        raise SystemExit(
            f"{quantised.path}: its class scores correlate by {agreement:.2f} with those of its conversion, at least "
            f"{LEAST_AGREEMENT} expected; another file, or another version of ai-edge-litert?"
        )
    return teacher


def score_agreement(teacher: TeacherNet, quantised: QuantisedTeacher, photo: np.ndarray) -> float:
    """Correlation of the class scores that two versions of the teacher give a photo."""
    seen = np.array(Image.fromarray(photo).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    *_, last = teacher.chain(scale_pixels(torch.from_numpy(seen[None])))
    own = teacher.class_scores(last.mean((2, 3)))[0].numpy()
    return float(np.corrcoef(own, quantised.class_scores(seen))[0, 1])


Labelled = tuple[np.ndarray, list[str | None]]
"""Boxes (n, 4) in 0..1 and what each shows."""


def detect_rows(rows: range, store: Path, detector_path: str) -> list[Labelled]:
    """YOLOX's boxes for some rows, suppressed at IoU 0.5 regardless of class."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    detector = onnxruntime.InferenceSession(detector_path, options, providers=["CPUExecutionProvider"])
    name, photos = detector.get_inputs()[0].name, np.load(store / "photos.npy", mmap_mode="r")
    cells = [(x, y, s) for s in (8, 16, 32) for y in range(DETECTOR_SIZE // s) for x in range(DETECTOR_SIZE // s)]
    grid, stride = np.float32(cells)[:, :2], np.float32(cells)[:, 2:]
    classes = [name.strip() for name in CLASSES.split(",")]
    found = []
    for row in rows:
        pixels = Image.fromarray(photos[row]).resize((DETECTOR_SIZE,) * 2, Image.Resampling.BILINEAR)
        bgr = np.asarray(pixels, dtype=np.float32)[:, :, ::-1].transpose(2, 0, 1)[None]
        output = detector.run(None, {name: np.ascontiguousarray(bgr)})[0][0]
        scores = output[:, 4] * output[:, 5:].max(1)
        good = scores >= BOX_FROM
        centre = (output[good, :2] + grid[good]) * stride[good]
        half = np.exp(output[good, 2:4]) * stride[good] / 2
        boxes = (np.concatenate([centre - half, centre + half], 1) / DETECTOR_SIZE).clip(0, 1)
        kept = nms(boxes, scores[good], 0.5)
        best = zip(scores[good][kept], output[good, 5:].argmax(1)[kept], strict=True)
        found.append((boxes[kept], [classes[c] if score >= LABEL_FROM else None for score, c in best]))
    return found


def voc_boxes(data: Path) -> dict[Path, Labelled]:
    return {photo.file: labelled(photo) for photo in read_voc(data / "voc").photos}


def labelled(photo: BoxedPhoto) -> Labelled:
    size = np.array([photo.width, photo.height] * 2)
    return (photo.boxes_xyxy / size).clip(0, 1), [texts[0] for texts in photo.texts]


def merge_boxes(truth: Labelled | None, detected: Labelled) -> tuple[list[list[float]], list[str | None]]:
    """Ground truth where there is some, and detections that it does not already hold."""
    boxes, labels = detected
    if truth is not None:
        new = np.flatnonzero(iou(boxes, truth[0]).max(1, initial=0) < 0.5)
        boxes, labels = np.concatenate([truth[0], boxes[new]]), [*truth[1], *(labels[row] for row in new)]
    return np.round(boxes.astype(float), 4).tolist(), labels


def require_same(store: Path, names: list[str]) -> None:
    """A store that was begun goes on only with the same photos."""
    begun = json.loads((store / "names.json").read_text())
    if begun != names:
        raise SystemExit(
            f"{store}: begun with {len(begun)} photos, these are {len(names)} or others; give it the same ones, or "
            "another folder"
        )


def split_rows(rows: int, parts: int) -> list[range]:
    return [range(part, rows, parts) for part in range(parts)]


def detect(paths: list[Path], data: Path, store: Path, pool: ProcessPoolExecutor, processes: int) -> None:
    """Write what stands where on the photos: boxes.json, then labels.json."""
    detector = str(data / "teachers/yolox_nano.onnx")
    parts = split_rows(len(paths), processes)
    found = list(pool.map(partial(detect_rows, store=store, detector_path=detector), parts))
    truth = voc_boxes(data)
    detected = {
        row: boxes for part, rows in zip(parts, found, strict=True) for row, boxes in zip(part, rows, strict=True)
    }
    merged = [merge_boxes(truth.get(path), detected[row]) for row, path in enumerate(paths)]
    save_json([boxes for boxes, _ in merged], store / "boxes.json")
    save_json([labels for _, labels in merged], store / "labels.json")
    print(f"{sum(len(labels) for _, labels in merged)} boxes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    store, data = args.store, args.data
    store.mkdir(parents=True, exist_ok=True)
    paths = training_photos(data)
    names = [f"{path.parent.name}/{path.name}" for path in paths]
    with ProcessPoolExecutor(args.processes) as pool:
        if (store / "names.json").exists():
            require_same(store, names)
        else:
            photos = pool.map(partial(read_photo, size=PHOTO_SIZE), paths, chunksize=64)
            save_photos(photos, len(paths), store / "photos.npy")
            save_json(names, store / "names.json")
            print(f"{len(paths)} photos", flush=True)
        if not (store / "labels.json").exists():
            detect(paths, data, store, pool, args.processes)
    if not (store / "teacher.safetensors").exists():
        quantised = QuantisedTeacher(data / "teachers/mobilenet_v2_1.0_224_quant.tflite")
        photo = np.load(store / "photos.npy", mmap_mode="r")[0]
        save_tensors(convert_teacher(quantised, photo), store / "teacher.safetensors")
        print("the teacher's weights", flush=True)


if __name__ == "__main__":
    main()
