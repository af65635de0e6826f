"""Slow, silent and greedy clients.

Each meets a deadline or a limit, others are served, and stderr stays empty.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Running, Serve
from .hostile import HALF_HEAD, POST, answered, connect, eventually, is_closed, refused

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

from regiontalk.web import server
from regiontalk.web.limits import BusyError, Limits, Upload, Uploads

GET = b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
FIELD = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'


@pytest.fixture(autouse=True)
def says_nothing(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a client does, the server's log is for what is wrong with the server."""
    yield
    assert capfd.readouterr().err == ""


# Deadlines


def test_half_a_head_is_not_waited_for(serve: Serve) -> None:
    with (
        serve(limits=Limits(head_seconds=0.3)) as running,
        connect(running) as half,
        connect(running) as silent,
    ):
        half.sendall(HALF_HEAD)
        assert refused(half) == (408, "The request's head did not come in within 0.3 s.")
        assert is_closed(half) and is_closed(silent)


def test_a_head_that_trickles_in_has_one_deadline(serve: Serve) -> None:
    with serve(limits=Limits(head_seconds=0.5)) as running, connect(running) as slow:
        slow.settimeout(0.1)
        for letter in HALF_HEAD * 20:
            try:
                slow.sendall(bytes([letter]))
                if slow.recv(1000):
                    break
            except TimeoutError:
                continue
        else:
            pytest.fail("it was waited for")


def test_half_a_second_head_is_not_waited_for(serve: Serve) -> None:
    limits = Limits(head_seconds=0.5, idle_seconds=600)
    with serve(limits=limits) as running, connect(running) as client:
        client.sendall(GET)
        assert answered(client)[0] == 200
        client.sendall(HALF_HEAD)
        assert refused(client)[0] == 408


def test_idle_connections_are_closed(serve: Serve) -> None:
    with serve(limits=Limits(idle_seconds=0.2)) as running, connect(running) as client:
        client.sendall(GET)
        assert answered(client)[0] == 200
        assert is_closed(client)


@pytest.mark.parametrize("path", [b"/static/views.js", b"/api/version", b"/docs"])
def test_clients_that_never_read_are_closed(serve: Serve, path: bytes) -> None:
    with serve(limits=Limits(send_seconds=0.5, waiting=2)) as running:
        clients = [connect(running, received_bytes=1024) for _ in range(5)]
        for client in clients:
            client.settimeout(0.5)
            try:
                for _ in range(20_000):
                    client.sendall(GET.replace(b"/static/style.css", path))
            except (TimeoutError, ConnectionError):
                pass
        assert running.client.get("/api/health").status_code == 200
        made = running.server.server_state.connections
        assert eventually(lambda: len(made) <= 1)  # the polite one's
        for client in clients:
            client.close()


# Places


def test_slow_bodies_keep_nobody_out(serve: Serve, photo_file: Path) -> None:
    with serve(limits=Limits(uploads=3, waiting=2)) as running:
        clients = [connect(running) for _ in range(6)]
        for client in clients[:3]:
            client.sendall(POST + b"Content-Length: 1000\r\n\r\n--x")
        assert eventually(
            lambda: (
                running.client.post(
                    "/api/describe", files={"photo": photo_file.read_bytes()}
                ).status_code
                == 200
            )
        )
        told = refused(clients[0])
        assert told == (408, "The request came in slowly and gave way to others. Send it again.")
        for client in clients:
            client.close()


def test_the_slowest_upload_gives_way() -> None:
    given: list[str] = []
    uploads = Uploads(2, 0.5)
    fast, slow = (
        Upload(lambda: given.append("fast"), 0.0, 5000),
        Upload(lambda: given.append("slow"), 0.0, 5),
    )
    uploads.enter(fast)
    uploads.enter(slow)
    with pytest.raises(BusyError, match="Try again in"):
        uploads.enter(Upload(lambda: None, 0.1))  # neither had a moment yet
    uploads.enter(Upload(lambda: None, 10.0))
    assert given == ["slow"]


