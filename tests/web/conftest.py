"""A real server on loopback, in a thread of this process, with the tiny pack and an index of a few
photos.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from regiontalk.cli import main
from regiontalk.model import Model, load

if TYPE_CHECKING:
    import httpx
    import uvicorn

    from regiontalk.web.service import Service


@dataclass(frozen=True)
class Running:
    """A server at work.

    Attributes:
        url: where it is, without a slash in the end.
        client: asks it; paths are enough.
        service: its working parts.
        server: uvicorn's.
    """

    url: str
    client: httpx.Client
    service: Service
    server: uvicorn.Server


Serve = Callable[..., AbstractContextManager[Running]]


@contextmanager
def running(model: Model, finder: Any = None, limits: Any = None) -> Iterator[Running]:
    """Serves for a `with` statement."""
    import httpx

    from regiontalk.web import server
    from regiontalk.web.api import create_app
    from regiontalk.web.limits import DEFAULTS
    from regiontalk.web.service import Service

    limits = limits or DEFAULTS
    with server.bind("127.0.0.1", 0) as listening, Service(model, finder, limits) as service:
        made = server.make_server(create_app(service, server.names(listening, "127.0.0.1")), limits)
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]})
        thread.start()
        url = server.url(listening, "127.0.0.1").rstrip("/")
        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield Running(url, client, service, made)
        finally:
            made.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def model(tiny_pack: Path) -> Model:
    return load(tiny_pack, threads=1)


@pytest.fixture
def serve(model: Model) -> Serve:
    """`with serve(limits=...) as running:` serves the tiny pack, without an index."""
    return lambda finder=None, limits=None: running(model, finder, limits)


@pytest.fixture(scope="session")
def indexed(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """An index of six photos, and these; the name of one is as unkind as names get."""
    folder = tmp_path_factory.mktemp("indexed")
    names = [f"{number}.png" for number in range(5)] + ['<img src=x onerror="alert(1)">.png']
    files = [folder / "photos" / name for name in names]
    files[0].parent.mkdir()
    for seed, file in enumerate(files):
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((500 + seed, 400), Image.Resampling.BILINEAR).save(file)
    index = folder / "photos.index"
    arguments = [
        "index",
        "add",
        str(files[0].parent),
        "--index",
        str(index),
        "--pack",
        str(tiny_pack),
    ]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code
    return index, files


@pytest.fixture(scope="session")
def served(model: Model, indexed: tuple[Path, list[Path]]) -> Iterator[Running]:
    """A server with the index, shared by all tests."""
    pytest.importorskip("fastapi", reason="needs the extra web")
    pytest.importorskip("httpx")
    from regiontalk.web.finding import PhotoFinder

    with running(model, PhotoFinder(indexed[0], model, threads=1)) as each:
        yield each
