"""One address among others, over plain sockets: whatever it takes, there is room for them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regiontalk.model import Model

from .conftest import Serve
from .hostile import HALF_HEAD, POST, answered, connect, eventually, is_closed, refused

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

from regiontalk.web.limits import Limits

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux", reason="all of 127.0.0.0/8 is this machine only on Linux"
    ),
    # Starlette leaves the temporary file of a part that never ends to the garbage collector, which
    # closes it and warns.
    pytest.mark.filterwarnings(
        "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
    ),
]

GREEDY, OTHER = "127.0.0.2", "127.0.0.3"
GET = b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(autouse=True)
def says_nothing(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a client does, the server's log is for what is wrong with the server."""
    yield
    assert capfd.readouterr().err == ""


def request(photo: Path) -> bytes:
    """A photo to be described."""
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    body = head + photo.read_bytes() + b"\r\n--x--\r\n"
    return POST + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No photo is looked at until this is set."""
    held, look = threading.Event(), Model.look

    def stuck(self: Model, photos: Any, boxes: Any = None, extra: bool = False) -> Any:
        assert held.wait(60)
        return look(self, photos, boxes, extra)

    monkeypatch.setattr(Model, "look", stuck)
    yield held
    held.set()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_a_greedy_address_gives_up_goes_to_others(
    serve: Serve, photo_file: Path, held: threading.Event, share: float
) -> None:
    """It holds all places, alone.

    Once another has asked, it gets no more until it holds less than half.
    """
    sent = request(photo_file)
    with serve(limits=Limits(waiting=4, address_share=share)) as running:
        inside = running.service.gate
        greedy = [connect(running, address=GREEDY) for _ in range(5)]
        other = [connect(running, address=OTHER) for _ in range(2)]
        for client in greedy[:4]:
            client.sendall(sent)
        assert eventually(lambda: inside.inside == 4)
        other[0].sendall(sent)
        assert refused(other[0])[0] == 503
        greedy[0].close()
        assert eventually(lambda: inside.inside == 3)
        greedy[4].sendall(sent)
        if share < 1:
            assert refused(greedy[4])[0] == 503
            other[1].sendall(sent)
        assert eventually(lambda: inside.inside == 4)
        held.set()
        for client in [*greedy[1:4], other[1] if share < 1 else greedy[4]]:
            assert answered(client)[0] == 200
        for client in (*greedy, *other):
            client.close()


def test_bodies_of_a_greedy_address_give_way_at_once(serve: Serve, photo_file: Path) -> None:
    with serve(limits=Limits(uploads=4)) as running:
        greedy = [connect(running, address=GREEDY) for _ in range(4)]
        for client in greedy:
            client.sendall(POST + b"Content-Length: 1000\r\n\r\n--x")
        uploads = running.server.config.loaded_app._uploads
        assert eventually(lambda: len(uploads._inside) == 4)
        with connect(running, address=OTHER) as other:
            other.sendall(request(photo_file))
            assert answered(other)[0] == 200
        assert eventually(lambda: len(uploads._inside) == 3)
        for client in greedy:
            client.close()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_connections_of_a_greedy_address_give_way_to_its_own(serve: Serve, share: float) -> None:
    """Another's connection has been idle for longer than all of them, and stays."""
    limits = Limits(connections=6, idle_seconds=600, head_seconds=600, address_share=share)
    with serve(limits=limits) as running, connect(running, address=OTHER) as other:
        other.sendall(GET)
        assert answered(other)[0] == 200
        greedy = [connect(running, address=GREEDY) for _ in range(20)]
        for client in greedy:
            client.sendall(HALF_HEAD)
        assert is_closed(greedy[0])
        if share < 1:
            other.sendall(GET)
            assert answered(other)[0] == 200
        else:
            assert is_closed(other)
        for client in greedy:
            client.close()


def test_connections_that_all_wait_for_answers_give_way_to_others(
    serve: Serve, photo_file: Path, held: threading.Event
) -> None:
    """One address has all connections, each with a request that is worked on.

    For another one the last is closed.
    """
    with serve(limits=Limits(connections=4, idle_seconds=600)) as running:
        greedy = [connect(running, address=GREEDY) for _ in range(4)]
        for client in greedy:
            client.sendall(request(photo_file))
        assert eventually(lambda: running.service.gate.inside == 4)
        with connect(running, address=OTHER) as other:
            other.sendall(GET)
            assert answered(other)[0] == 200
        assert eventually(lambda: running.service.gate.inside == 3)
        held.set()
        assert sum(answered(client)[0] == 200 for client in greedy[:3]) == 3
        for client in greedy:
            client.close()
