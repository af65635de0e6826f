"""The page's files as text: nothing in them needs another host, and nothing turns text into markup."""

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


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".js"], ids=lambda file: file.name)
def test_scripts_make_text_never_markup(file: Path) -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|setHTML|srcdoc"
    assert not re.findall(ways, file.read_text(encoding="utf-8"))


def test_the_page_obeys_a_strict_content_security_policy() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""]


def test_files_that_the_page_names_exist() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    named = set(re.findall(r"[\"']/static/([^\"']+)[\"']", text)) | set(re.findall(r"from \"\./([^\"]+)\"", text))
    assert named
    assert {name for name in named if not (STATIC / name).is_file()} == set()


def test_views_can_be_put_into_one_file() -> None:
    """A report joins viterbi.js and views.js: no name is declared twice, and what one takes the other gives."""
    solver, views = ((STATIC / name).read_text(encoding="utf-8") for name in ("viterbi.js", "views.js"))
    declared = [re.findall(r"^(?:export )?(?:function|const|let) (\w+)", text, re.M) for text in (solver, views)]
    assert not set(declared[0]) & set(declared[1])
    taken = re.findall(r"^import \{ ([\w, ]+) \} from \"\./viterbi\.js\";$", views, re.M)
    assert len(re.findall(r"^import", views, re.M)) == len(taken) == 1
    assert set(taken[0].split(", ")) <= set(re.findall(r"^export function (\w+)", solver, re.M))
