"""The page's files as text: nothing needs another host or turns text into markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import regiontalk

STATIC = Path(regiontalk.__file__).parent / "web" / "static"
FILES = sorted(STATIC.iterdir())
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_names_another_host(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace(SVG_NAMESPACE, "")
    assert not re.findall(r"https?:|\b(?:src|href|url|import|from)\b[=( ]*[\"']?//", text)


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.suffix == ".js"], ids=lambda file: file.name
)
def test_scripts_make_text_never_markup(file: Path) -> None:
    ways = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new "
        r"Function|DOMParser|setHTML|srcdoc"
    )
    assert not re.findall(ways, file.read_text(encoding="utf-8"))


def test_the_page_obeys_a_strict_content_security_policy() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""]


def test_files_that_the_page_names_exist() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    named = set(re.findall(r"[\"']/static/([^\"']+)[\"']", text)) | set(
        re.findall(r"from \"\./([^\"]+)\"", text)
    )
    assert named
    assert {name for name in named if not (STATIC / name).is_file()} == set()


def test_what_one_script_takes_the_other_gives() -> None:
    """Each import is of one form, of a name that is exported there, and used."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in FILES if file.suffix == ".js"}
    given = {
        name: set(re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", text, re.M))
        for name, text in texts.items()
    }
    for name, text in texts.items():
        taken = re.findall(r"^import \{ ([\w, ]+) \} from \"\./([\w.]+)\";$", text, re.M)
        assert len(taken) == len(re.findall(r"^import", text, re.M)), name
        for names, source in taken:
            assert set(names.split(", ")) <= given[source], name
            assert all(len(re.findall(rf"\b{each}\b", text)) > 1 for each in names.split(", ")), (
                name
            )


def test_scripts_are_short() -> None:
    assert [
        file.name for file in FILES if len(file.read_text(encoding="utf-8").splitlines()) > 400
    ] == []
