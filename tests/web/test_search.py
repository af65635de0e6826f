"""Search over HTTP: what the command line finds, and small copies by id only.

And clear words where there is no index.
"""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from regiontalk.cli import main
from regiontalk.errors import ConfigError
from regiontalk.model import Model, load

from ..tiny_pack import write_tiny_pack
from .conftest import Running, Serve

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

from regiontalk.web.decoding import Decoders
from regiontalk.web.finding import Page, PhotoFinder

Indexed = tuple[Path, list[Path]]


def printed(
    capsys: pytest.CaptureFixture[str], tiny_pack: Path, *arguments: object
) -> list[dict[str, Any]]:
    """The lines that `regiontalk search --json` prints."""
    with pytest.raises(SystemExit) as ended:
        main(["search", *map(str, arguments), "--json", "--pack", str(tiny_pack), "--threads", "1"])
    assert not ended.value.code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def results(served: Running, **query: object) -> list[dict[str, Any]]:
    answer = served.client.get(
        "/api/search", params={key: str(value) for key, value in query.items()}
    )
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_by_sentence(
    served: Running, indexed: Indexed, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results(served, q="a dog in the snow", k=4)
    expected = printed(capsys, tiny_pack, "a dog in the snow", "--index", indexed[0], "-k", 4)
    shared = expected[0].keys()
    assert [{key: each[key] for key in shared} for each in found] == expected
    assert len(results(served, q="a dog in the snow")) == 6
    for each in found:
        whole = each["regions"][0]
        assert whole["box_xyxy"] == [0, 0, each["width"], each["height"]]
        for phrase in each["phrases"]:
            assert phrase["box_xyxy"] == pytest.approx(
                each["regions"][phrase["region"]]["box_xyxy"], abs=0.06
            )


def test_by_a_text(serve: Serve, model: Model, tiny_pack: Path, tmp_path: Path) -> None:
    """A name that the pack does not know finds the photo whose text has it.

    Such photos alone are counted.
    """
    for number in range(3):
        Image.new("RGB", (400, 300), (80 * number, 0, 0)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "1.jpg.txt").write_text("Großmutter Anna\n", "utf-8")
    index = tmp_path / "photos.index"
    with pytest.raises(SystemExit):
        main(
            [
                "index",
                "add",
                str(tmp_path),
                "--index",
                str(index),
                "--pack",
                str(tiny_pack),
                "--captions",
                str(tmp_path),
            ]
        )
    with serve(PhotoFinder(index, model, threads=1)) as running:
        answer = running.client.get("/api/search", params={"q": "GROSSMUTTER anna"}).json()
        (found,) = answer["results"]
        assert (answer["photos"], Path(found["file"]).name) == (1, "1.jpg")
        assert (found["text"], found["text_words"], found["phrases"]) == (
            "Großmutter Anna",
            ["anna"],
            [],
        )
        assert found["regions"][0]["box_xyxy"] == [0, 0, 400, 300]
        assert (
            running.client.get("/api/search", params={"q": "anna", "start": 1}).json()["results"]
            == []
        )
        assert running.client.get(
            "/api/search", params={"q": "anna", "path": "*/2.jpg"}
        ).json() == {
            "results": [],
            "photos": 0,
        }
        answer = running.client.get("/api/search", params={"q": "a dog and Anna"}).json()
        assert (answer["photos"], Path(answer["results"][0]["file"]).name) == (3, "1.jpg")
        assert [each["text"] for each in answer["results"][1:]] == [None, None]
        assert [each["text_words"] for each in answer["results"]] == [["anna"], [], []]
        like = running.client.get("/api/search/like", params={"id": found["id"]}).json()["results"]
        assert (like[0]["text"], like[0]["text_words"]) == ("Großmutter Anna", [])
        refused = running.client.get("/api/search", params={"q": "zyzzyva"})
        assert (refused.status_code, "knows none" in refused.json()["error"]) == (422, True)


def test_by_photo(
    served: Running, indexed: Indexed, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = indexed[1][2]
    uploaded = served.client.post(
        "/api/search/like", data={"k": "3"}, files={"photo": photo.read_bytes()}
    )
    expected = printed(capsys, tiny_pack, "--like", photo, "--index", indexed[0], "-k", 3)
    found = uploaded.json()["results"]
    assert [each["file"] for each in found] == [each["file"] for each in expected]
    assert [each["score"] for each in found] == pytest.approx(
        [each["score"] for each in expected], rel=1e-4
    )
    assert all(each["phrases"] == [] for each in found)
    (own,) = (each["id"] for each in results(served, q="dog") if each["file"] == str(photo))
    more = served.client.get("/api/search/like", params={"id": own, "k": 3}).json()["results"]
    assert [each["file"] for each in more] == [each["file"] for each in found]
    assert [each["score"] for each in more] == pytest.approx(
        [each["score"] for each in found], rel=1e-2
    )


def test_pages_are_the_whole_cut(served: Running, indexed: Indexed) -> None:
    whole = results(served, q="a dog", k=6)
    pages = [
        each for start in (0, 2, 4, 6) for each in results(served, q="a dog", k=2, start=start)
    ]
    assert pages == whole
    answer = served.client.get("/api/search", params={"q": "a dog", "k": 2, "start": 2}).json()
    assert answer["photos"] == 6
    photo = indexed[1][0].read_bytes()
    like = served.client.post("/api/search/like", data={"k": "6"}, files={"photo": photo}).json()[
        "results"
    ]
    cut = served.client.post(
        "/api/search/like", data={"k": "3", "start": "2"}, files={"photo": photo}
    ).json()
    assert [each["file"] for each in cut["results"]] == [each["file"] for each in like[2:5]]
    assert [each["rank"] for each in cut["results"]] == [3, 4, 5]
    more = served.client.get(
        "/api/search/like", params={"id": whole[0]["id"], "k": 2, "start": 5}
    ).json()
    assert [each["rank"] for each in more["results"]] == [6]


def test_filters(serve: Serve, model: Model, tiny_pack: Path, tmp_path: Path) -> None:
    """As `regiontalk search` has them."""
    for name, taken in (
        ("a/1.jpg", "2020:01:01 10:00:00"),
        ("a/2.jpg", "2021:06:01 10:00:00"),
        ("b/3.jpg", ""),
    ):
        exif = Image.Exif()
        if taken:
            exif[0x0132] = taken
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (400, 300), (int(name[2]) * 60, 0, 0)).save(tmp_path / name, exif=exif)
    index = tmp_path / "photos.index"
    with pytest.raises(SystemExit):
        main(["index", "add", str(tmp_path), "--index", str(index), "--pack", str(tiny_pack)])
    with serve(PhotoFinder(index, model, threads=1)) as running:

        def found(**filters: str) -> list[str]:
            answer = running.client.get("/api/search", params={"q": "a dog", **filters}).json()
            assert answer["photos"] == len(answer["results"])
            posted = {"photo": (tmp_path / "a/1.jpg").read_bytes()}
            like = running.client.post("/api/search/like", data=filters, files=posted).json()
            names = sorted(Path(each["file"]).name for each in answer["results"])
            assert names == sorted(Path(each["file"]).name for each in like["results"])
            return names

        assert found() == ["1.jpg", "2.jpg", "3.jpg"]
        assert found(path="*/a/*") == ["1.jpg", "2.jpg"]
        assert found(taken_from="2020-01-02") == ["2.jpg"]
        assert found(taken_to="2020-01-01") == ["1.jpg"]
        assert found(taken_from="2020-01-01", taken_to="2021-06-01", path="*/2.jpg") == ["2.jpg"]
        assert found(path="*nothing*") == []


def test_folders(serve: Serve, model: Model, tiny_pack: Path, tmp_path: Path) -> None:
    """Each with the photos below it, as the filter on paths finds them.

    Not one that holds all of them.
    """
    photos = tmp_path / "my photos"
    for number, name in enumerate(
        ("a.jpg", "2023/b.jpg", "2023/rome/c.jpg", "2023/rome [1]/d.jpg", "2024/e.jpg")
    ):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (40 * number, 0, 0)).save(photos / name)
    index = tmp_path / "photos.index"
    with pytest.raises(SystemExit):
        main(["index", "add", str(photos), "--index", str(index), "--pack", str(tiny_pack)])
    with serve(PhotoFinder(index, model, threads=1)) as running:
        folders = running.client.get("/api/folders").json()["folders"]
        assert {each["name"]: each["photos"] for each in folders} == {
            "2023": 3,
            "2023/rome": 1,
            "2023/rome [1]": 1,
            "2024": 1,
        }
        assert [each["path"] for each in folders] == sorted(
            f"{photos / each['name']}/" for each in folders
        )
        for each in folders:
            query = {"q": "a dog", "path": f"{each['path']}*"}
            assert (
                running.client.get("/api/search", params=query).json()["photos"] == each["photos"]
            )
    with serve() as without:
        assert without.client.get("/api/folders").status_code == 404


