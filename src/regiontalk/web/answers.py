"""How answers look: JSON in ASCII; every error is an object with one text, `error`.

And captions as files to download, as `regiontalk describe` writes them, made from names and texts
alone.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from regiontalk.data.alt_table import AltRow, AltTable
from regiontalk.data.captions import is_safe_name, repeated
from regiontalk.data.sidecars import SUFFIXES, new_sidecar
from regiontalk.errors import ConfigError, PhotoError, SentenceError
from regiontalk.settings import shown
from regiontalk.web.guard import BUG
from regiontalk.web.schemas import CaptionedPhoto

_READABLE = 0o644 << 16
"""The permissions of a file, where a zip keeps them."""


class Json(JSONResponse):
    """JSON in ASCII only: safe in every encoding and in HTML's, whatever a file is called."""

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """As bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def _invalid(_: Request, error: Any) -> Json:
    # A field that may be absent is, for pydantic, a number or None: that None was not sent either
    # helps nobody.
    problems = [_problem(each) for each in error.errors() if each["type"] != "none_required"]
    return Json({"error": "; ".join(problems)}, 422)


def _problem(found: Any) -> str:
    _, *where = found["loc"]
    return f"{where[0] if where else 'request'}: {found['msg']}"


async def _http_error(_: Request, error: Any) -> Json:
    return Json({"error": error.detail}, error.status_code, error.headers)


async def _unprocessable(_: Request, error: Any) -> Json:
    return Json({"error": str(error)}, 422)


async def _internal(_: Request, __: Exception) -> Json:
    return Json({"error": BUG}, 500)


HANDLERS: dict[int | type[Exception], Any] = {
    RequestValidationError: _invalid,
    HTTPException: _http_error,
    PhotoError: _unprocessable,
    SentenceError: _unprocessable,
    ConfigError: _unprocessable,
    Exception: _internal,
}
"""What answers each kind of error, for FastAPI."""


def table(photos: Sequence[CaptionedPhoto]) -> bytes:
    """The table of `describe --csv`.

    Raises:
        ConfigError: if a name is not one of a file in a folder, or two photos have the same.
    """
    _check_names(photos)
    made = AltTable()
    for each in photos:
        made.put(AltRow(each.file, each.caption, each.width, each.height, tuple(each.regions)))
    return made.to_bytes()


def sidecars(photos: Sequence[CaptionedPhoto]) -> bytes:
    """The sidecars of `describe --sidecar` as a zip, to be unpacked in the photos' folder.

    None without a caption.

    Raises:
        ConfigError: as `table`.
    """
    _check_names(photos)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as packed:
        for each in photos:
            if each.caption.strip():
                entry = zipfile.ZipInfo(each.file + SUFFIXES[0], time.localtime()[:6])
                entry.external_attr = _READABLE
                packed.writestr(entry, new_sidecar(each.caption))
    return stream.getvalue()


def _check_names(photos: Sequence[CaptionedPhoto]) -> None:
    for each in photos:
        if not is_safe_name(each.file) or "\\" in each.file:
            raise ConfigError(
                f"file: expected a path inside the photos' folder, found {shown(each.file)}"
            )
    twice = repeated([each.file for each in photos])
    if twice:
        raise ConfigError(
            f"file: two photos called {shown(twice[0])}, expected one. Leave one out."
        )
