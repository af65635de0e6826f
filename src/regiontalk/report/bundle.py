"""The page's own JavaScript modules as one script that needs no files: what a page opened from a disk can run.

Browsers do not import modules from `file:` addresses. So each module becomes a function that is called once and hands
out its exports; modules keep their own names and run in the order in which they need each other.
"""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

_IMPORT = re.compile(r"^import\s*\{([^}]*)\}\s*from\s*[\"']\./([\w.-]+)[\"'];?[ \t]*$", re.MULTILINE)
_EXPORT = re.compile(r"^export\s+(?=(?:async\s+)?(?:function\b\*?|class|const|let)\s*(\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$|\bimport\s*\(|</script|<!--", re.MULTILINE | re.IGNORECASE)


def static_folder() -> Traversable:
    """Where the page's scripts and styles lie in the package."""
    return files("regiontalk") / "web" / "static"


def bundled(entry: str, folder: Traversable | None = None) -> str:
    """One script of a module and all that it imports, whose exports become properties of `regiontalkViews`.

    Understood are `import {a, b as c} from "./file.js"`, and `export` before a function, class, const or let.

    Args:
        entry: the module's file name.
        folder: where the modules lie; None for the page's own.

    Raises:
        ValueError: if a module uses another kind of import or export, two import each other, or a text could end the
            script element.
    """
    parts: dict[str, str] = {}
    _add(entry, folder or static_folder(), parts, ())
    modules = "\n".join(parts.values())
    return f'"use strict";\nconst modules = {{}};\n{modules}\nconst regiontalkViews = modules["{entry}"];\n'


def _add(name: str, folder: Traversable, parts: dict[str, str], waiting: tuple[str, ...]) -> None:
    """Adds a module after those that it imports."""
    if name in parts:
        return
    if name in waiting:
        raise ValueError(f"{name}: imports itself through {', '.join(waiting)}")
    source = (folder / name).read_text(encoding="utf-8").replace("\r\n", "\n")
    for imported in _IMPORT.finditer(source):
        _add(imported[2], folder, parts, (*waiting, name))
    names = [exported[1] for exported in _EXPORT.finditer(source)]
    body = _EXPORT.sub("", _IMPORT.sub(_as_constants, source))
    left = _OTHER.search(body)
    if left:
        raise ValueError(f"{name}: cannot be put into one file: {left[0]}")
    parts[name] = f'modules["{name}"] = (() => {{\n{body}\nreturn {{{", ".join(names)}}};\n}})();'


def _as_constants(imported: re.Match[str]) -> str:
    names = ", ".join(re.sub(r"\s+as\s+", ": ", name.strip()) for name in imported[1].split(",") if name.strip())
    return f'const {{{names}}} = modules["{imported[2]}"];'
