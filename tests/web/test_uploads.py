"""Uploads that are no good: a clear 4xx each, nothing written, nothing echoed as HTML.

And the server goes on.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import Running

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

# Starlette leaves the temporary file of a part that never ends to the garbage collector, which
# closes it and warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
)


@pytest.fixture(autouse=True)
def goes_on(served: Running, photo_file: Path) -> Iterator[None]:
    """After each test the server still answers."""
    yield
    assert (
        served.client.post("/api/describe", files={"photo": photo_file.read_bytes()}).status_code
        == 200
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes) -> bytes:
    """A PNG in grey that says these sizes, whatever its data holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def saved(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


BAD = {
    "empty": (b"", "an empty file"),
    "text": (b"just some text", "found text"),
    "html": (b"<!doctype html><script>alert(1)</script>", "found text"),
    "svg": (
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "found text",
    ),
    "pdf": (b"%PDF-1.7\n\xff", "a PDF document"),
    "zip": (b"PK\x03\x04\xff\xfe", "a ZIP archive"),
    "jpeg cut off": (saved("JPEG")[:700], "JPEG photo"),
    "png cut off": (saved("PNG")[:5000], "PNG photo"),
    "too many pixels": (png(20_000, 20_000, b""), "at most 50,000,000 pixels"),
    "bomb": (png(40_000, 40_000, bytes(40_001 * 4000)), "at most 50,000,000 pixels"),
    "absurd size": (png(2**31 - 1, 2**31 - 1, b""), "pixels"),
    "no pixel": (png(0, 5, b""), ""),
    "noise": (np.random.default_rng(1).bytes(20_000), ""),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("path", ["/api/describe", "/api/align", "/api/search/like"])
def test_what_is_no_photo(served: Running, what: str, path: str) -> None:
    content, reason = BAD[what]
    form = {"sentence": "a dog"} if path == "/api/align" else {}
    answer = served.client.post(path, data=form, files={"photo": ("holiday.jpg", content)})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("holiday.jpg: expected ")
    assert reason in answer.json()["error"]
    assert "max" not in answer.json()["error"]  # advice for who runs the server


def test_more_data_than_pixels_is_never_unpacked(served: Running) -> None:
    """50 MB of zeros behind ten rows of ten pixels: the decoder stops after these."""
    answer = served.client.post("/api/describe", files={"photo": png(10, 10, bytes(50_000_000))})
    assert (answer.status_code, answer.json()["width"], answer.json()["height"]) == (200, 10, 10)


def test_too_large(served: Running) -> None:
    answer = served.client.post("/api/describe", files={"photo": ("a.jpg", bytes(33 * 2**20))})
    assert answer.status_code == 413
    assert answer.json()["error"] == "The upload is larger than 32 MiB. Make the photo smaller."


NAMES = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "..\\..\\x.jpg",
    "a.jpg/../../b",
    "con",
    "~root/x",
    "x" * 200 + ".jpg",
    "file:///etc/passwd",
    '<img src=x onerror="alert(1)">.jpg',
    "</script><script>alert(1)</script>",
    "ä 日本 🐕.jpg",
    "a\u202egpj.exe",
    "-rf",
    " ",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_only_ever_echoed_as_json(
    served: Running, photo_file: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good = served.client.post("/api/describe", files={"photo": (name, photo_file.read_bytes())})
    bad = served.client.post("/api/describe", files={"photo": (name, b"no photo")})
    assert (good.status_code, bad.status_code) == (200, 422)
    for answer in (good, bad):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.text.isascii()
    # clients write " in a name as %22, as the HTML standard says; some parsers keep a Windows
    # path's last part
    assert good.json()["file"] in (name, name.replace('"', "%22"), name.rpartition("\\")[2])
    assert "found text" in bad.json()["error"]
    assert list(tmp_path.iterdir()) == []


def test_html_in_a_sentence_is_json(served: Running, photo_file: Path) -> None:
    sentence = "<script>alert('dog')</script> a \"dog\" & \u2028 <b>cat</b>"
    answer = served.client.post(
        "/api/align",
        data={"sentence": sentence},
        files={"photo": ("a.jpg", photo_file.read_bytes())},
    )
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["sentence"] == sentence
    assert all(word["text"].isalnum() for word in answer.json()["words"])


PART = b'--x\r\nContent-Disposition: form-data; name="photo"'
FORM = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"--x--\r\n", FORM),
        (b"rubbish", FORM),
        (b"rubbish", "multipart/form-data"),
        (PART + b"\r\n\r\ntext\r\n--x--\r\n", FORM),
        (PART + b'; filename="a"\r\n\r\ncut', FORM),
        (b"photo=1", "application/x-www-form-urlencoded"),
        (b'{"photo": 1}', "application/json"),
        (b"\xff\xd8\xff", "image/jpeg"),
    ],
)
def test_bodies_that_hold_no_photo(served: Running, body: bytes, kind: str) -> None:
    answer = served.client.post("/api/describe", content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 422)
    assert list(answer.json()) == ["error"]


def test_thousands_of_parts_are_refused(served: Running) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n\r\n'
    answer = served.client.post(
        "/api/describe",
        content=part * 5000 + b"--x--\r\n",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert (answer.status_code, "Too many files" in answer.json()["error"]) == (400, True)


def test_uploads_leave_nothing_behind(
    served: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo above the size kept in memory goes through a nameless file, which vanishes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (800, 900, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    assert len(out.getvalue()) > 2**20
    assert (
        served.client.post("/api/describe", files={"photo": ("a.png", out.getvalue())}).status_code
        == 200
    )
    assert list(tmp_path.iterdir()) == []
