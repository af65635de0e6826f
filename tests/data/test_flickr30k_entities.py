from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from PIL import Image

from regiontalk.data import Entities, Selection, read_boxes, read_entities
from regiontalk.data.flickr30k_entities import EntityPhrase, parse_sentence
from regiontalk.data.xml_files import read_xml
from regiontalk.errors import DataError

SENTENCES = (
    "[/EN#1/people Two young guys] with [/EN#2/bodyparts shaggy hair] look at "
    "[/EN#3/bodyparts their hands] .\n"
    "[/EN#1/people/other Two men] in [/EN#4/clothing green T-shirts] are standing in "
    "[/EN#5/scene a yard] .\n"
    "Nothing marked , [/EN#0/notvisual the day] .\n"
)
ANNOTATION = """<annotation>
  <filename>1000092795.jpg</filename>
  <size><width>40</width><height>30</height><depth>3</depth></size>
  <object><name>1</name>
    <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object>
  <object><name>1</name><name>4</name>
    <bndbox><xmin>21</xmin><ymin>2</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>
  <object><name>2</name>
    <bndbox><xmin>3</xmin><ymin>3</ymin><xmax>6</xmax><ymax>6</ymax></bndbox></object>
  <object><name>3</name><scene>0</scene><nobndbox>1</nobndbox></object>
  <object><name>5</name><scene>1</scene><nobndbox>1</nobndbox></object>
</annotation>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for sub in ("Sentences", "Annotations", "flickr30k-images"):
        (tmp_path / sub).mkdir()
    for name in ("1000092795", "36979"):
        (tmp_path / "Sentences" / f"{name}.txt").write_text(SENTENCES)
        (tmp_path / "Annotations" / f"{name}.xml").write_text(ANNOTATION)
        Image.new("RGB", (40, 30)).save(tmp_path / "flickr30k-images" / f"{name}.jpg")
    (tmp_path / "train.txt").write_text("36979\n")
    (tmp_path / "val.txt").write_text("")
    (tmp_path / "test.txt").write_text("1000092795\n")
    return tmp_path


def test_reads_boxes_and_sentences(folder: Path) -> None:
    found = read_boxes(folder, "test")
    assert isinstance(found, Entities)
    (photo,) = found.boxes.photos
    assert (photo.width, photo.height) == (40, 30)
    assert photo.boxes_of("1").tolist() == [[0, 1, 20, 30], [20, 1, 40, 30]]
    assert photo.boxes_of("4").tolist() == [[20, 1, 40, 30]]  # a box of two entities
    first, second, third = found.sentences[0]
    assert first.words[:4] == ("two", "young", "guys", "with")
    assert first.phrases == (
        EntityPhrase(0, 3, "1", ("people",)),
        EntityPhrase(4, 6, "2", ("bodyparts",)),
    )
    assert second.phrases[0].types == ("people", "other")
    assert second.words[second.phrases[1].start : second.phrases[1].end] == ("green", "t", "shirts")
    assert third.phrases == ()
    assert found.boxes.remarks == {"phrases without a box": 3}
    assert found.boxes.left_out == {}


def test_splits(folder: Path) -> None:
    assert len(read_entities(folder).boxes) == 2
    assert read_entities(folder, "train").boxes.photos[0].file.name == "36979.jpg"
    (folder / "train.txt").unlink()
    with pytest.raises(DataError, match="has no split 'train'; splits found: all, test, val"):
        read_entities(folder, "train")
    with pytest.raises(DataError, match="holds no photo"):
        read_entities(folder, "dev")


def test_selection(folder: Path) -> None:
    found = read_entities(folder, selection=Selection(frozenset({"36979.jpg"})))
    assert [photo.file.stem for photo in found.boxes.photos] == ["36979"]
    assert len(read_entities(folder, selection=Selection(every=2)).boxes) == 1


def test_a_photo_in_a_folder_of_its_own(folder: Path) -> None:
    for sub in ("Sentences", "Annotations", "flickr30k-images"):
        (folder / sub / "s").mkdir()
        for file in list((folder / sub).glob("36979.*")):
            file.rename(folder / sub / "s" / f"1000092795{file.suffix}")
    (folder / "Sentences/s/1000092795.txt").write_text("[/EN#2/bodyparts Hair] .\n")
    (folder / "test.txt").write_text("s/1000092795\n1000092795\n")
    found = read_entities(folder, "test")
    assert [photo.file for photo in found.boxes.photos] == [
        folder / "flickr30k-images" / name for name in ("s/1000092795.jpg", "1000092795.jpg")
    ]
    assert [len(sentences) for sentences in found.sentences] == [1, 3]
    (folder / "Sentences/s/1000092795.txt").unlink()
    with pytest.raises(DataError, match=r"photos without sentences: 1 \('s/1000092795\.jpg'\)"):
        read_entities(folder, "test")


def test_a_name_that_no_file_can_have(folder: Path) -> None:
    (folder / "test.txt").write_text(f"1000092795\n{'x' * 300}\n")
    with pytest.raises(DataError, match=r"photos without an annotation: 1 \('xxx"):
        read_entities(folder, "test")


def test_problems_are_named(folder: Path) -> None:
    (folder / "test.txt").write_text("1000092795\n36979\nnone\n")
    (folder / "train.txt").write_text("")
    (folder / "Sentences" / "1000092795.txt").write_text(
        SENTENCES + "[/EN#9/people A man] .\n[/EN#1/people A man\n[/EN#1/people .] x\n"
    )
    (folder / "Sentences" / "36979.txt").unlink()
    (folder / "Annotations" / "1000092795.xml").write_text(
        ANNOTATION.replace("</annotation>", "<object><name>8</name></object><object/></annotation>")
    )
    with pytest.raises(DataError) as error:
        read_entities(folder, "test")
    for part in (
        "photos without an annotation: 1 ('none.jpg')",
        "photos without sentences: 1 ('36979.jpg')",
        "ids that the annotation lacks: 1 ('1000092795.txt, line 4: EN#9')",
        "sentences with damaged markup: 2 ('1000092795.txt, line 5', '1000092795.txt, line 6')",
        "objects without an id: 1",
        "objects with neither a box nor a reason: 1 ('1000092795.xml, object 5')",
    ):
        assert part in str(error.value)
    left = read_entities(folder, "test", selection=Selection(leave_out=True))
    assert len(left.boxes.left_out) == 6
    # The three, and the one whose id is unknown, without that phrase
    assert len(left.sentences[0]) == 4
    assert left.sentences[0][3].phrases == ()


@pytest.mark.parametrize(
    ("train", "test", "kind"),
    [
        ("36979\n", "36979\n1000092795\n", "photos in two splits"),
        ("36979.jpg\n", "36979\n1000092795\n", "photos in two splits"),
        ("", "36979\n1000092795\n36979.jpg\n", "photos listed twice"),
    ],
)
def test_a_photo_listed_more_than_once_is_left_out(
    folder: Path, train: str, test: str, kind: str
) -> None:
    (folder / "train.txt").write_text(train)
    (folder / "test.txt").write_text(test)
    with pytest.raises(DataError, match=rf"{kind}: 1 \('36979\.jpg'\)"):
        read_entities(folder, "test")
    left = read_entities(folder, "test", selection=Selection(leave_out=True))
    assert [photo.file.name for photo in left.boxes.photos] == ["1000092795.jpg"]
    assert (len(left.sentences), left.boxes.left_out) == (1, {kind: 1})


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the folders Sentences and Annotations"):
        read_entities(tmp_path)


def test_markup() -> None:
    assert parse_sentence("A dog [ in brackets ] .") == (["a", "dog", "in", "brackets"], [])
    assert parse_sentence("[/EN#12/x A]") == (["a"], [EntityPhrase(0, 1, "12", ("x",))])
    for damaged in (
        "[/EN#/x A]",
        "[/EN#1 A]",
        "[/EN#1/x A",
        "[/EN#1/x [/EN#2/x A]]",
        "[/EN#1/x .]",
        ". .",
    ):
        assert parse_sentence(damaged) is None


@pytest.mark.parametrize("name", ["../outside/a", "/etc/a", "..\\outside\\a", "C:/a"])
def test_no_file_outside_the_folder_is_opened(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "test.txt").write_text(f"1000092795\n{name}\n")
    monkeypatch.setattr(
        "regiontalk.data.flickr30k_entities.read_xml", _only_below(folder / "Annotations")
    )
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_entities(folder, "test")


def _only_below(folder: Path) -> Callable[[Path], Element]:
    def read(file: Path) -> Element:
        assert file.parent == folder and file.is_file()
        return read_xml(file)

    return read


def test_time_grows_with_the_file_and_not_with_its_square(folder: Path) -> None:
    """Seconds; with the square it would be hours."""
    objects = "".join(
        f"<object><name>{n}</name><nobndbox>1</nobndbox></object>" for n in range(10, 50_000)
    )
    (folder / "Annotations" / "36979.xml").write_text(
        ANNOTATION.replace("</annotation>", f"{objects}</annotation>")
    )
    marked = " ".join(f"[/EN#{n}/people a girl]" for n in range(10, 50_000))
    (folder / "Sentences" / "36979.txt").write_text(f"{marked} [/EN#1/people a boy]\n")
    found = read_entities(folder, "train")
    assert found.boxes.remarks == {"phrases without a box": 49_990}
    assert [phrase.entity for phrase in found.sentences[0][0].phrases] == ["1"]
    for damaged in ("[/EN#1/x", "[/EN#1", "[/EN#1/a ", "[/EN#1/a" + "/a" * 50):
        assert parse_sentence(damaged * 20_000) is None
