"""Who may ask, how much may come in, how many at once.

Asked over plain sockets where a client would be too polite.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from regiontalk.model import Model

from .conftest import Running, Serve

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

from regiontalk.web.guard import without_port
from regiontalk.web.limits import Limits

# Starlette leaves the temporary file of a part that never ends to the garbage collector, which
# closes it and warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
)

HEADER = (
    b"POST /api/describe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; "
    b"boundary=x\r\n"
)


def raw(running: Running, *pieces: bytes) -> tuple[int, Any]:
    """Sends bytes, reads until the server closes or has answered: status and JSON."""
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        with connection.makefile("rb") as stream:
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            return status, json.loads(stream.read(length))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9999", 200),
        ("LOCALHOST", 200),
        ("[::1]:80", 200),
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.", 403),
        ("", 403),
    ],
)
def test_foreign_names_are_refused(served: Running, host: str, status: int) -> None:
    for path in ("/api/version", "/docs"):
        answer = served.client.get(path, headers={"host": host})
        assert answer.status_code == status
        assert status == 200 or "only under the names of the machine" in answer.json()["error"]


@pytest.mark.parametrize(
    ("host", "name"), [("a:1", "a"), ("a", "a"), ("[::1]:1", "[::1]"), ("[::1]", "[::1]")]
)
def test_without_port(host: str, name: str) -> None:
    assert without_port(host) == name


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "SELF"}, False),
        ({"origin": "SELF"}, True),
        ({"origin": "null"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://127.0.0.1:1"}, False),
        ({}, True),
    ],
)
def test_pages_of_other_sites_cannot_drive_it(
    served: Running, photo_file: Path, headers: dict[str, str], allowed: bool
) -> None:
    headers = {name: served.url if value == "SELF" else value for name, value in headers.items()}
    for answer in (
        served.client.post(
            "/api/describe", files={"photo": photo_file.read_bytes()}, headers=headers
        ),
        served.client.get("/api/search?q=dog", headers=headers),
    ):
        assert answer.status_code == (200 if allowed else 403)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    # A link to the page may be followed
    assert served.client.get("/docs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/api/version", "/api/nothing", "/openapi.json", "/static/nothing"]
)
def test_every_answer_is_strict(served: Running, path: str) -> None:
    headers = served.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_a_body_that_says_it_is_too_long(serve: Serve) -> None:
    with serve(limits=Limits(body_bytes=1000)) as running:
        status, answer = raw(running, HEADER + b"Content-Length: 1001\r\n\r\n", b"x" * 1001)
        assert (status, "larger than" in answer["error"]) == (413, True)


def test_a_body_that_grows_too_long_is_stopped_on_its_way(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks without end: nobody keeps them, and the answer comes while they still come."""
    from starlette.formparsers import MultiPartParser

    kept = 0
    data = MultiPartParser.on_part_data

    def counting(self: Any, piece: bytes, start: int, end: int) -> None:
        nonlocal kept
        kept += end - start
        data(self, piece, start, end)

    monkeypatch.setattr(MultiPartParser, "on_part_data", counting)
    with serve(limits=Limits(body_bytes=100_000)) as running:
        chunk = b"2710\r\n" + b"y" * 10_000 + b"\r\n"
        start = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        opening = (
            HEADER + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (len(start), start)
        )
        status, answer = raw(running, opening, *[chunk] * 30)
        assert (status, "larger than" in answer["error"]) == (413, True)
        assert 0 < kept <= 100_000
        assert running.client.get("/api/health").json() == {"status": "ok", "waiting": 0}


def test_a_body_that_never_ends_in_time(serve: Serve) -> None:
    with serve(limits=Limits(body_seconds=0.3)) as running:
        status, answer = raw(running, HEADER + b"Content-Length: 100\r\n\r\n", b"--x")
        assert (status, "did not come in within 0.3 s" in answer["error"]) == (408, True)


def test_a_client_that_goes_away_leaves_its_place(serve: Serve) -> None:
    with serve(limits=Limits(waiting=2)) as running:
        host, port = running.url.removeprefix("http://").split(":")
        for _ in range(5):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.sendall(HEADER + b"Content-Length: 100\r\n\r\n--x")
        until = time.monotonic() + 30
        while running.client.get("/api/health").json()["waiting"] and time.monotonic() < until:
            time.sleep(0.02)
        assert running.client.get("/api/health").json()["waiting"] == 0


def test_too_many_are_told_at_once(
    serve: Serve, photo_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While three requests hang, the fourth is told to come again.

    Its body is read to the end, so that it hears it.
    """
    held = threading.Event()
    look = Model.look

    def stuck(self: Model, photos: Any, boxes: Any = None, extra: bool = False) -> Any:
        assert held.wait(60)
        return look(self, photos, boxes, extra)

    monkeypatch.setattr(Model, "look", stuck)
    data = photo_file.read_bytes()
    with serve(limits=Limits(waiting=3)) as running, ThreadPoolExecutor(3) as pool:
        hanging = [
            pool.submit(running.client.post, "/api/describe", files={"photo": data})
            for _ in range(3)
        ]
        while running.client.get("/api/health").json()["waiting"] < 3:
            time.sleep(0.01)
        for content in (data, b"z" * 3_000_000):
            refused = running.client.post("/api/describe", files={"photo": content})
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert "Too many requests" in refused.json()["error"]
        assert running.client.get("/api/version").status_code == 200
        assert not any(each.done() for each in hanging)
        held.set()
        assert [each.result(60).status_code for each in hanging] == [200] * 3
        assert running.client.post("/api/describe", files={"photo": data}).status_code == 200
