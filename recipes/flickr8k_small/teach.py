"""Ask the two teachers about every training photo, once, and write what they say to a folder.

    python recipes/flickr8k_small/teach.py DATA STORE

DATA holds ``flickr8k``, ``coco/unlabelled``, ``voc``, ``imagenet_samples`` and ``teachers`` (see the README beside this
file). STORE receives the layout that `regiontalk.training.teacher_store` reads:

    photos.npy          (N, 256, 256, 3) uint8   every photo, squashed to a square
    names.json          N names; the row order of everything else
    boxes.json          N lists of [x1, y1, x2, y2] in 0..1 of the photo's width and height
    labels.json         N lists with the class of each of these boxes, or null where the detector was not sure of it
    crops.npy           (N, K, 4) float32        the K views' crops, in 0..1; view 0 is the whole photo
    view_00.npy ...     (N, 7, 7, 1280) uint8    the teacher's map of each view, times `map_scale`
    view_00_stage_0.npy ...  (N, s, s, C) uint8  what its stages pass on, from the finest to the coarsest
    stages.json                                  [scale, zero point] of each stage's bytes
    classifier.safetensors                       the teacher's last layer: weight (1001, 1280), bias (1001), map_scale

Flickr8k's dev and test photos, COCO's captioned photos and every sixth VOC photo (kept for measuring) never enter.
Needs ``ai-edge-litert`` beside the ``train`` extra; the teachers are used here and nowhere else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from regiontalk.data import BoxedPhoto, read_voc
from regiontalk.vision.boxes import iou, nms

PHOTO_SIZE = 256  # pixels; of the store's photos: what most of them have
SIZE = 224  # pixels; the teacher's input
DETECTOR_SIZE = 416
VOC_HELD_OUT_EVERY = 6
MIN_CROP_AREA = 0.3
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
MAP_TENSOR, CLASSIFIER_WEIGHT, CLASSIFIER_BIAS, LOGITS = 168, 170, 2, 171
STAGE_TENSORS = {73: (56, 24), 93: (28, 32), 120: (14, 64), 140: (14, 96), 160: (7, 160)}  # cells a side, channels


def training_photos(data: Path) -> list[Path]:
    """Every photo that may be trained on, in a fixed order."""
    held_out = {line for split in ("dev", "test") for line in (data / f"flickr8k/{split}.txt").read_text().split()}
    flickr = [path for path in sorted((data / "flickr8k/images").glob("*.jpg")) if path.name not in held_out]
    voc = [path for i, path in enumerate(sorted((data / "voc/images").glob("*.jpg"))) if i % VOC_HELD_OUT_EVERY]
    coco = sorted((data / "coco/unlabelled").glob("*.jpg"))
    return flickr + coco + voc + sorted((data / "imagenet_samples").glob("*.jpg"))


def draw_crops(photos: int, views: int, seed: int) -> np.ndarray:
    """Random crops of 30 to 100 % of the area, aspects 3:4 to 4:3; each photo's first is all of it.  # (N, K, 4)"""
    rng = np.random.default_rng(seed)
    area = rng.uniform(MIN_CROP_AREA, 1.0, (photos, views))
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), (photos, views)))
    width, height = np.minimum(np.sqrt(area * aspect), 1), np.minimum(np.sqrt(area / aspect), 1)
    left, top = rng.random((photos, views)) * (1 - width), rng.random((photos, views)) * (1 - height)
    crops = np.stack([left, top, left + width, top + height], axis=-1).astype(np.float32)
    crops[:, 0] = (0, 0, 1, 1)
    return crops


