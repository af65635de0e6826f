"""The server gives memory back that it no longer needs."""

from __future__ import annotations

import ctypes
import gc
import sys

import pytest

from .conftest import Serve
from .hostile import eventually

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx")

from regiontalk.web import server
from regiontalk.web.memory import give_back


def test_memory_is_given_back_between_requests(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(server, "_TICKS_TO_GIVE_BACK", 1)
    monkeypatch.setattr(server, "give_back", lambda: done.append("given back"))
    monkeypatch.setattr(gc, "collect", lambda: done.append("collected"))
    with serve() as running:
        assert running.client.get("/api/version").status_code == 200
        assert eventually(lambda: done[-2:] == ["collected", "given back"])


@pytest.mark.parametrize("platform", ["linux", "win32"])
@pytest.mark.parametrize("library", [ctypes, object()])
def test_no_library_is_too_poor(platform: str, library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    if library is not ctypes:
        monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(sys, "platform", platform)
    give_back()
