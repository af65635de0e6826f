from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from regiontalk.data import find_format
from regiontalk.data.boxes import (
    EVERYTHING,
    LEAVE_OUT,
    BoxedPhoto,
    RawBox,
    RawPhoto,
    Selection,
    boxed_photos,
    labels_of,
    size_of,
    xyxy_from_xywh,
    xyxy_of,
)
from regiontalk.data.captions import Problems
from regiontalk.errors import DataError


def raw(
    *boxes: tuple[float, float, float, float], size: tuple[int, int] | None = (10, 8)
) -> RawPhoto:
    return RawPhoto(size, [RawBox(f"box {row}", box, ("dog",)) for row, box in enumerate(boxes)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.new("RGB", (10, 8)).save(tmp_path / name)
    return tmp_path


def test_boxes_become_arrays(folder: Path) -> None:
    problems = Problems(folder)
    (photo,) = boxed_photos(
        {"a.jpg": raw((1, 2, 3, 4), (0, 0, 10, 8))}, [folder], EVERYTHING, problems
    )
    assert (photo.file, photo.width, photo.height) == (folder / "a.jpg", 10, 8)
    assert photo.boxes_xyxy.dtype == np.float32
    assert photo.boxes_xyxy.tolist() == [[1, 2, 3, 4], [0, 0, 10, 8]]
    assert photo.texts == (("dog",), ("dog",))
    assert photo.boxes_of("dog").shape == (2, 4)
    assert photo.boxes_of("cat").shape == (0, 4)
    assert problems.counts() == {}


def test_a_photo_without_boxes_stays(folder: Path) -> None:
    (photo,) = boxed_photos({"a.jpg": raw()}, [folder], EVERYTHING, Problems(folder))
    assert photo.boxes_xyxy.shape == (0, 4)


def test_boxes_are_cut_at_the_edge(folder: Path) -> None:
    problems = Problems(folder)
    (photo,) = boxed_photos({"a.jpg": raw((-1, -0.5, 11, 9))}, [folder], EVERYTHING, problems)
    assert photo.boxes_xyxy.tolist() == [[0, 0, 10, 8]]
    assert problems.counts() == {}


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((3, 2, 3, 4), "boxes without an area"),
        ((3, 4, 5, 4), "boxes without an area"),
        ((5, 2, 3, 4), "boxes without an area"),
        ((-1, 2, 0, 4), "boxes without an area"),  # within the tolerance, and nothing of it inside
        ((-2, 2, 3, 4), "boxes that stick out of their photo"),
        ((1, 2, 3, 10), "boxes that stick out of their photo"),
    ],
)
def test_bad_boxes_are_named_and_left_out(
    folder: Path, box: tuple[float, float, float, float], kind: str
) -> None:
    problems = Problems(folder)
    (photo,) = boxed_photos({"a.jpg": raw(box, (1, 2, 3, 4))}, [folder], EVERYTHING, problems)
    assert photo.boxes_xyxy.tolist() == [[1, 2, 3, 4]]
    assert problems.counts() == {kind: 1}
    with pytest.raises(DataError, match=rf"{kind}: 1 \('a\.jpg, box 0: "):
        EVERYTHING.settle(problems)
    assert Selection(leave_out=True).settle(problems) == {kind: 1}


def test_the_way_out_is_told(folder: Path) -> None:
    problems = Problems(folder)
    problems.add("boxes without an area", ["x"])
    with pytest.raises(DataError) as error:
        EVERYTHING.settle(problems)
    assert str(error.value).endswith(f"Nothing was read: mend the files first, {LEAVE_OUT}")


def test_missing_photos_are_named(folder: Path) -> None:
    problems = Problems(folder)
    photos = boxed_photos(
        {"a.jpg": raw(), "x.jpg": raw(), "../y.jpg": raw()}, [folder], EVERYTHING, problems
    )
    assert [photo.file.name for photo in photos] == ["a.jpg"]
    assert problems.counts() == {
        "file names that leave the folder": 1,
        "photos listed but missing": 1,
    }


def test_no_photo_at_all(folder: Path) -> None:
    with pytest.raises(DataError, match=r"photos listed but missing: 1 \('x\.jpg'\)"):
        boxed_photos({"x.jpg": raw()}, [folder], Selection(leave_out=True), Problems(folder))
    with pytest.raises(DataError, match="holds no photo"):
        boxed_photos({}, [folder], EVERYTHING, Problems(folder))


def test_a_photo_is_asked_for_its_size(folder: Path) -> None:
    problems = Problems(folder)
    (photo,) = boxed_photos(
        {"a.jpg": raw((1, 2, 30, 40), size=None)}, [folder], EVERYTHING, problems
    )
    assert (photo.width, photo.height) == (10, 8)
    assert problems.counts() == {"boxes that stick out of their photo": 1}