def test_one_folder_is_no_choice(served: Running) -> None:
    assert served.client.get("/api/folders").json() == {"folders": []}


def test_thumbnails_and_photos(served: Running, indexed: Indexed) -> None:
    for each in results(served, q="dog"):
        for key, longest in (("thumbnail", 320), ("photo", each["width"])):
            answer = served.client.get(each[key])
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            assert "immutable" in answer.headers["cache-control"]
            image = Image.open(io.BytesIO(answer.content))
            assert max(image.size) == longest
            assert image.size[0] / image.size[1] == pytest.approx(
                each["width"] / each["height"], rel=0.01
            )


def served_alone(model: Model, tiny_pack: Path, photo: Path) -> PhotoFinder:
    """Finds one photo."""
    index = photo.with_name("photos.index")
    with pytest.raises(SystemExit) as ended:
        main(["index", "add", str(photo), "--index", str(index), "--pack", str(tiny_pack)])
    assert not ended.value.code
    return PhotoFinder(index, model, threads=1)


@pytest.mark.parametrize("bank", [False, True])
def test_a_pack_that_scores_by_the_word(tmp_path: Path, bank: bool) -> None:
    pack, photo, sentence = tmp_path / "mean", tmp_path / "a.jpg", "a dog in the snow"
    write_tiny_pack(pack, score="mean", bank=bank)
    Image.new("RGB", (400, 300), "red").save(photo)
    model = load(pack, threads=1)
    (found,) = served_alone(model, pack, photo).by_sentence(sentence, Page(1))
    assert found["score"] == pytest.approx(float(model.score(photo, sentence)[0, 0]), rel=1e-4)


