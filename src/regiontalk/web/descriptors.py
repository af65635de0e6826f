"""How many files, sockets and pipes this process may have open."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

resource: Any
try:
    resource = import_module("resource")
except ImportError:  # Windows, which does not count sockets as files
    resource = None

_ENOUGH = 65_536
"""Some systems say that there is no limit, and then allow fewer."""


def allowed() -> int:
    """How many there may be now."""
    if resource is None:
        return _ENOUGH
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else min(soft, _ENOUGH)


def allow_most() -> None:
    """Raises the limit as far as this process may."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a second limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