def test_selection_by_name_and_by_count(folder: Path) -> None:
    problems = Problems(folder)
    names = ["c.jpg", "a.jpg", "b.jpg", "d.jpg"]
    assert EVERYTHING.choose(names, problems) == names
    assert Selection(every=2).choose(names, problems) == ["c.jpg", "a.jpg"]
    assert Selection(frozenset({"b.jpg", "d.jpg"})).choose(names, problems) == ["b.jpg", "d.jpg"]
    assert problems.counts() == {}
    assert Selection(frozenset({"b.jpg", "z.jpg"})).choose(names, problems) == ["b.jpg"]
    assert problems.counts() == {"photos asked for that the data lacks": 1}


def test_refused_photos_take_no_part_where_they_are_left_out(folder: Path) -> None:
    problems = Problems(folder)
    names = ["c.jpg", "a.jpg", "b.jpg"]
    # The dataset is refused in the end
    assert EVERYTHING.choose(names, problems, {"a.jpg"}) == names
    asked = Selection(frozenset({"a.jpg", "b.jpg"}), leave_out=True)
    assert asked.choose(names, problems, {"a.jpg"}) == ["b.jpg"]
    assert problems.counts() == {}


def test_only_chosen_photos_need_to_be_there(folder: Path) -> None:
    problems = Problems(folder)
    found = boxed_photos(
        {"a.jpg": raw(), "x.jpg": raw()}, [folder], Selection(frozenset({"a.jpg"})), problems
    )
    assert len(found) == 1
    assert problems.counts() == {}


def test_every_must_be_positive() -> None:
    with pytest.raises(ValueError, match="every must be at least 1, found 0"):
        Selection(every=0)


@given(st.lists(st.text("abc", min_size=1, max_size=3), unique=True), st.integers(1, 5))
def test_every_takes_its_share(names: list[str], every: int) -> None:
    chosen = Selection(every=every).choose(names, Problems(Path("x")))
    assert len(chosen) == -(-len(names) // every)
    assert set(chosen) <= set(names)


@pytest.mark.parametrize(
    "value", [None, 3, "1234", [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, True], [1, 2, 3, 10**400]]
)
def test_what_is_no_box(value: object) -> None:
    assert xyxy_of(value) is None
    assert xyxy_from_xywh(value) is None


@pytest.mark.parametrize("name", ["boxes.jsonl", "BOXES.JSONL"])
def test_lines_of_boxes_are_known_by_their_suffix(name: str) -> None:
    assert find_format(Path(name)) == "lines"


def test_boxes_from_files() -> None:
    assert xyxy_of([1, 2.5, 3, 4]) == (1, 2.5, 3, 4)
    assert xyxy_of([1, 2, float("nan"), 4]) is None
    assert xyxy_from_xywh([1, 2, 3, 4]) == (1, 2, 4, 6)
    assert size_of(3, 4) == (3, 4)
    assert size_of(3, 0) is None and size_of("3", 4) is None and size_of(True, 4) is None


def test_photos_need_not_be_there_if_nobody_looks_at_them(folder: Path) -> None:
    problems = Problems(folder)
    told = {"a.jpg": raw((1, 2, 3, 4)), "x.jpg": raw((1, 2, 3, 4)), "../y.jpg": raw()}
    found = boxed_photos(told, [folder / "images", folder], Selection(need_files=False), problems)
    assert [photo.file for photo in found] == [folder / "a.jpg", folder / "x.jpg"]
    assert problems.counts() == {"file names that leave the folder": 1}


def test_photos_know_their_names_and_what_they_show(folder: Path) -> None:
    told = {
        "a.jpg": RawPhoto((10, 8), [RawBox("box 0", (1, 2, 3, 4), ("dog",))], {"person"}, ("42",))
    }
    (photo,) = boxed_photos(told, [folder], EVERYTHING, Problems(folder))
    assert (photo.name, photo.names, photo.shown) == ("a.jpg", ("a.jpg", "42"), {"dog", "person"})
    assert BoxedPhoto(folder / "b.jpg", 10, 8, photo.boxes_xyxy, photo.texts).name == "b.jpg"


def test_all_labels_of_some_photos() -> None:
    boxes = [RawBox("", (0, 0, 1, 1), (label,)) for label in ("dog", "cat", "dog")]
    assert labels_of([RawPhoto(None, boxes[:1]), RawPhoto(None, boxes[1:]), RawPhoto()]) == (
        "cat",
        "dog",
    )
