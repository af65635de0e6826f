"""`regiontalk serve` as a command.

Where it listens, what it says about that, how it ends, and its memory.
"""

from __future__ import annotations

import builtins
import ctypes
import gc
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regiontalk.cli import main

from .conftest import Serve
from .hostile import eventually

pytest.importorskip("fastapi", reason="needs the extra web")

from regiontalk.errors import ConfigError
from regiontalk.web import server
from regiontalk.web.limits import DEFAULTS, Limits

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own."""
    line = [sys.executable, "-m", "regiontalk", "serve", *map(str, arguments)]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says when it is wrong."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", *map(str, arguments)])
    assert ended.value.code == 2
    return capsys.readouterr().err


@posix
@pytest.mark.parametrize(
    ("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_serves_until_it_is_stopped(tiny_pack: Path, stop: signal.Signals, status: int) -> None:
    with started("--pack", tiny_pack, "--port", 0) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        url = next(word for word in said.split() if word.startswith("http://127.0.0.1:"))
        with urllib.request.urlopen(f"{url}api/version", timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in err
    assert (out, err) == ("", "regiontalk: stopped\n" if stop is signal.SIGINT else "")


@posix
def test_other_hosts_are_told_what_that_means(tiny_pack: Path) -> None:
    with started("--pack", tiny_pack, "--port", 0, "--host", "0.0.0.0") as process:
        assert process.stdout is not None
        port = process.stdout.readline().split("http://0.0.0.0:")[1].split("/")[0]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/version", headers={"Host": "my.example"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200  # names are only for loopback to refuse
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "anybody who reaches it can upload photos" in err
    assert "no password" in err


def test_a_port_in_use(tiny_pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(capsys, "--pack", tiny_pack, "--port", port)
    assert f"cannot listen on 127.0.0.1 port {port}" in said
    assert "choose another --port" in said


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 300, ""])
def test_hosts_that_are_not_this_machine(
    tiny_pack: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert "--host" in refused(capsys, "--pack", tiny_pack, "--port", 0, "--host", host)


def test_no_index(tiny_pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(tmp_path / "none") in refused(
        capsys, "--pack", tiny_pack, "--port", 0, "--index", tmp_path / "none"
    )


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "python_multipart"])
def test_the_extra_is_missing(
    missing: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refused(capsys)
    assert f"serve needs {missing}. Install it with: pip install 'regiontalk[web]'" in said


def test_help_needs_no_extra() -> None:
    code = (
        "import sys\nfrom regiontalk.cli import main\n"
        "try: main(['serve', '--help'])\nexcept SystemExit: pass\n"
        "assert not {'fastapi', 'uvicorn', 'starlette', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)


def test_limits_from_options(
    tiny_pack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Limits] = []
    monkeypatch.setattr(server, "serve", lambda app, listening, limits: served.append(limits))
    for more in ([], ["--max-pixels", "7"], ["--behind-proxy"]):
        with pytest.raises(SystemExit):
            main(["serve", "--pack", str(tiny_pack), "--port", "0", *more])
    assert served == [DEFAULTS, replace(DEFAULTS, pixels=7), replace(DEFAULTS, address_share=1.0)]


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    with server.bind(host, 0) as listening:
        assert server.is_loopback(listening) is loopback
        assert server.url(listening, host) == f"http://{host}:{listening.getsockname()[1]}/"
        assert {"localhost", "127.0.0.1", "[::1]", host} <= server.names(listening, host)


def test_ipv6() -> None:
    try:
        listening = server.bind("::1", 0)
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    with listening:
        assert server.is_loopback(listening)
        assert server.url(listening, "::1").startswith("http://[::1]:")
        assert "[::1]" in server.names(listening, "::1")


# Memory


def test_memory_is_given_back_between_requests(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("httpx")
    done: list[str] = []
    monkeypatch.setattr(server, "_TICKS_TO_GIVE_BACK", 1)
    monkeypatch.setattr(server, "give_back", lambda: done.append("given back"))
    monkeypatch.setattr(gc, "collect", lambda: done.append("collected"))
    with serve() as running:
        assert running.client.get("/api/version").status_code == 200
        assert eventually(lambda: done[-2:] == ["collected", "given back"])


@pytest.mark.parametrize("platform", ["linux", "win32"])
@pytest.mark.parametrize("library", [ctypes, object()])
def test_no_library_is_too_poor(
    platform: str, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if library is not ctypes:
        monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(sys, "platform", platform)
    server.give_back()
