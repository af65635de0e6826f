"""How results show themselves in a notebook: always, with the photo where it can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import regiontalk
from regiontalk.report import notebook

from .made import HOSTILE, alignment, assert_harmless, description, photo, regions


@pytest.mark.parametrize("make", [regions, description, alignment])
def test_with_its_photo(tmp_path: Path, make: object) -> None:
    assert callable(make)
    page = assert_harmless(make(str(photo(tmp_path)))._repr_html_())
    assert page.all("image")[0]["href"].startswith("data:image/jpeg;base64,")
    assert page.all("script") == []


@pytest.mark.parametrize("make", [regions, description, alignment])
@pytest.mark.parametrize("file", ["gone.jpg", "", "<bytes>", "\0", HOSTILE, "."])
def test_without_it(make: object, file: str) -> None:
    assert callable(make)
    page = assert_harmless(make(file)._repr_html_())
    assert page.all("image") == []
    assert len(page.all("rect")) > 4


def test_a_photo_of_another_size_is_another_photo(tmp_path: Path) -> None:
    Image.new("RGB", (121, 80)).save(tmp_path / "a.png")
    assert "<image" not in regions(str(tmp_path / "a.png"))._repr_html_()


def test_whatever_goes_wrong_with_the_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("anything")

    monkeypatch.setattr(notebook, "data_url", broken)
    assert "<image" not in regions(str(photo(tmp_path)))._repr_html_()


def test_what_a_model_finds_shows_itself(tiny_pack: Path, photo_file: Path) -> None:
    model = regiontalk.load(tiny_pack)
    for found in (*model.look(photo_file), model.describe(photo_file), model.align(photo_file, "a red dog")):
        assert "<image" in found._repr_html_()