def test_a_pack_that_scores_by_equation_7_finds_no_photos(indexed: Indexed, tmp_path: Path) -> None:
    write_tiny_pack(tmp_path / "sum", score="sum")
    with pytest.raises(ConfigError, match=r"scored by Eq\. 7, but search ranks by Eq\. 8"):
        PhotoFinder(indexed[0], load(tmp_path / "sum", threads=1))


def test_copies_hold_no_more_than_is_to_be_seen(
    serve: Serve, model: Model, tiny_pack: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    hidden = {
        "exif": exif,
        "comment": b"SECRET comment",
        "xmp": b"SECRET place",
        "icc_profile": profile,
    }
    Image.new("RGB", (400, 300), "red").save(tmp_path / "a.jpg", **hidden)
    assert (tmp_path / "a.jpg").read_bytes().count(b"SECRET") == 3
    with serve(served_alone(model, tiny_pack, tmp_path / "a.jpg")) as running:
        (found,) = results(running, q="a dog")
        copies = [running.client.get(found[kind]).content for kind in ("thumbnail", "photo")]
    for data in copies:
        assert b"SECRET" not in data
        assert Image.open(io.BytesIO(data)).info["icc_profile"] == profile


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "0-",
        "0-000000000000",
        "99-000000000000",
        "-1",
        "x",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "1" * 64,
        "²-0",
    ],
)
def test_ids_that_the_index_lacks(served: Running, number: str) -> None:
    for path in ("thumbnail", "photo"):
        answer = served.client.get(f"/api/{path}/{number}")
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]
    assert served.client.get(f"/api/search/like?id={number}").status_code == 404


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=", "q: "),
        ("", "q: "),
        ("q=?!", "no word"),
        ("q=zyzzyva", "knows none"),
        ("q=dog&k=0", "k: "),
        ("q=dog&k=101", "k: "),
        ("q=dog&start=-1", "start: "),
        ("q=dog&start=10001", "start: "),
        ("q=dog&taken_from=1", "taken_from: .*expected a day as YYYY-MM-DD"),
        ("q=dog&taken_from=2021-02-29", "taken_from: "),
        ("q=dog&taken_to=2021-1-1", "taken_to: "),
        ("q=dog&path=" + "x" * 1001, "path: "),
    ],
)
def test_queries_without_meaning(served: Running, query: str, said: str) -> None:
    answer = served.client.get(f"/api/search?{query}")
    assert answer.status_code == 422
    assert re.search(said, answer.json()["error"])