def test_idle_connections_give_way_to_new_ones(serve: Serve) -> None:
    with serve(limits=Limits(connections=5)) as running:
        clients = [connect(running) for _ in range(30)]
        for client in clients:
            client.sendall(HALF_HEAD)
        assert running.client.get("/api/version").status_code == 200
        assert is_closed(clients[0])
        assert len(running.server.server_state.connections) <= 6
        for client in clients:
            client.close()


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_more_clients_than_files_may_be_open(tiny_pack: Path) -> None:
    """With 128 open files in all, 400 half-sent heads neither lock others out nor fill the log."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128));from "
        f"regiontalk.cli import main; main(['serve', '--port', '0', '--pack', {str(tiny_pack)!r}])"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = next(
                word for word in process.stdout.readline().split() if word.startswith("http://")
            ).rstrip("/")
            import httpx

            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                running = Running(url, client, None, None)  # type: ignore[arg-type]
                clients = [connect(running) for _ in range(400)]
                for each in clients:
                    try:
                        each.sendall(HALF_HEAD)
                    except ConnectionError:
                        continue  # it gave way already
                assert client.get("/api/version").status_code == 200
            for each in clients:
                each.close()
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60)[1] == "regiontalk: stopped\n"
        finally:
            process.kill()


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_as_many_files_as_allowed() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128));"
        "from regiontalk.web.server import allow_most_files, files_allowed as allowed;"
        "print(allowed()); allow_most_files(); print(allowed())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["64", "128"]
    assert server.files_allowed() > 0


# Forms


def post(running: Running, body: bytes, kind: str = "multipart/form-data; boundary=x") -> Any:
    return running.client.post("/api/describe", content=body, headers={"content-type": kind})


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (FIELD % (b"beam", b"1" * 5000), 400, "Part exceeded maximum size"),
        (FIELD % (b"other", b"1" * 5000), 400, "Part exceeded maximum size"),
        (FIELD % (b"beam", b"1") * 4, 400, "Too many fields"),
        (
            FIELD % (b"other", b"1"),
            422,
            "^expected the fields photo, beam, temperature, found 'other'. Leave it out.$",
        ),
        (FIELD % (b"beam", b"1") * 2, 422, "^beam: expected once, found 2 times$"),
        (
            FIELD % (b"photo", b"1"),
            422,
            "^photo: expected a file, found text. Send the photo with a file name$",
        ),
        (FIELD % (b'beam"; filename="b', b"1"), 422, "^beam: expected text, found a file$"),
        (
            FIELD % (b'photo"; filename="one.jpg', b"1")
            + FIELD % (b'photo"; filename="two.jpg', b"1"),
            422,
            "^expected one photo, found several: one.jpg, two.jpg$",
        ),
        (FIELD % (b'photo"; filename="a', b"1") * 3, 400, "Too many files"),
    ],
)
def test_only_the_fields_that_exist(served: Running, body: bytes, status: int, said: str) -> None:
    answer = post(served, body + b"--x--\r\n")
    assert answer.status_code == status
    assert re.search(said, answer.json()["error"])


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "application/json", "text/plain"]
)
def test_only_multipart_forms_are_read(served: Running, kind: str) -> None:
    answer = post(served, b"photo=" + b"x" * 3_000_000, kind)
    assert answer.status_code == 400
    assert answer.json()["error"] == f"expected a form as multipart/form-data, found '{kind}'"


def test_huge_text_is_not_kept(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a field of eight megabytes no more than its limit is ever in the form."""
    from starlette.formparsers import MultiPartParser

    kept = 0
    data = MultiPartParser.on_part_data

    def counting(self: Any, piece: bytes, start: int, end: int) -> None:
        nonlocal kept
        data(self, piece, start, end)
        kept = max(kept, len(self._current_part.data))

    monkeypatch.setattr(MultiPartParser, "on_part_data", counting)
    assert post(served, FIELD % (b"beam", b"1" * 2**23) + b"--x--\r\n").status_code == 400
    assert kept <= 4096


def test_in_a_crowd_a_refused_body_is_answered_later(serve: Serve) -> None:
    """So who sends nothing of use comes less often.

    Whoever reads a page, or sends little, does not wait.
    """
    rubbish = (
        FIELD.replace(b'name="%s"', b'name="%s"; filename="a.jpg"') % (b"photo", b"x" * 9000)
        + b"--x--\r\n"
    )
    for crowd, seconds in ((0, 0.5), (1, 0.0)):
        with serve(limits=Limits(crowd=crowd, refusal_seconds=0.5)) as running:
            began = time.monotonic()
            assert post(running, rubbish).status_code == 422
            assert time.monotonic() - began >= seconds


# What is no HTTP, and HEAD


@pytest.mark.parametrize(
    "sent",
    [b"rubbish\r\n\r\n", b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"X" * 99_999],
)
def test_what_is_no_http_is_told_in_json(served: Running, sent: bytes) -> None:
    with connect(served) as client:
        client.sendall(sent)
        assert refused(client) == (400, "expected an HTTP request, found something else")


def test_a_body_that_breaks_off_into_rubbish(served: Running) -> None:
    with connect(served) as client:
        client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\n--x\r\nrubbish\r\n")
        assert refused(client)[0] == 400
    with connect(served) as client:  # it is answered already, and its body is no longer of use
        client.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: "
            b"chunked\r\n\r\n3\r\n--x\r\n"
        )
        assert refused(client)[0] == 404
        client.sendall(b"rubbish\r\n")
        assert is_closed(client)
    assert served.client.get("/api/health").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/docs.css", "/openapi.json", "/static/app.js", "/api/version", "/nothing"],
)
def test_head_is_get_without_a_body(served: Running, path: str) -> None:
    head, get = served.client.head(path), served.client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert served.client.head("/api/describe").status_code == 405


@pytest.mark.parametrize("wanted", ["bytes=0-10", "bytes=99999999-", "rubbish"])
def test_files_are_sent_whole(served: Running, wanted: str) -> None:
    assert served.client.get("/static/app.js", headers={"range": wanted}).status_code == 200
