"""Photos to regions: the vision graph through ONNX Runtime, then NumPy.

Axis names: B photos in a batch, S pixels a side, s cells a side, C = s * s cells, K proposals, M
regions, D dimensions of the features, h dimensions of the shared space.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from regiontalk.errors import PackError, memory_errors
from regiontalk.files import read_bytes
from regiontalk.photos import Photo, prepare
from regiontalk.settings import VisionSettings
from regiontalk.structures import Regions
from regiontalk.vision.boxes import WHOLE, area, pick_regions, roi_align
from regiontalk.vision.graph_check import has_external_data

OUTPUTS = ("map", "boxes", "objectness")
"""Outputs of the graph, in the order of `VisionSession.run`."""

MAX_GRAPH_BYTES = 1 << 30
"""Larger graphs are refused."""

BATCH = 8
"""Photos per batch: more is no faster on a CPU and only takes memory."""

_QUOTA_FILES = (
    (Path("/sys/fs/cgroup/cpu.max"),),
    (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")),
)
"""Quota and period of the process's control group in microseconds, versions 2 and 1."""


class VisionSession:
    """Detects and encodes regions (Eq. 1): one forward pass for a photo, however many boxes.

    Args:
        onnx: the vision graph, its bytes or its path. Input `pixels` uint8 (B, S, S, 3), RGB;
            outputs `map` float32 (B, C, D), cells row-major, `boxes` float32 (B, K, 4), xyxy in
            0..1 of the photo, `objectness` float32 (B, K) in 0..1.
        projection: `W_m` (D, h) and `b_m` (h,), float32.
        settings: S, s, D and how proposals become regions.
        threads: for the graph; None for as many as the process may use.
        name: the graph's name in messages.

    Raises:
        PackError: if the graph is damaged, keeps weights in other files, or has other inputs or
            outputs.
    """

    def __init__(
        self,
        onnx: bytes | str | Path,
        projection: Mapping[str, np.ndarray],
        settings: VisionSettings,
        threads: int | None = None,
        name: str = "vision.onnx",
    ) -> None:
        self.settings = settings
        self._weight, self._bias = projection["W_m"], projection["b_m"]
        self._name = name
        graph = onnx if isinstance(onnx, bytes) else read_bytes(onnx, MAX_GRAPH_BYTES, PackError)
        self._session = _open(graph, threads, name)
        _check_signature(self._session, settings, name)

    def look(
        self, photos: Sequence[Photo], boxes: Sequence[np.ndarray] | None = None, extra: int = 0
    ) -> list[Regions]:
        """The regions of each photo, in order.

        Args:
            photos: any number of opened photos; resized to S x S, the aspect ratio not kept.
            boxes: for each photo the boxes to read, (K, 4) xyxy in pixels of the upright original,
                clipped to the photo, with an area inside it. None for the network's proposals.
            extra: the most boxes beyond the settings' proposals, by descending objectness.

        Returns:
            For each photo its `Regions`: boxes in pixels of the upright original, the whole photo
            first. Given boxes follow in their order, all of them, with score 1.

        Raises:
            PackError: if the graph fails or gives values that are not finite.
            ValueError: if `boxes` are not (K, 4) for each photo, not finite, or one has no area
                inside its photo.
        """
        given = None if boxes is None else _in_photos(photos, boxes)
        most = self.settings.proposals + extra
        found: list[Regions] = []
        for start in range(0, len(photos), BATCH):
            batch = photos[start : start + BATCH]
            # pixels: (B, S, S, 3)
            pixels = np.stack([prepare(photo.image, self.settings.size) for photo in batch])
            maps, proposed, objectness = self.run(pixels)
            picked = (
                self._pick(proposed, objectness, most)
                if given is None
                else given[start : start + BATCH]
            )
            found += [
                self._regions(*each, given is None)
                for each in zip(batch, maps, picked, strict=True)
            ]
        return found

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Forward pass: uint8 (B, S, S, 3) -> map (B, C, D), boxes (B, K, 4), objectness (B, K)."""
        try:
            with memory_errors():
                maps, boxes, objectness = self._session.run(OUTPUTS, {"pixels": pixels})
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise _bad_graph(self._name, "a graph that runs", _first_line(error)) from error
        self._check_outputs(len(pixels), maps, boxes, objectness)
        return maps, boxes, objectness

    def _check_outputs(
        self, photos: int, maps: np.ndarray, boxes: np.ndarray, objectness: np.ndarray
    ) -> None:
        """Check shapes and finite values: the shapes that a graph declares need not be true."""
        cells = self.settings.side**2
        right = maps.shape == (photos, cells, self.settings.feature_dim) and objectness.ndim == 2
        if not right or len(objectness) != photos or boxes.shape != (*objectness.shape, 4):
            expected = (
                f"map ({photos}, {cells}, {self.settings.feature_dim}), boxes ({photos}, K, 4), "
                "objectness"
            )
            found = f"map {maps.shape}, boxes {boxes.shape}, objectness {objectness.shape}"
            raise _bad_graph(self._name, f"{expected} ({photos}, K)", found)
        if not all(np.isfinite(array).all() for array in (maps, boxes, objectness)):
            raise _bad_graph(self._name, "finite outputs", "values that are not finite")

    def _pick(self, boxes: np.ndarray, objectness: np.ndarray, most: int) -> list[_Picked]:
        """`pick_regions` for each photo, from boxes (B, K, 4) and objectness (B, K)."""
        s = self.settings
        return [
            pick_regions(*each, most, s.nms_iou, s.min_objectness)
            for each in zip(boxes, objectness, strict=True)
        ]

    def _regions(
        self, photo: Photo, feature_map: np.ndarray, picked: _Picked, proposed: bool
    ) -> Regions:
        boxes, scores = picked  # (M, 4) in 0..1, (M,)
        # An untrusted pack's weights may overflow: checked below
        with np.errstate(over="ignore", invalid="ignore"):
            features = roi_align(boxes, feature_map)  # (M, D)
            vectors = features @ self._weight + self._bias  # (M, h) Eq. 1: v_i = W_m CNN(I_b) + b_m
        if not np.isfinite(vectors).all():
            raise _bad_graph(self._name, "finite region vectors", "values that are not finite")
        return Regions(
            file=photo.file,
            width=photo.width,
            height=photo.height,
            boxes_xyxy=boxes * np.array([photo.width, photo.height] * 2, np.float32),
            scores=scores,
            features=features,
            vectors=vectors,
            extra=max(0, len(boxes) - 1 - self.settings.proposals) if proposed else 0,
        )


_Picked = tuple[np.ndarray, np.ndarray]
"""Boxes (M, 4) xyxy in 0..1 of the photo, the whole photo first, and their scores (M,)."""


def _in_photos(photos: Sequence[Photo], boxes: Sequence[np.ndarray]) -> list[_Picked]:
    """Given boxes, in pixels, in the form of `pick_regions`."""
    if len(photos) != len(boxes):
        raise ValueError(f"{len(photos)} photos need as many arrays of boxes, found {len(boxes)}")
    return [_in_photo(*each) for each in zip(photos, boxes, strict=True)]


def _in_photo(photo: Photo, boxes: np.ndarray) -> _Picked:
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise ValueError(
            f"{photo.file}: boxes must be finite numbers (K, 4), found shape {array.shape}"
        )
    inside = np.clip(array / ([photo.width, photo.height] * 2), 0, 1).astype(np.float32)  # (K, 4)
    if (area(inside) <= 0).any():
        raise ValueError(
            f"{photo.file}: a box has no area inside the photo of {photo.width} x {photo.height}"
        )
    return np.concatenate([WHOLE[None], inside]), np.ones(len(inside) + 1, np.float32)


def _open(graph: bytes, threads: int | None, name: str) -> Any:
    try:
        external = has_external_data(graph)
    except ValueError as error:
        raise _bad_graph(name, "an ONNX graph", str(error)) from None
    if external:
        raise _bad_graph(name, "a graph that holds all its weights", "weights kept in other files")
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors are raised, not logged
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads or available_cpus()
    options.inter_op_num_threads = 1
    # Threads that wait for work by spinning would take the cores from NumPy, which goes on after
    # each graph, and from other programs: with both cores busy elsewhere, spinning was measured at
    # half the photos per second.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise _bad_graph(name, "an ONNX graph", _first_line(error)) from error


def available_cpus() -> int:
    """CPUs this process may use, by its affinity mask and by its container's CPU quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, _cpu_quota(_QUOTA_FILES))))


