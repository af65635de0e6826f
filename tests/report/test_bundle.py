"""JavaScript modules as one script."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from regiontalk.report.bundle import bundled


def run(script: str) -> object:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node to run scripts")
    done = subprocess.run([node, "-e", f"(() => {{{script}}})()"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder


def test_modules_run_in_order_and_keep_their_own_names(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        views=(
            'import { twice, LIMIT as most } from "./numbers.js";\nimport {\n  shout,\n} from "./words.js";\n'
            "const own = 1;\nexport function answer() { return [twice(own), most, shout('a')]; }\n"
            "export async function later() {}\nexport const nothing = 0;\n"
        ),
        numbers="const own = 7;\nexport const LIMIT = own;\nexport function twice(n) { return 2 * n; }\n",
        words="import { LIMIT } from './numbers.js';\nexport class Unused {}\n"
        "export let shout = (s) => s.toUpperCase() + LIMIT;\n",
    )
    script = bundled("views.js", folder)
    found = run(f"{script}; console.log(JSON.stringify([regiontalkViews.answer(), Object.keys(regiontalkViews)]))")
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
