"""Photos to regions through ONNX Runtime, on a tiny graph that NumPy can recompute."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from regiontalk.errors import PackError
from regiontalk.photos import prepare
from regiontalk.vision import session as vision_session
from regiontalk.vision.boxes import pick_regions, roi_weights
from regiontalk.vision.session import BATCH, VisionSession, available_cpus

from ..tiny_pack import (
    DIM,
    FEATURE_DIM,
    SIDE,
    SIZE,
    tiny_settings,
    tiny_vision_model,
    tiny_vision_onnx,
)

SETTINGS = tiny_settings().vision
RNG = np.random.default_rng(0)
PROJECTION = {
    "W_m": RNG.normal(size=(FEATURE_DIM, DIM)).astype(np.float32),
    "b_m": RNG.normal(size=DIM).astype(np.float32),
}


def make_photo(seed: int, width: int = 90, height: int = 60) -> SimpleNamespace:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 10, width // 10, 3), np.uint8)
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
    return SimpleNamespace(file=f"{seed}.jpg", width=width, height=height, image=image)


@pytest.fixture(scope="module")
def session() -> VisionSession:
    return VisionSession(tiny_vision_onnx(), PROJECTION, SETTINGS, threads=1)


def test_regions_are_the_steps_one_after_the_other(session: VisionSession) -> None:
    photo = make_photo(1)
    maps, boxes, objectness = session.run(prepare(photo.image, SIZE)[None])
    expected, scores = pick_regions(
        boxes[0], objectness[0], SETTINGS.proposals, SETTINGS.nms_iou, 0.05
    )
    (found,) = session.look([photo])  # type: ignore[list-item]
    assert len(found) > 2
    np.testing.assert_allclose(found.boxes_xyxy, expected * [90, 60, 90, 60], rtol=1e-6)
    np.testing.assert_array_equal(found.scores, scores)
    features = roi_weights(expected, SIDE) @ maps[0]
    np.testing.assert_allclose(found.features, features, rtol=1e-5)
    np.testing.assert_allclose(
        found.vectors, features @ PROJECTION["W_m"] + PROJECTION["b_m"], rtol=1e-4, atol=1e-5
    )
    assert (found.file, found.width, found.height) == ("1.jpg", 90, 60)
    for array in (found.boxes_xyxy, found.scores, found.features, found.vectors):
        assert array.dtype == np.float32


def test_the_graph_sees_the_photo(session: VisionSession) -> None:
    """The tiny graph's map is relu(mean colour of a tile @ W / 255)."""
    white = SimpleNamespace(
        file="", width=7, height=5, image=Image.new("RGB", (7, 5), (255, 255, 255))
    )
    maps, _, _ = session.run(prepare(white.image, SIZE)[None])
    weight = next(t for t in tiny_vision_model().graph.initializer if t.name == "W")
    expected = np.maximum(255 * numpy_helper.to_array(weight).sum(axis=0), 0)
    np.testing.assert_allclose(maps[0], np.tile(expected, (SIDE * SIDE, 1)), rtol=1e-4, atol=1e-6)


