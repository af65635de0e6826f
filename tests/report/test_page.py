"""The page around the views: one file, nothing asked of anybody, data that comes back as it went in."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.report.page import View, embedded_json, page

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
    (data,) = re.findall(r'<script type="application/json" id="report-data">(.*?)</script>', made, re.DOTALL)
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
    addresses = re.findall(r"\b(?:https?|wss?|ftp):|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|[\"'(]//", made)
    assert addresses == []


def test_without_views_there_is_no_script_at_all() -> None:
    read = assert_harmless(page("title", "<p>text</p>").decode())
    assert read.all("script") == []
    assert "script-src" not in read.all("meta")[1]["content"]


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert b"a\\udcffb" in page("a\udcffb", "")
