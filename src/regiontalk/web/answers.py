"""How answers and errors look: JSON in ASCII; every error is an object with one text, `error`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from regiontalk.errors import ConfigError, PhotoError, SentenceError
from regiontalk.web.guard import BUG


class Json(JSONResponse):
    """JSON in ASCII only: safe in every encoding and in HTML's, whatever a file is called."""

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """As bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def _invalid(_: Request, error: Any) -> Json:
    # A field that may be absent is, for pydantic, a number or None: that None was not sent either helps nobody.
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
