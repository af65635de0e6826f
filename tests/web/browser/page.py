"""The page in a real Chromium: what a test does with it, and what it watches."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that an answer may take on a machine that does other things."""

_OWN_SCHEMES = ("blob", "data", "about", "chrome")
"""Addresses that reach no host."""


def open_browser(binary: str, driver: str, profile: Path) -> webdriver.Chrome:
    """A headless Chromium that asks nothing of anybody but the pages it is sent to."""
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    flags = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        "disable-sync"
    )
    for flag in (
        *flags.split(),
        "disable-component-update",
        "hide-scrollbars",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(executable_path=driver))


BUSY = """
const [times] = arguments;
const real = window.fetch;
window.asked = 0;
window.fetch = async (path, options) => {
  if (path !== "/api/describe" || window.asked++ >= times) return real(path, options);
  const headers = { "Retry-After": "1", "Content-Type": "application/json" };
  return new Response('{"error": "Too many requests are waiting."}', { status: 503, headers });
};
"""
"""The server answers the next requests to describe as one that has too many."""

RUN_AXE = (
    "const done = arguments[0]; axe.run().then((found) => done(found.violations), "
    "(error) => done([String(error)]))"
)


class Page:
    """One loaded page.

    Attributes:
        may_fail: addresses whose requests a test means to fail; the browser's console reports them.
    """

    def __init__(self, browser: webdriver.Chrome, url: str, artefacts: Path) -> None:
        self.browser, self.url, self.artefacts = browser, url, artefacts
        self.may_fail: list[str] = []

    # what it looks like

    def look(
        self,
        width: int,
        height: int,
        *,
        dark: bool = False,
        still: bool = True,
        touch: bool = False,
    ) -> None:
        """The window, and what people prefer."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def load(self) -> None:
        """Opens the page and waits for what it asks at once."""
        self.browser.get(self.url)
        self.leave()  # the mouse lies where an earlier test left it
        self.wait(lambda: self.text("#about"), "the page says what serves it")

    def picture(self, name: str, selector: str = "body") -> Path:
        """Keeps a screenshot of an element, all of it, as WebP."""
        self.run("document.activeElement.blur()")  # a caret that blinks makes each picture another
        corner = "const at = document.querySelector(arguments[0]).getBoundingClientRect();"
        clip = self.run(
            f"{corner} return {{x: at.x + scrollX, y: at.y + scrollY, width: at.width, height: "
            f"at.height}}",
            selector,
        )
        options = {
            "format": "webp",
            "quality": 86,
            "captureBeyondViewport": True,
            "clip": {**clip, "scale": 1},
        }
        data = self.browser.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
        self.artefacts.mkdir(parents=True, exist_ok=True)
        file = self.artefacts / f"{name}.webp"
        file.write_bytes(base64.b64decode(data))
        return file

    # what is on it

    def one(self, selector: str) -> WebElement:
        """The element, waited for."""
        return self.wait(lambda: next(iter(self.all(selector)), None), f"there is {selector}")

    def all(self, selector: str) -> list[WebElement]:
        """All elements now."""
        return self.browser.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        """The element's text, seen or not; empty without one."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)",
            selector,
        )

    def run(self, script: str, *values: Any) -> Any:
        """Runs a script in the page."""
        return self.browser.execute_script(script, *values)

    def keep_busy(self, times: int) -> None:
        """From now on, the server has no place for so many requests to describe."""
        self.run(BUSY, times)

    def wait(self, ready: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
        """Waits until `ready` gives something, so many seconds at most."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                if found := ready():
                    return found
            except StaleElementReferenceException:
                pass  # drawn anew in between
            time.sleep(0.05)
        raise AssertionError(f"waited {patience:g} s and it is still not so that {what}")

    # what people do

    def choose(self, *files: Path) -> None:
        """Chooses photos, opens the first one and waits for its description."""
        self.give(*files)
        if len(files) > 1:
            self.thumb(files[0].name).click()
        self.one(".rt-caption")

    def give(self, *files: Path) -> None:
        """Chooses photos."""
        self.browser.find_element("css selector", "#files").send_keys(
            "\n".join(str(file) for file in files)
        )

    def thumb(self, name: str) -> WebElement:
        """The small picture of a photo."""
        selector = f'.thumb[aria-label="{name}"]'
        return self.one(selector)

    def align(self, sentence: str) -> None:
        """Types a sentence, sends it and waits for its words."""
        field = self.one("#sentence")
        field.clear()
        field.send_keys(sentence, Keys.ENTER)
        self.wait(
            lambda: sentence in str(self.one(".rt-image").get_attribute("alt")),
            "the sentence is aligned",
        )

    def hover(self, element: WebElement) -> None:
        """Puts the mouse there."""
        ActionChains(self.browser, duration=0).move_to_element(element).perform()

    def leave(self) -> None:
        """Takes the mouse away."""
        actions = ActionBuilder(self.browser, duration=0)
        actions.pointer_action.move_to_location(1, 1)  # the margin, where nothing ever is
        actions.perform()

    def tap(self, element: WebElement) -> None:
        """Touches it with a finger."""
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        script = (
            "const at = arguments[0].getBoundingClientRect(); "
            "return [at.x + at.width / 2, at.y + at.height / 2]"
        )
        x, y = self.run(script, element)
        for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
            self.browser.execute_cdp_cmd(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
            )

    def search(self, sentence: str) -> None:
        """Types what to search for and waits for its photos, pictures and all."""
        self.one("#query").send_keys(sentence)
        self.wait(
            lambda: f"“{sentence}”" in self.text("#found"), "the photos for the sentence are there"
        )
        loaded = (
            "return [...document.querySelectorAll('#results img')].every((each) => "
            "each.naturalWidth > 0)"
        )
        self.wait(lambda: self.run(loaded), "the photos are loaded")

    def keys(self, *keys: str) -> None:
        """Presses keys, wherever the focus is."""
        ActionChains(self.browser, duration=0).send_keys(*keys).perform()

    @property
    def focused(self) -> WebElement:
        """What has the focus."""
        return self.browser.switch_to.active_element

    def lit(self, selector: str) -> list[str]:
        """The regions of those elements that are lit."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].filter((each) => "
            "each.classList.contains('rt-lit')).map((each) => each.dataset.region)",
            selector,
        )

    # what it must not do

    def complaints(self) -> list[str]:
        """What the console holds, but for requests that were meant to fail."""
        found = [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]
        return [each for each in found if not any(address in each for address in self.may_fail)]

    def requests(self) -> list[str]:
        """The addresses that the browser asked since the last call."""
        messages = [
            json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")
        ]  # type: ignore[no-untyped-call]
        return [
            each["params"]["request"]["url"]
            for each in messages
            if each["method"] == "Network.requestWillBeSent"
        ]

    def foreign_requests(self) -> list[str]:
        """Those that are not this server's."""
        return foreign(self.requests(), self.url)

    def violations(self, axe: str) -> list[tuple[str, str, Any]]:
        """What axe-core, given as text, finds, of any weight."""
        self.run(axe)
        found = self.browser.execute_async_script(RUN_AXE)
        return [
            (each["impact"], each["id"], [node["html"][:120] for node in each["nodes"]])
            for each in found
        ]


def foreign(addresses: Iterable[str], url: str) -> list[str]:
    """Those that another host than that of `url` would answer."""
    own = urlsplit(url).netloc
    return [
        each
        for each in addresses
        if (at := urlsplit(each)).scheme not in _OWN_SCHEMES and at.netloc != own
    ]
