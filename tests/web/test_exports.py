"""Tables and sidecars made of names and texts alone are those that `regiontalk describe` writes."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from regiontalk.data.alt_table import COLUMNS, AltTableFile
from regiontalk.data.sidecars import read_sidecar, write_sidecar

from .conftest import Running, Serve

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

DOG: dict[str, Any] = {
    "file": "dog.jpg",
    "caption": "a dog",
    "width": 500,
    "height": 375,
    "regions": ["a brown dog", "grass"],
}
CAT: dict[str, Any] = {
    "file": "more/=1.jpg",
    "caption": "a \u201ccat\u201d; <b> & c",
    "width": 64,
    "height": 48,
    "regions": [],
}


def asked(running: Running, kind: str, *photos: dict[str, Any]) -> Any:
    return running.client.post(f"/api/export/{kind}", json={"photos": photos})


def test_the_table_is_the_command_lines(served: Running, tmp_path: Path) -> None:
    answer = asked(served, "csv", DOG, CAT)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="captions.csv"'
    table = AltTableFile(tmp_path / "alt.csv")
    for each in (DOG, CAT):
        table.add(
            tmp_path / each["file"],
            each["caption"],
            (each["width"], each["height"]),
            tuple(each["regions"]),
        )
    table.save()
    assert answer.content == (tmp_path / "alt.csv").read_bytes()
    (dog, cat) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert tuple(dog) == COLUMNS
    assert (dog["regions"], cat["caption"]) == ("a brown dog; grass", CAT["caption"])


def test_sidecars_are_the_command_lines(served: Running, tmp_path: Path) -> None:
    answer = asked(served, "xmp", DOG, CAT, {**DOG, "file": "said nothing.jpg", "caption": " "})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.namelist() == ["dog.jpg.xmp", "more/=1.jpg.xmp"]
        assert {each.compress_type for each in packed.infolist()} == {zipfile.ZIP_STORED}
        packed.extractall(tmp_path / "unpacked")
    for each in (DOG, CAT):
        unpacked = tmp_path / "unpacked" / f"{each['file']}.xmp"
        write_sidecar(tmp_path / "expected.xmp", each["caption"], overwrite=True)
        assert unpacked.read_bytes() == (tmp_path / "expected.xmp").read_bytes()
        assert read_sidecar(unpacked) == each["caption"]
        (tmp_path / "expected.xmp").unlink()


@pytest.mark.parametrize("kind", ["csv", "xmp"])
@pytest.mark.parametrize(
    "name", ["../up.jpg", "/etc/dog.jpg", "C:\\dog.jpg", "a\\..\\..\\dog.jpg", "a\nb.jpg", ".", " "]
)
def test_names_that_leave_the_folder_are_refused(served: Running, kind: str, name: str) -> None:
    answer = asked(served, kind, DOG, {**CAT, "file": name})
    assert answer.status_code == 422
    assert "expected a path inside the photos' folder" in answer.json()["error"]


@pytest.mark.parametrize("kind", ["csv", "xmp"])
def test_two_photos_of_one_name_are_refused(served: Running, kind: str) -> None:
    answer = asked(served, kind, DOG, CAT, DOG)
    assert (answer.status_code, "two photos called 'dog.jpg'" in answer.json()["error"]) == (
        422,
        True,
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"photos": []},
        {"photos": [DOG], "more": 1},
        {"photos": [{**DOG, "caption": "x" * 4001}]},
        {"photos": [{**DOG, "caption": "\ud800"}]},
        {"photos": [{**DOG, "width": -1}]},
        {"photos": [{**DOG, "width": 10**9}]},
        {"photos": [{**DOG, "regions": ["x"] * 101}]},
        {"photos": [{name: value for name, value in DOG.items() if name != "caption"}]},
        {"photos": [DOG] * 5001},
        [DOG],
    ],
)
def test_what_is_no_list_of_captions_is_refused(served: Running, body: Any) -> None:
    import json

    kind = {"content-type": "application/json"}
    answer = served.client.post("/api/export/csv", content=json.dumps(body), headers=kind)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[" * 100_000, b'{"photos": ' + b"9" * 5_000 + b"}"]
)
def test_what_is_no_json_is_refused(served: Running, body: bytes) -> None:
    answer = served.client.post(
        "/api/export/xmp", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert list(answer.json()) == ["error"]


def test_a_body_that_is_too_long_is_refused(serve: Serve) -> None:
    from regiontalk.web.limits import Limits

    with serve(limits=Limits(export_bytes=2**20)) as running:
        answer = asked(running, "csv", {**DOG, "caption": "x" * 2**20})
        assert (answer.status_code, "longer than 1 MiB" in answer.json()["error"]) == (413, True)
        assert asked(running, "csv", DOG).status_code == 200