def test_a_batch_is_one_at_a_time(session: VisionSession) -> None:
    photos = [make_photo(seed, width=30 + 10 * seed) for seed in range(BATCH + 3)]
    for together, photo in zip(session.look(photos), photos, strict=True):  # type: ignore[arg-type]
        (alone,) = session.look([photo])  # type: ignore[list-item]
        assert together.file == photo.file
        np.testing.assert_allclose(together.boxes_xyxy, alone.boxes_xyxy, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(together.vectors, alone.vectors, rtol=1e-4, atol=1e-5)


def test_no_photo(session: VisionSession) -> None:
    assert session.look([]) == []


def test_boxes_are_in_pixels_of_the_original_though_the_image_was_decoded_smaller(
    session: VisionSession,
) -> None:
    photo = make_photo(2)
    original = SimpleNamespace(file="", width=900, height=600, image=photo.image)
    small, large = session.look([photo, original])  # type: ignore[list-item]
    np.testing.assert_allclose(large.boxes_xyxy, 10 * small.boxes_xyxy, rtol=1e-5)
    assert large.boxes_xyxy[0].tolist() == [0, 0, 900, 600]


def test_given_boxes_are_read_in_their_order(session: VisionSession) -> None:
    photos = [make_photo(seed) for seed in range(BATCH + 2)]
    three = np.array([[0, 0, 45, 60], [30, 20, 60, 40], [0, 0, 45, 60]], np.float32)
    boxes = [three[: seed % 4] for seed in range(BATCH + 2)]
    for photo, given, found in zip(photos, boxes, session.look(photos, boxes), strict=True):
        assert np.array_equal(found.boxes_xyxy[1:], given)  # the same box twice is two regions
        assert np.array_equal(found.scores, np.ones(len(given) + 1, np.float32))
        maps, _, _ = session.run(prepare(photo.image, SIZE)[None])
        expected = roi_weights(found.boxes_xyxy / [90, 60, 90, 60], SIDE) @ maps[0]
        np.testing.assert_allclose(found.features, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            found.features[0], session.look([photo])[0].features[0], rtol=1e-4, atol=1e-5
        )


def test_given_boxes_are_cut_at_the_edge(session: VisionSession) -> None:
    photo = make_photo(0)
    (found,) = session.look([photo], [np.array([[-5.0, 10, 200, 30]])])
    assert found.boxes_xyxy[1].tolist() == [0, 10, 90, 30]


@pytest.mark.parametrize(
    "boxes",
    [
        np.zeros((1, 3)),
        np.zeros(4),
        np.array([[0, 0, 1, np.nan]]),
        np.array([[5.0, 5, 5, 9]]),
        np.array([[9.0, 5, 5, 9]]),
        np.array([[95.0, 5, 99, 9]]),
    ],
)
def test_boxes_that_cannot_be_read(session: VisionSession, boxes: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"0\.jpg: "):
        session.look([make_photo(0)], [boxes])
    with pytest.raises(ValueError, match="1 photos need as many arrays of boxes, found 0"):
        session.look([make_photo(0)], [])


def test_one_pixel_is_a_photo(session: VisionSession) -> None:
    pixel = SimpleNamespace(
        file="", width=1, height=1, image=Image.new("RGB", (1, 1), (200, 10, 10))
    )
    (found,) = session.look([pixel])  # type: ignore[list-item]
    assert found.boxes_xyxy[0].tolist() == [0, 0, 1, 1]


def test_prepare_squashes() -> None:
    image = Image.new("RGB", (40, 10), (255, 0, 0))
    image.paste((0, 0, 255), (20, 0, 40, 10))
    pixels = prepare(image, 8)
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[:, 0] == (255, 0, 0)).all()
    assert (pixels[:, -1] == (0, 0, 255)).all()


def test_a_graph_may_come_from_a_file(tmp_path: Path, session: VisionSession) -> None:
    (tmp_path / "v.onnx").write_bytes(tiny_vision_onnx())
    again = VisionSession(tmp_path / "v.onnx", PROJECTION, SETTINGS, threads=1)
    photo = make_photo(3)
    np.testing.assert_array_equal(session.look([photo])[0].vectors, again.look([photo])[0].vectors)  # type: ignore[list-item]


def test_cpus() -> None:
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("content", "most"),
    [("150000 100000\n", 2), ("10000 100000\n", 1), ("max 100000\n", 1024), ("what?", 1024)],
)
def test_a_container_may_have_fewer_cpus_than_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, most: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1024), raising=False)
    file, missing = tmp_path / "cpu.max", tmp_path / "missing"
    file.write_text(content)
    monkeypatch.setattr(vision_session, "_QUOTA_FILES", ((missing, missing), (file,)))
    assert available_cpus() == most


def test_quota_and_period_in_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    period = tmp_path / "period"
    period.write_text("100000\n")
    for microseconds, cpus in (("300000\n", 3), ("-1\n", 8)):
        quota = tmp_path / f"quota of {cpus}"
        quota.write_text(microseconds)
        monkeypatch.setattr(vision_session, "_QUOTA_FILES", ((quota, period),))
        assert available_cpus() == cpus


