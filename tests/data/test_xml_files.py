from __future__ import annotations

from pathlib import Path

import pytest

from regiontalk.data.xml_files import MAX_BYTES, MAX_DEPTH, box_in, read_xml, size_in
from regiontalk.errors import DataError

BOMB = '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'


def write(folder: Path, content: str | bytes) -> Path:
    file = folder / "a.xml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_reads_a_tree(tmp_path: Path) -> None:
    text = '<?xml version="1.0"?><a k="v"><b>1 &amp; 2</b><!-- note --><b/></a>'
    root = read_xml(write(tmp_path, text))
    assert (root.tag, root.get("k"), [b.text for b in root.findall("b")]) == (
        "a",
        "v",
        ["1 & 2", None],
    )


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        BOMB.encode("utf-16"),
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        "<!DOCTYPE a><a/>",
    ],
)
def test_document_types_are_refused(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(
        DataError, match=r"a\.xml: not an XML annotation \(a document type declaration"
    ):
        read_xml(write(tmp_path, content))


@pytest.mark.parametrize(
    "content", ["", "<a>", "<a></b>", "text", "<a>&unknown;</a>", b"\xff\xfe\x00", "<a/><a/>"]
)
def test_what_is_not_xml(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(DataError, match=r"a\.xml: not an XML annotation"):
        read_xml(write(tmp_path, content))


def test_deep_trees_are_refused(tmp_path: Path) -> None:
    read_xml(write(tmp_path, "<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH))
    with pytest.raises(DataError, match="inside each other"):
        read_xml(write(tmp_path, "<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1)))


def test_large_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at most 4,000,000 bytes"):
        read_xml(write(tmp_path, b"<a>" + b" " * MAX_BYTES + b"</a>"))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_xml(tmp_path / "none.xml")


def test_boxes_count_from_one(tmp_path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40.5</ymax></bndbox>"
    root = read_xml(write(tmp_path, f"<object>{box}</object>"))
    assert box_in(root) == (0, 1, 30, 40.5)  # pixel 1 is the first: its left edge is 0
    assert box_in(read_xml(write(tmp_path, "<object/>"))) is None
    assert box_in(read_xml(write(tmp_path, f"<object>{box.replace('30', 'x')}</object>"))) is None
    assert box_in(read_xml(write(tmp_path, f"<object>{box.replace('30', 'nan')}</object>"))) is None


def test_sizes(tmp_path: Path) -> None:
    text = "<annotation><size><width>500</width><height>375</height></size></annotation>"
    assert size_in(read_xml(write(tmp_path, text))) == (500, 375)
    assert size_in(read_xml(write(tmp_path, text.replace("375", "0")))) is None
    assert size_in(read_xml(write(tmp_path, text.replace("375", "nan")))) is None
    assert size_in(read_xml(write(tmp_path, "<annotation/>"))) is None
