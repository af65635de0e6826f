"""The API answers what the command line prints, says clearly what is wrong, and shares passes."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regiontalk
from regiontalk.cli import main
from regiontalk.model import Model

from .conftest import Running, Serve

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

SENTENCE = "A dog is running on the grass"


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What the command line prints with --json."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments), "--json", "--threads", "1"])
    assert not ended.value.code
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def close(found: Any, expected: Any) -> bool:
    """Whether two JSON values agree, numbers but for rounding: a batch may add in another order."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            close(found[key], each) for key, each in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            close(*each) for each in zip(found, expected, strict=True)
        )
    return bool(
        found
        == (
            pytest.approx(expected, rel=1e-4, abs=1e-3) if isinstance(expected, float) else expected
        )
    )


def test_describe_is_the_command_lines(
    served: Running, photo_file: Path, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with photo_file.open("rb") as file:
        answer = served.client.post("/api/describe", files={"photo": ("blocks.jpg", file)})
    assert answer.status_code == 200
    expected = printed(capsys, "describe", photo_file, "--pack", tiny_pack)
    assert close(answer.json(), {**expected, "file": "blocks.jpg"})


def test_align_is_the_command_lines(
    served: Running, photo_file: Path, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = {"sentence": SENTENCE, "beta": "0.5"}
    found = served.client.post(
        "/api/align", data=form, files={"photo": ("b.jpg", photo_file.read_bytes())}
    ).json()
    expected = printed(capsys, "align", photo_file, SENTENCE, "--beta", 0.5, "--pack", tiny_pack)
    scores, beta = found.pop("scores"), found.pop("beta")
    assert close(found, {**expected, "file": "b.jpg"})
    assert beta == 0.5
    assert [len(row) for row in scores] == [len(found["regions"])] * len(found["words"])
    for word, row in zip(found["words"], scores, strict=True):
        assert row[word["region"]] == pytest.approx(word["score"], rel=1e-5)


def test_a_given_box(served: Running, photo_file: Path, model: Model) -> None:
    def ask(**form: str) -> Any:
        return served.client.post(
            "/api/describe/box", data=form, files={"photo": ("b.jpg", photo_file.read_bytes())}
        )

    found = ask(box="10,20,60.5,70").json()
    (regions,) = model.look(photo_file, [np.array([[10, 20, 60.5, 70]], np.float32)])
    (expected,) = model.describe_regions([regions])
    assert found["box_xyxy"] == pytest.approx([10, 20, 60.5, 70], abs=0.01)
    assert found["caption"]["text"] == expected.region_captions[0].text
    assert (found["file"], found["words"]) == ("b.jpg", None)
    with_words = ask(box="10,20,60.5,70", sentence=SENTENCE).json()
    (read,) = model.read(SENTENCE)
    assert [each["text"] for each in with_words["words"]] == list(read.words)
    scores = [each["score"] for each in with_words["words"]]
    assert scores == pytest.approx((read.vectors @ regions.vectors[1]).tolist(), rel=1e-4, abs=1e-4)
    for box in (
        "",
        "1,2,3",
        "1,2,3,4,5",
        "1,2,3,nan",
        "1e3,2,3,4",
        "1,2,3,4\n",
        "5,5,4,4",
        "-9,-9,-1,-1",
    ):
        answer = ask(box=box)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("box: ")
    assert ask(box="1,2,30,40", sentence="?!").status_code == 422


def test_beam_and_temperature(served: Running, photo_file: Path) -> None:
    def ask(**form: str) -> Any:
        return served.client.post(
            "/api/describe", data=form, files={"photo": photo_file.read_bytes()}
        )

    assert ask(beam="1").status_code == ask(temperature="0.7").status_code == 200
    both = ask(beam="2", temperature="1")
    assert (both.status_code, "give one of the two" in both.json()["error"]) == (422, True)


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("/api/describe", {"beam": "0"}, "^beam: Input should be greater than or equal to 1$"),
        ("/api/describe", {"beam": "101"}, "beam"),
        ("/api/describe", {"temperature": "nan"}, "temperature"),
        ("/api/align", {}, "sentence: .*required"),
        ("/api/align", {"sentence": ""}, "sentence"),
        ("/api/align", {"sentence": "x" * 1001}, "sentence: .*1000"),
        ("/api/align", {"sentence": "?!"}, "no word"),
        ("/api/align", {"sentence": "zyzzyva"}, "knows none"),
        ("/api/align", {"sentence": SENTENCE, "beta": "-1"}, "beta"),
        ("/api/align", {"sentence": SENTENCE, "beta": "inf"}, "beta"),
        ("/api/search/like", {"k": "0"}, "k: "),
    ],
)
def test_wrong_fields(
    served: Running, photo_file: Path, path: str, form: dict[str, str], said: str
) -> None:
    answer = served.client.post(path, data=form, files={"photo": photo_file.read_bytes()})
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]
    assert re.search(said, answer.json()["error"])