def refuse(graph: bytes, message: str, settings=SETTINGS) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PackError, match=message) as caught:
        VisionSession(graph, PROJECTION, settings, threads=1, name="p/vision.onnx")
    assert str(caught.value).startswith("p/vision.onnx: expected ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("graph", [b"", b"not a graph", b"\x08\x09", tiny_vision_onnx()[:-40]])
def test_what_is_no_graph(graph: bytes) -> None:
    refuse(graph, "expected an ONNX graph")


def test_external_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the file lies there and holds the right bytes."""
    model = tiny_vision_model()
    onnx.save(
        model,
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    monkeypatch.chdir(tmp_path)
    refuse(
        (tmp_path / "m.onnx").read_bytes(),
        "holds all its weights, found weights kept in other files",
    )


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in [*model.graph.input, *model.graph.output]:
        value.name = new if value.name == old else value.name


def test_another_input() -> None:
    model = tiny_vision_model()
    rename(model, "pixels", "image")
    refuse(model.SerializeToString(), r"expected the inputs \['pixels'\], found \['image'\]")


def test_one_input_more() -> None:
    model = tiny_vision_model()
    model.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, [1]))
    refuse(model.SerializeToString(), r"expected the inputs .* found \['extra', 'pixels'\]")


def test_another_output() -> None:
    model = tiny_vision_model()
    rename(model, "objectness", "logits2")
    refuse(model.SerializeToString(), "expected the outputs")


def test_one_output_less() -> None:
    model = tiny_vision_model()
    del model.graph.output[2]
    refuse(model.SerializeToString(), r"found \['boxes', 'map'\]")


def test_another_type() -> None:
    model = tiny_vision_model()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    refuse(model.SerializeToString(), r"input pixels: tensor\(uint8\) .* found tensor\(float\)")


def test_a_fixed_batch() -> None:
    model = tiny_vision_model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    refuse(
        model.SerializeToString(), r"input pixels: .*\('B', 64, 64, 3\), found .* \(1, 64, 64, 3\)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 32}, "input pixels"),
        ({"side": 5}, "output map"),
        ({"feature_dim": 8}, "output map"),
    ],
)
def test_other_sizes_than_the_settings(change: dict[str, int], message: str) -> None:
    refuse(tiny_vision_onnx(), message, replace(SETTINGS, **change))


def open_shapes(model: onnx.ModelProto) -> None:
    for output in model.graph.output:
        for axis in output.type.tensor_type.shape.dim:
            axis.Clear()


def test_shapes_that_only_a_run_shows() -> None:
    """The map is cut at a length that the graph computes from the photo, so nothing shows before it
    runs.
    """
    model = tiny_vision_model()
    rename(model, "map", "whole_map")
    model.graph.output[0].name = "map"
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "starts"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "second_axis"))
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["objectness"], ["largest"], axes=[0, 1], keepdims=0),
            helper.make_node("Ceil", ["largest"], ["one_float"]),
            helper.make_node("Cast", ["one_float"], ["one_whole"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["one_whole", "second_axis"], ["ends"]),
            helper.make_node("Slice", ["whole_map", "starts", "ends", "second_axis"], ["map"]),
        ]
    )
    open_shapes(model)
    session = VisionSession(model.SerializeToString(), PROJECTION, SETTINGS, threads=1)
    with pytest.raises(PackError, match=r"expected map \(1, 16, 16\).* found map \(1, 1, 16\)"):
        session.look([make_photo(0)])  # type: ignore[list-item]


def test_a_graph_that_fails_when_it_runs() -> None:
    model = tiny_vision_model()
    open_shapes(model)
    for tensor in model.graph.initializer:
        if tensor.name == "flat_shape":
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, 7]), "flat_shape"))
    session = VisionSession(model.SerializeToString(), PROJECTION, SETTINGS, threads=1)
    with pytest.raises(PackError, match="expected a graph that runs"):
        session.look([make_photo(0)])  # type: ignore[list-item]


def test_values_that_are_not_finite() -> None:
    model = tiny_vision_model()
    for tensor in model.graph.initializer:
        if tensor.name == "w":
            tensor.CopyFrom(
                numpy_helper.from_array(np.full((FEATURE_DIM, 1), np.nan, np.float32), "w")
            )
    session = VisionSession(model.SerializeToString(), PROJECTION, SETTINGS, threads=1)
    with pytest.raises(PackError, match="expected finite outputs"):
        session.look([make_photo(0)])  # type: ignore[list-item]


def test_vectors_that_overflow() -> None:
    huge = {"W_m": np.full((FEATURE_DIM, DIM), 3e38, np.float32), "b_m": np.zeros(DIM, np.float32)}
    session = VisionSession(tiny_vision_onnx(), huge, SETTINGS, threads=1)
    with pytest.raises(PackError, match="finite region vectors"):
        session.look([make_photo(0)])  # type: ignore[list-item]


def test_nothing_is_printed(tmp_path: Path) -> None:
    """ONNX Runtime likes to warn on stderr, even of its own environment."""
    (tmp_path / "good.onnx").write_bytes(tiny_vision_onnx())
    (tmp_path / "bad.onnx").write_bytes(tiny_vision_onnx()[:-40])
    code = f"""
import numpy as np
from regiontalk.errors import PackError
from regiontalk.settings import VisionSettings
from regiontalk.vision.session import VisionSession
settings = VisionSettings({SIZE}, {SIDE}, {FEATURE_DIM}, 5, 0.6, 0.05)
projection = dict(W_m=np.zeros(({FEATURE_DIM}, {DIM}), np.float32), b_m=np.zeros({DIM}, np.float32))
VisionSession("good.onnx", projection, settings).run(np.zeros((1, {SIZE}, {SIZE}, 3), np.uint8))
try:
    VisionSession("bad.onnx", projection, settings)
except PackError:
    print("refused")
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("refused\n", "", 0)
