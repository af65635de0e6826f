"""The page around the views: one file, nothing asked of anybody, data round-trips."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.report.page import View, bundled, embedded_json, page

from .made import HOSTILE, assert_harmless

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_comes_back_and_cannot_end_its_element(value: object) -> None:
    text = embedded_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


@pytest.fixture(scope="module")
def made() -> str:
    view = View("Description", {"file": HOSTILE}, "<figure>rest</figure>")
    body = f'<article class="photo">{view.html(0)}</article>'
    return page(HOSTILE, body, [view], foot="<p>end</p>").decode()


def test_a_title_stays_a_title(made: str) -> None:
    read = assert_harmless(made)
    assert read.text.count(HOSTILE) == 2  # in <title> and <h1>


def test_data_are_in_the_page(made: str) -> None:
    (data,) = re.findall(
        r'<script type="application/json" id="report-data">(.*?)</script>', made, re.DOTALL
    )
    assert json.loads(data) == [{"kind": "Description", "data": {"file": HOSTILE}}]


def test_the_policy_allows_this_script_and_no_network(made: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    (script,) = re.findall(r"<script>(.*?)</script>", made, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert made.index("Content-Security-Policy") < made.index("<style>") < made.index("<script")


def test_nothing_names_a_host(made: str) -> None:
    addresses = re.findall(
        r"\b(?:https?|wss?|ftp):|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|[\"'(]//", made
    )
    assert addresses == []


def test_without_views_there_is_no_script_at_all() -> None:
    read = assert_harmless(page("title", "<p>text</p>").decode())
    assert read.all("script") == []
    assert "script-src" not in read.all("meta")[1]["content"]


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert b"a\\udcffb" in page("a\udcffb", "")


def run(script: str) -> object:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node to run scripts")
    done = subprocess.run(
        [node, "-e", f"(() => {{{script}}})()"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def test_modules_run_in_order_and_keep_their_own_names(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        views=(
            'import { twice, LIMIT as most } from "./numbers.js";\n'
            'import {\n  shout,\n} from "./words.js";\n'
            "const own = 1;\nexport function answer() { return [twice(own), most, shout('a')]; }\n"
            "export async function later() {}\nexport const nothing = 0;\n"
        ),
        numbers="const own = 7;\nexport const LIMIT = own;\n"
        "export function twice(n) { return 2 * n; }\n",
        words="import { LIMIT } from './numbers.js';\nexport class Unused {}\n"
        "export let shout = (s) => s.toUpperCase() + LIMIT;\n",
    )
    script = bundled("views.js", folder)
    found = run(
        f"{script}; console.log(JSON.stringify([regiontalkViews.answer(), "
        "Object.keys(regiontalkViews)]))"
    )
    assert found == [[2, 7, "A7"], ["answer", "later", "nothing"]]


@pytest.mark.parametrize(
    "line",
    [
        'import everything from "./numbers.js";',
        'import * as numbers from "./numbers.js";',
        'import "./numbers.js";',
        'import { a } from "https://elsewhere.example/a.js";',
        "export default 1;",
        "export { own };",
        'const later = import("./numbers.js");',
        'const text = "</SCRIPT>";',
        'const text = "<!--";',
    ],
)
def test_what_it_cannot_join_is_refused(tmp_path: Path, line: str) -> None:
    folder = write(tmp_path, views=f"const own = 1;\n{line}\n", numbers="export const a = 1;")
    with pytest.raises(ValueError, match=r"views\.js: cannot be put into one file"):
        bundled("views.js", folder)


def test_modules_that_need_each_other_are_refused(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        a='import { b } from "./b.js";\nexport const x = 1;',
        b='import { x } from "./a.js";\nexport const b = x;',
    )
    with pytest.raises(ValueError, match=r"a\.js: imports itself through a\.js, b\.js"):
        bundled("a.js", folder)


def test_the_pages_views_are_joined() -> None:
    found = run(f"{bundled('views.js')}; console.log(JSON.stringify(Object.keys(regiontalkViews)))")
    assert isinstance(found, list)
    assert {"mountDescription", "mountAlignment"} <= set(found)
