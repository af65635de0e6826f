"""Photos come in by choosing, dropping and pasting, and are described."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from regiontalk.model import Model

if TYPE_CHECKING:
    from .page import Page

GIVE_FILES = """
const [how, ...names] = arguments;
const data = new DataTransfer();
const done = arguments[arguments.length - 1];
const picture = (name) => fetch("/static/icon.svg").then(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  canvas.getContext("2d").fillRect(20, 20, 60, 60);
  return new Promise((give) => {
    canvas.toBlob((blob) => give(new File([blob], name, { type: blob.type })));
  });
});
Promise.all(names.slice(0, -1).map(picture)).then((files) => {
  for (const file of files) data.items.add(file);
  const options = { bubbles: true, cancelable: true };
  if (how === "paste") {
    document.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
  } else for (const type of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: data }));
  }
  done();
});
"""


def test_a_chosen_photo_is_described_with_its_regions(
    page: Page, samples: Path, model: Model
) -> None:
    expected = model.describe(samples / "coffee.jpg")
    page.choose(samples / "coffee.jpg")
    assert page.text(".rt-caption") == expected.caption.text
    assert sorted(page.texts(".rt-item .rt-text")) == sorted(
        each.text for each in expected.region_captions
    )
    assert len(page.all(".rt-box")) == len(expected.region_captions)
    assert page.one(".rt-image").get_attribute("alt") == expected.caption.text
    assert page.text("#status") == f"Caption: {expected.caption.text}"


def test_boxes_lie_where_the_regions_are(page: Page, samples: Path, model: Model) -> None:
    regions = model.describe(samples / "coffee.jpg").regions
    page.choose(samples / "coffee.jpg")
    places = page.run(
        "const photo = document.querySelector('.rt-image').getBoundingClientRect();return "
        "[...document.querySelectorAll('.rt-box')].map((box) => { const at = "
        "box.getBoundingClientRect();return [Number(box.dataset.region), (at.left - photo.left) / "
        "photo.width, (at.top - photo.top) / photo.height,(at.right - photo.left) / photo.width, "
        "(at.bottom - photo.top) / photo.height]; })"
    )
    for region, *corners in places:
        shares = regions.boxes_xyxy[region] / (
            regions.width,
            regions.height,
            regions.width,
            regions.height,
        )
        assert max(abs(a - b) for a, b in zip(corners, shares.tolist(), strict=True)) < 0.005


def test_hovering_a_caption_lights_its_box_and_a_box_its_caption(page: Page, samples: Path) -> None:
    page.choose(samples / "coffee.jpg")
    item = page.all(".rt-item")[1]
    page.hover(item)
    assert page.lit(".rt-box") == page.lit(".rt-item") == [item.get_attribute("data-region")]
    box = page.all(".rt-box")[-1]  # the smallest lies on top
    page.hover(box)
    assert page.lit(".rt-item") == [box.get_attribute("data-region")]
    page.leave()
    assert page.lit("[data-region]") == []


def test_a_word_of_the_caption_lights_the_box_that_it_was_said_of(
    page: Page, samples: Path, model: Model
) -> None:
    for name in sorted(path.name for path in samples.glob("*.jpg")):
        said = [region for region in model.describe(samples / name).caption.word_regions if region]
        page.choose(samples / name)
        words = page.all(".rt-said")
        assert [word.get_attribute("data-region") for word in words] == [
            str(region) for region in said
        ]
        for word in words:
            page.hover(word)
            assert page.lit(".rt-box") == [word.get_attribute("data-region")]
        if words:
            return
    raise AssertionError("no sample photo has a caption of which a word was said of a region")


def test_several_photos_lie_on_a_shelf(page: Page, samples: Path) -> None:
    page.choose(samples / "coffee.jpg", samples / "chelsea.jpg")
    first = page.text(".rt-caption")
    thumbs = page.all(".thumb")
    assert [each.get_attribute("aria-current") for each in thumbs] == ["true", "false"]
    thumbs[1].click()
    page.wait(lambda: page.text(".rt-caption") not in ("", first), "the second photo is described")
    assert [each.get_attribute("aria-current") for each in thumbs] == ["false", "true"]
    thumbs[0].click()
    page.wait(lambda: page.text(".rt-caption") == first, "the first one is back")


def test_photos_can_be_pasted_and_dropped(page: Page) -> None:
    for number, how in enumerate(("paste", "drop"), start=1):
        page.browser.execute_async_script(GIVE_FILES, how, f"{how}.png")
        page.wait(
            lambda n=number: len(page.all(".thumb")) == n, f"what was given by {how} is there"
        )
        page.one(".rt-caption")
        assert page.texts("#problem") == [""]
    assert page.all("body.dropping") == []


def test_what_is_no_photo_is_told_and_the_next_one_works(
    page: Page, samples: Path, tmp_path: Path
) -> None:
    page.may_fail.append("/api/describe")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo at all")
    page.give(broken)
    page.wait(lambda: "broken.jpg" in page.text("#problem"), "the problem names the file")
    page.choose(samples / "coffee.jpg")
    assert page.text("#problem") == ""


def test_file_names_and_sentences_are_text_never_markup(
    page: Page, samples: Path, tmp_path: Path
) -> None:
    name = "<img src=x onerror=alert(1)>.jpg"
    shutil.copy(samples / "coffee.jpg", tmp_path / name)
    page.choose(tmp_path / name)
    page.align("<b>dog</b> &amp; cat")
    assert page.all("img[src=x], main b") == []
    assert "<b>dog</b> &amp; cat" in str(page.one(".rt-image").get_attribute("alt"))
    assert page.one(".thumb").get_attribute("aria-label") == name


def test_beam_and_temperature(page: Page, samples: Path, model: Model) -> None:
    captions = {
        p: [model.describe(p, beam=b).caption.text for b in (None, 1)]
        for p in sorted(samples.glob("*.jpg"))
    }
    photo, (usual, expected) = next(
        (photo, two) for photo, two in captions.items() if two[0] != two[1]
    )
    page.choose(photo)
    assert page.text(".rt-caption") == usual
    page.one("#advanced summary").click()
    page.one("#beam").send_keys("1")
    page.one("#again").click()
    page.wait(
        lambda: page.text(".rt-caption") == expected, "the caption is that of the greedy search"
    )
    page.one("#temperature").send_keys("5")
    assert not page.one("#beam").is_enabled()
    page.one("#again").click()
    page.wait(
        lambda: page.text(".rt-caption") not in ("", expected), "the caption is drawn at random"
    )
