"""ASCII JSON responses, error handlers, and caption downloads (CSV, or XMP sidecars in a zip).

The body of every error is `{"error": text}`. Downloads have the format of `regiontalk describe`,
and are made from names and captions alone.
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
"""Mode 0644 in the high 16 bits of a zip entry's `external_attr`, where Unix permissions are."""


class Json(JSONResponse):
    """JSON response in ASCII, valid in any charset whatever a file is called; never cached."""

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """Serialises to compact JSON."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def _invalid(_: Request, error: Any) -> Json:
    # pydantic reports each member of an optional field's union: the error of None does not help.
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
"""FastAPI's exception handlers, by status code or exception type."""


def table(photos: Sequence[CaptionedPhoto]) -> bytes:
    """Captions as the CSV table of `describe --csv`.

    Raises:
        ConfigError: if a name is not a path inside the photos' folder, or occurs twice.
    """
    _check_names(photos)
    made = AltTable()
    for each in photos:
        made.put(AltRow(each.file, each.caption, each.width, each.height, tuple(each.regions)))
    return made.to_bytes()


def sidecars(photos: Sequence[CaptionedPhoto]) -> bytes:
    """XMP sidecars of `describe --sidecar` as a zip, to be unpacked in the photos' folder.

    Photos with a blank caption have none.

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