def read_photo(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def open_teacher(path: str):
    from ai_edge_litert.interpreter import Interpreter

    teacher = Interpreter(path, num_threads=1, experimental_preserve_all_tensors=True)
    teacher.allocate_tensors()
    return teacher


def dequantise(teacher, tensor: int) -> np.ndarray:
    details = next(d for d in teacher.get_tensor_details() if d["index"] == tensor)
    scale, zero = details["quantization"]
    return (scale * (teacher.get_tensor(tensor).astype(np.float32) - zero)).squeeze()


def save_classifier(teacher_path: str, store: Path) -> None:
    """The teacher's last layer turns a pooled map into class scores: one of the losses compares those."""
    teacher = open_teacher(teacher_path)
    scale = next(d for d in teacher.get_tensor_details() if d["index"] == MAP_TENSOR)["quantization"][0]
    weight, bias = dequantise(teacher, CLASSIFIER_WEIGHT), dequantise(teacher, CLASSIFIER_BIAS)
    photo = np.load(store / "photos.npy", mmap_mode="r")[0]
    teacher.set_tensor(0, view_of(photo, (0, 0, 1, 1))[None])
    teacher.invoke()
    pooled = teacher.get_tensor(MAP_TENSOR).astype(np.float32).mean((0, 1, 2)) * scale
    difference = np.abs(weight @ pooled + bias - dequantise(teacher, LOGITS)).max()
    if difference > 1.0:
        raise SystemExit(f"{teacher_path}: its last layer gives class scores {difference:.2f} off; another file?")
    save_file({"weight": weight, "bias": bias, "map_scale": np.float32([scale])}, store / "classifier.safetensors")


def save_stage_scales(teacher_path: str, store: Path) -> None:
    details = {each["index"]: each for each in open_teacher(teacher_path).get_tensor_details()}
    scales = [[float(scale), int(zero)] for scale, zero in (details[t]["quantization"] for t in STAGE_TENSORS)]
    (store / "stages.json").write_text(json.dumps(scales))


def view_files(store: Path, view: int) -> dict[int, tuple[Path, tuple[int, int]]]:
    """Teacher tensor → where it is kept for a view, and its cells a side and channels."""
    stages = {
        tensor: (store / f"view_{view:02d}_stage_{stage}.npy", shape)
        for stage, (tensor, shape) in enumerate(STAGE_TENSORS.items())
    }
    return {**stages, MAP_TENSOR: (store / f"view_{view:02d}.npy", (7, 1280))}


def part_of(file: Path) -> Path:
    return file.with_name(file.name + ".part")


def make_empty(file: Path, shape: tuple[int, ...]) -> None:
    with file.open("wb") as opened:
        np.lib.format.write_array_header_2_0(opened, {"descr": "|u1", "fortran_order": False, "shape": shape})
        opened.truncate(opened.tell() + int(np.prod(shape)))


def view_of(photo: np.ndarray, crop: Sequence[float]) -> np.ndarray:
    """A crop, in 0..1, of a stored photo as the teacher sees it.  # (SIZE, SIZE, 3)"""
    box = tuple(float(edge) * PHOTO_SIZE for edge in crop)
    return np.asarray(Image.fromarray(photo).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def teach_rows(rows: range, view: int, store: Path, teacher_path: str) -> None:
    """Write what the teacher says about one view of some rows."""
    photos, crops = np.load(store / "photos.npy", mmap_mode="r"), np.load(store / "crops.npy")
    written = {t: np.load(part_of(file), mmap_mode="r+") for t, (file, _) in view_files(store, view).items()}
    teacher = open_teacher(teacher_path)
    for row in rows:
        teacher.set_tensor(0, view_of(photos[row], crops[row, view])[None])
        teacher.invoke()
        for tensor, maps in written.items():
            maps[row] = teacher.get_tensor(tensor)[0]
    for maps in written.values():
        maps.flush()


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


def require_same(store: Path, names: list[str], views: int) -> None:
    """A store that was begun goes on only with the same photos and views."""
    begun, crops = json.loads((store / "names.json").read_text()), np.load(store / "crops.npy")
    if begun != names or crops.shape[1] != views:
        raise SystemExit(
            f"{store}: begun with {len(begun)} photos in {crops.shape[1]} views, these are {len(names)} in {views} or "
            "others; give it the same ones, or another folder"
        )


def split_rows(rows: int, parts: int) -> list[range]:
    return [range(part, rows, parts) for part in range(parts)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    store, data, processes = args.store, args.data, args.processes
    store.mkdir(parents=True, exist_ok=True)
    paths = training_photos(data)
    teacher = str(data / "teachers/mobilenet_v2_1.0_224_quant.tflite")
    detector = str(data / "teachers/yolox_nano.onnx")

    with ProcessPoolExecutor(processes) as pool:
        names = [f"{path.parent.name}/{path.name}" for path in paths]
        if (store / "names.json").exists():
            require_same(store, names, args.views)
        else:
            photos = np.stack(list(pool.map(partial(read_photo, size=PHOTO_SIZE), paths, chunksize=64)))
            np.save(store / "photos.npy", photos)
            np.save(store / "crops.npy", draw_crops(len(paths), args.views, args.seed))
            save_classifier(teacher, store)
            save_stage_scales(teacher, store)
            (store / "names.json").write_text(json.dumps(names))
            print(f"{len(paths)} photos", flush=True)
        if not (store / "labels.json").exists():
            parts = split_rows(len(paths), processes)
            found = list(pool.map(partial(detect_rows, store=store, detector_path=detector), parts))
            truth = voc_boxes(data)
            detected = {
                row: boxes
                for part, rows in zip(parts, found, strict=True)
                for row, boxes in zip(part, rows, strict=True)
            }
            merged = [merge_boxes(truth.get(path), detected[row]) for row, path in enumerate(paths)]
            (store / "boxes.json").write_text(json.dumps([boxes for boxes, _ in merged]))
            (store / "labels.json").write_text(json.dumps([labels for _, labels in merged]))
            print(f"{sum(len(labels) for _, labels in merged)} boxes", flush=True)
        for view in range(args.views):
            files = view_files(store, view)
            if all(file.exists() for file, _ in files.values()):
                continue
            for file, (side, channels) in files.values():
                make_empty(part_of(file), (len(paths), side, side, channels))
            rows = split_rows(len(paths), processes)
            list(pool.map(partial(teach_rows, view=view, store=store, teacher_path=teacher), rows))
            for file, _ in files.values():
                part_of(file).rename(file)
            print(f"view {view + 1} of {args.views}", flush=True)


if __name__ == "__main__":
    main()