@cache  # asked for at every search
def _cpu_quota(candidates: tuple[tuple[Path, ...], ...]) -> float:
    """CPUs by the quota of the control group (version 2, then 1); infinite without one."""
    for files in candidates:
        try:
            quota, period = " ".join(file.read_text() for file in files).split()
            return float(quota) / float(period) if float(quota) > 0 else math.inf
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
            continue
    return math.inf


_Signature = dict[str, tuple[str, tuple[int | str, ...]]]
"""Name -> (type, shape) of inputs or outputs; a letter in a shape is a dynamic axis."""


def _check_signature(session: Any, settings: VisionSettings, name: str) -> None:
    """Check names, types and shapes of the graph's inputs and outputs."""
    cells, size = settings.side**2, settings.size
    inputs: _Signature = {"pixels": ("tensor(uint8)", ("B", size, size, 3))}
    outputs: _Signature = {
        "map": ("tensor(float)", ("B", cells, settings.feature_dim)),
        "boxes": ("tensor(float)", ("B", "K", 4)),
        "objectness": ("tensor(float)", ("B", "K")),
    }
    for what, expected, nodes in (
        ("input", inputs, session.get_inputs()),
        ("output", outputs, session.get_outputs()),
    ):
        found = {node.name: (node.type, tuple(node.shape)) for node in nodes}
        if set(found) != set(expected):
            raise _bad_graph(name, f"the {what}s {sorted(expected)}", ascii(sorted(found)))
        for each, (kind, shape) in expected.items():
            if found[each][0] != kind or not _shape_fits(found[each][1], shape):
                raise _bad_graph(
                    name, f"{what} {each}: {kind} {shape}", f"{found[each][0]} {found[each][1]}"
                )


def _shape_fits(found: tuple[Any, ...], expected: tuple[int | str, ...]) -> bool:
    """Whether shapes agree: dynamic axes fit any number; the batch axis B must be dynamic."""
    if len(found) != len(expected):
        return False
    pairs = zip(found, expected, strict=True)
    return all(not isinstance(f, int) or e == "K" or f == e for f, e in pairs)


def _bad_graph(name: str, expected: str, found: str) -> PackError:
    return PackError(
        f"{name}: expected {expected}, found {found}. Export the pack again, or take another one."
    )


def _first_line(error: Exception) -> str:
    return ascii(str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