def test_health_and_version(served: Running, serve: Serve, model: Model) -> None:
    assert served.client.get("/api/health").json() == {"status": "ok", "waiting": 0}
    version = served.client.get("/api/version").json()
    assert version["version"] == regiontalk.__version__
    assert version["pack"] == {
        "name": "tiny",
        "checksum": model.pack.checksum,
        "beta": 1.0,
        "beam": 3,
    }
    assert version["index"] == {"photos": 6}
    with serve() as without:
        assert without.client.get("/api/version").json()["index"] is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/describe", 405),
        ("PUT", "/api/align", 405),
        ("GET", "/x", 404),
    ],
)
def test_unknown_routes_answer_json(served: Running, method: str, path: str, status: int) -> None:
    answer = served.client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert ("allow" in answer.headers) == (status == 405)


def test_what_comes_together_shares_a_pass(
    serve: Serve, photo_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one pass is held up, ten requests come; they are answered by one other pass."""
    passes: list[int] = []
    busy, free = threading.Event(), threading.Event()
    look = Model.look

    def slow_look(self: Model, photos: Any, boxes: Any = None, extra: bool = False) -> Any:
        passes.append(len(photos))
        busy.set()
        assert free.wait(60)
        return look(self, photos, boxes, extra)

    monkeypatch.setattr(Model, "look", slow_look)
    data = photo_file.read_bytes()
    with serve() as running, ThreadPoolExecutor(11) as pool:

        def ask(number: int) -> Any:
            form = {"sentence": SENTENCE} if number % 2 else {}
            path = "/api/align" if number % 2 else "/api/describe"
            return running.client.post(path, data=form, files={"photo": (f"{number}.jpg", data)})

        first = pool.submit(ask, 0)
        assert busy.wait(60)
        rest = [pool.submit(ask, number) for number in range(1, 11)]
        queue = running.service._batcher._jobs
        while queue.qsize() < 10:
            threading.Event().wait(0.01)
        # The loop is never blocked
        assert running.client.get("/api/health").json()["waiting"] == 11
        free.set()
        answers = [each.result(60) for each in (first, *rest)]
    assert [each.status_code for each in answers] == [200] * 11
    assert [each.json()["file"] for each in answers] == [f"{number}.jpg" for number in range(11)]
    assert [photos for photos in passes if photos] == [1, 10]  # aligning regions asks for no photo


def test_a_bug_is_told_without_a_traceback(
    serve: Serve,
    photo_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret")

    with serve() as running:
        with monkeypatch.context() as patch:
            patch.setattr(Model, "look", broken)
            answer = running.client.post("/api/describe", files={"photo": photo_file.read_bytes()})
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert list(answer.json()) == ["error"]
        assert (
            running.client.post(
                "/api/describe", files={"photo": photo_file.read_bytes()}
            ).status_code
            == 200
        )
    assert "secret" in capsys.readouterr().err  # the log tells, once the server has ended


def test_docs_need_no_other_host(served: Running) -> None:
    page = served.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for route in ("POST /api/describe", "POST /api/align", "GET /api/search", "GET /api/version"):
        assert f"<code>{route}</code>" in page.text
    assert "<script" not in page.text
    assert not re.findall(r"(?:src|href)=\"(?!/|#)", page.text)
    assert served.client.get("/docs.css").headers["content-type"].startswith("text/css")
    links = set(re.findall(r'href="#(\w+)"', page.text))
    assert links and links <= set(re.findall(r'id="(\w+)"', page.text))


def test_the_page_is_served_from_the_package(served: Running) -> None:
    page = served.client.get("/")
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert served.client.get(path).status_code == 200, path
    scripts = re.findall(r'src="([^"]+\.js)"', page.text)
    assert scripts
    assert served.client.get(scripts[0]).headers["content-type"].startswith("text/javascript")
    assert served.client.get("/samples/coffee.jpg").headers["content-type"] == "image/jpeg"
    for outside in (
        "/samples/../api.py",
        "/samples/",
        "/static/../api.py",
        "/static/%2e%2e/api.py",
        "/static/..%2fapi.py",
        "/static/",
    ):
        assert served.client.get(outside).status_code == 404
