"""Photos are decoded in processes that are ended when it takes too long, and others do not wait for
that.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regiontalk.errors import PhotoError

from .conftest import Running, Serve
from .hostile import POST, connect, eventually, scan_bomb

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

from regiontalk.web import decoding
from regiontalk.web.decoder import open_upload, read_message, takes_long, write_message
from regiontalk.web.decoding import Decoders
from regiontalk.web.limits import DEFAULTS, Limits

SIZE = 64
ODD = (
    "import time, regiontalk.web.decoder as d; real = d.open_upload\n"
    "def odd(data, name, *rest):\n"
    "    time.sleep(600 if name.startswith('slow') else 0); name.startswith('crash') and "
    "d.os.abort()\n"
    "    return 1 / 0 if name.startswith('bug') else real(data, name, *rest)\n"
    "d.open_upload = odd; d.main()"
)
"""In place of the last line of what starts a process: some photos take for ever, some break the
decoder."""
SHORT = Limits(quick_seconds=1.0, decode_seconds=1.5, slow_photos=2)


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders that do what the photo's name says."""
    start = decoding._START.rpartition("from regiontalk")[0]
    monkeypatch.setattr(decoding, "_START", start + f"exec({ODD!r})")


@contextmanager
def decoders(limits: Limits = DEFAULTS) -> Iterator[Decoders]:
    made = Decoders(limits)
    try:
        yield made
    finally:
        made.close()


def describe(running: Running, name: str, data: bytes) -> Any:
    return running.client.post("/api/describe", files={"photo": (name, data)})


def test_an_upload_is_kept_small(photo_file: Path) -> None:
    photo = open_upload(photo_file.read_bytes(), "../../etc/passwd", SIZE, 10**6)
    assert photo.image.size == (SIZE, SIZE)
    assert (photo.file, photo.width, photo.height) == ("../../etc/passwd", 120, 80)


def test_errors_name_the_upload() -> None:
    with pytest.raises(PhotoError, match=r"^a\\nb\.jpg: expected a photo .*found text"):
        open_upload(b"hello", "a\nb.jpg", SIZE, 10**6)


def test_a_process_decodes_to_the_same_pixels(photo_file: Path) -> None:
    here = open_upload(photo_file.read_bytes(), "ä\n.jpg", SIZE, 10**6)
    with decoders() as made, photo_file.open("rb") as file:
        there = asyncio.run(made.upload(file, "ä\n.jpg", SIZE))
    assert there.image.tobytes() == here.image.tobytes()
    assert (there.file, there.width, there.height) == (here.file, here.width, here.height)


def test_messages() -> None:
    stream = io.BytesIO()
    write_message(stream, {"name": "ä\n"}, b"\x00\n")
    write_message(stream, {})
    stream.seek(0)
    assert [read_message(stream), read_message(stream)] == [({"name": "ä\n"}, b"\x00\n"), ({}, b"")]
    with pytest.raises(EOFError):
        read_message(stream)


def test_what_takes_long_is_known_from_the_header(photo_file: Path) -> None:
    flat = io.BytesIO()
    Image.new("L", (5000, 5000)).save(flat, "PNG")
    bomb = scan_bomb(1000, 60)
    assert [
        takes_long(data) for data in (photo_file.read_bytes(), b"no photo", bomb, flat.getvalue())
    ] == [
        False,
        False,
        True,
        True,
    ]


def test_a_slow_photo_is_refused_by_name_and_others_go_on(
    serve: Serve, odd: None, photo_file: Path
) -> None:
    data = photo_file.read_bytes()
    with serve(limits=SHORT) as running, ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(describe, running, f"slow{number}.jpg", data) for number in range(2)]
        assert eventually(lambda: running.service.gate.inside == 2)
        assert describe(running, "quick.jpg", data).status_code == 200
        assert running.client.get("/api/health").json()["status"] == "ok"
        answers = [each.result(60) for each in slow]
    for number, answer in enumerate(answers):
        assert answer.status_code == 422
        said = (
            f"slow{number}.jpg: expected a photo that is decoded within 1.5 s, "
            "found one that takes longer. "
        )
        assert answer.json()["error"].startswith(said)


def test_too_many_slow_photos_are_told_to_come_again(
    serve: Serve, odd: None, photo_file: Path
) -> None:
    data = photo_file.read_bytes()
    with serve(limits=SHORT) as running, ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(describe, running, "slow.jpg", data) for _ in range(3)]
        answers = sorted((each.result(60) for each in slow), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [422, 422, 503]
    assert (
        answers[2]
        .json()["error"]
        .startswith("slow.jpg: it takes long to decode, and too many such photos wait. ")
    )
    assert int(answers[2].headers["retry-after"]) >= 1


def test_a_decoder_that_breaks_down_harms_nobody(serve: Serve, odd: None, photo_file: Path) -> None:
    data = photo_file.read_bytes()
    with serve() as running:
        broken = describe(running, "crash.jpg", data)
        assert (broken.status_code, describe(running, "whole.jpg", data).status_code) == (422, 200)
    assert "crash.jpg: expected a photo that can be decoded" in broken.json()["error"]


def test_a_bug_of_decoding_is_the_servers_own(
    serve: Serve, odd: None, photo_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve() as running:
        assert describe(running, "bug.jpg", photo_file.read_bytes()).status_code == 500
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_processes_that_were_ended_start_again(serve: Serve, photo_file: Path) -> None:
    with serve() as running:
        for process in running.service._decoders._quick._processes:
            started = process.start()
            assert started is not None
            os.kill(started.pid, signal.SIGKILL)
            started.wait()
        assert describe(running, "a.jpg", photo_file.read_bytes()).status_code == 200


def test_processes_that_do_not_start_are_a_bug(
    monkeypatch: pytest.MonkeyPatch, photo_file: Path
) -> None:
    monkeypatch.setattr(decoding, "_START", "raise SystemExit(1)")
    with (
        decoders() as made,
        photo_file.open("rb") as file,
        pytest.raises(RuntimeError, match="does not start; this tells why"),
    ):
        asyncio.run(made.upload(file, "a.jpg", SIZE))


def test_a_scan_bomb_holds_up_nobody(serve: Serve, photo_file: Path) -> None:
    bomb = scan_bomb(6000, 5000)
    with serve(limits=Limits(decode_seconds=1.0)) as running, ThreadPoolExecutor(4) as pool:
        bad = [pool.submit(describe, running, f"bomb{number}.jpg", bomb) for number in range(4)]
        assert describe(running, "quick.jpg", photo_file.read_bytes()).status_code == 200
        for number, each in enumerate(bad):
            answer = each.result(60)
            assert (answer.status_code, answer.json()["error"].split(":")[0]) == (
                422,
                f"bomb{number}.jpg",
            )


def test_work_for_a_client_that_left_is_given_up(serve: Serve, odd: None, photo_file: Path) -> None:
    """Two slow photos are decoded, and two wait for that.

    When their clients leave, nobody waits any more.
    """
    limits = Limits(quick_seconds=0.2, decode_seconds=30.0)
    with serve(limits=limits) as running:
        data = photo_file.read_bytes()
        form = (
            b'--x\r\nContent-Disposition: form-data; name="photo"; filename="slow"\r\n\r\n'
            + data
            + b"\r\n--x--\r\n"
        )
        clients = [connect(running) for _ in range(4)]
        for client in clients:
            client.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(form) + form)
        assert eventually(lambda: running.service._decoders._slow_places.inside == 4)
        for client in clients:
            client.close()
        assert eventually(lambda: running.service.gate.inside == 0)
        assert describe(running, "quick.jpg", photo_file.read_bytes()).status_code == 200
