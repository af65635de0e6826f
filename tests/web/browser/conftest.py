"""A served page and a browser.

Without Chromium, its driver, Selenium or the extra `web`, the tests skip by name. Environment
variables: REGIONTALK_CHROMIUM and REGIONTALK_CHROMEDRIVER name the programs if they are not on the
path; REGIONTALK_SCREENSHOTS is a folder to keep the screenshots in.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import regiontalk
from regiontalk.model import Model, load

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from .page import Page

# Doctests are looked for in every module; this one cannot be imported without Selenium.
collect_ignore = [] if importlib.util.find_spec("selenium") else ["page.py"]

SAMPLES = Path(regiontalk.__file__).parent / "samples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder's tests bear the mark `browser`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


def _program(variable: str, *names: str) -> str:
    found = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(
            f"needs {names[0]} (Debian: apt install chromium chromium-driver) or {variable}"
        )
    return found


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the package's sample photos."""
    return SAMPLES


@pytest.fixture(scope="session")
def model() -> Model:
    """The default pack."""
    return load()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A Chromium for all tests."""
    binary = _program("REGIONTALK_CHROMIUM", "chromium", "chromium-browser", "google-chrome")
    driver = _program("REGIONTALK_CHROMEDRIVER", "chromedriver")
    pytest.importorskip("selenium", reason="needs selenium: pip install 'regiontalk[dev]'")
    from .page import open_browser

    chrome = open_browser(binary, driver, tmp_path_factory.mktemp("profile"))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the sample photos, made with the default pack."""
    folder = tmp_path_factory.mktemp("index") / "samples.index"
    command = [
        sys.executable,
        "-m",
        "regiontalk",
        "index",
        "add",
        str(SAMPLES),
        "--index",
        str(folder),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def serving(model: Model, index: Path | None) -> Iterator[str]:
    """The address of a server with the default pack, as `regiontalk serve` makes it."""
    for module in ("fastapi", "uvicorn", "python_multipart"):
        pytest.importorskip(module, reason=f"needs {module}: pip install 'regiontalk[web]'")
    from regiontalk.web import server
    from regiontalk.web.api import create_app
    from regiontalk.web.finding import PhotoFinder
    from regiontalk.web.service import Service

    finder = None if index is None else PhotoFinder(index, model)
    with server.bind("127.0.0.1", 0) as listening, Service(model, finder) as service:
        serving = server.make_server(create_app(service, server.names(listening, "127.0.0.1")))
        thread = threading.Thread(target=lambda: serving.run(sockets=[listening]))
        thread.start()
        yield server.url(listening, "127.0.0.1")
        serving.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def served(browser: Chrome, model: Model, index: Path) -> Iterator[str]:
    """The address of a server with an index.

    Asks for the browser first: without one nothing need be served.
    """
    yield from serving(model, index)


@pytest.fixture(scope="session")
def served_plain(browser: Chrome, model: Model) -> Iterator[str]:
    """The address of a server without an index."""
    yield from serving(model, None)


@pytest.fixture
def page(
    browser: Chrome, served: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Page]:
    """The page, fresh, on a laptop's screen.

    After each test: no word in the console, no request to another host.
    """
    yield from watched(browser, served, request, tmp_path)


@pytest.fixture
def plain_page(
    browser: Chrome, served_plain: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Page]:
    """As `page`, of a server without an index."""
    yield from watched(browser, served_plain, request, tmp_path)


def watched(
    browser: Chrome, url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Page]:
    """The loaded page, and what must hold whenever a test is through with it."""
    from .page import Page

    page = Page(browser, url, Path(os.environ.get("REGIONTALK_SCREENSHOTS") or tmp_path))
    page.complaints(), page.foreign_requests()  # what earlier tests left
    page.look(1280, 900)
    page.load()
    yield page
    assert page.complaints() == []
    assert page.foreign_requests() == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The text of axe-core; skipped where it is not installed."""
    named = os.environ.get("REGIONTALK_AXE")
    found = [Path(named)] if named else []
    if not named and (npm := shutil.which("npm")) is not None:
        root = subprocess.run(
            [npm, "root", "--global"], capture_output=True, text=True, check=False
        ).stdout.strip()
        found = [Path(root) / "axe-core" / "axe.min.js"]
    for file in found:
        if file.is_file():
            return file.read_text(encoding="utf-8")
    pytest.skip(
        "needs axe-core (npm install --global axe-core, or its axe.min.js in REGIONTALK_AXE)"
    )