def test_without_an_index(serve: Serve, photo_file: Path) -> None:
    with serve() as running:
        answers = [
            running.client.get("/api/search?q=dog"),
            running.client.get("/api/search/like?id=0"),
            running.client.post("/api/search/like", files={"photo": photo_file.read_bytes()}),
            running.client.get("/api/thumbnail/0"),
            running.client.get("/api/photo/0"),
        ]
    for answer in answers:
        assert answer.status_code == 404
        assert "regiontalk serve --index DIR" in answer.json()["error"]


def test_photos_that_changed_are_not_shown(
    serve: Serve, model: Model, tiny_pack: Path, indexed: Indexed, tmp_path: Path
) -> None:
    """What lies at an indexed path now need not be what was indexed."""
    photos = Path(shutil.copytree(indexed[1][0].parent, tmp_path / "photos"))
    index = tmp_path / "photos.index"
    with pytest.raises(SystemExit):
        main(["index", "add", str(photos), "--index", str(index), "--pack", str(tiny_pack)])
    files = sorted(photos.iterdir())
    files[0].unlink()
    files[1].write_text("a secret that somebody put here")
    with serve(PhotoFinder(index, model, threads=1)) as running:
        shown = {
            each["file"]: running.client.get(each["thumbnail"])
            for each in results(running, q="dog")
        }
    assert [shown[str(file)].status_code for file in files] == [404, 404, 200, 200, 200, 200]
    assert "Bring the index up to date" in shown[str(files[1])].json()["error"]


def test_a_kept_copy_does_not_outlive_its_photo(
    serve: Serve, model: Model, tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "a.jpg"
    Image.new("RGB", (400, 300), "red").save(photo)
    made: list[object] = []
    copy = Decoders.copy

    async def counted(self: Decoders, *arguments: Any) -> bytes:
        made.append(arguments)
        return await copy(self, *arguments)

    monkeypatch.setattr(Decoders, "copy", counted)
    with serve(served_alone(model, tiny_pack, photo)) as running:
        (found,) = results(running, q="a dog")
        first, second = (running.client.get(found["thumbnail"]) for _ in range(2))
        assert first.content == second.content
        assert len(made) == 1  # the second one was kept
        photo.unlink()
        gone = running.client.get(found["thumbnail"])
    assert (gone.status_code, "gone or changed" in gone.json()["error"]) == (404, True)
