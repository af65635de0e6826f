"""What is uploaded: forms of only as many fields as there are, each of a bounded size, and JSON of a bounded size."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from regiontalk.photos import escaped
from regiontalk.settings import shown
from regiontalk.web.limits import Limits

_PHOTOS = 2
"""Files that are read: one more than there may be, to name what is too many."""


class UploadRoute(APIRoute):
    """A route whose form, if it has one, is read by an `_Upload`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI asks for it."""
        handle = super().get_route_handler()
        fields = [field.alias for field in self.dependant.body_params]

        async def handle_upload(request: Request) -> Response:
            limits: Limits = request.app.state.service.limits
            return await handle(_Upload(request, fields, limits))

        return handle_upload if fields else handle


class JsonRoute(APIRoute):
    """A route whose body is JSON, no longer than `Limits.export_bytes`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI asks for it."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            limits: Limits = request.app.state.service.limits
            return await handle(_Bounded(request, limits.export_bytes))

        return handle_json


class _Bounded(Request):
    """A request with a body of so many bytes at most."""

    def __init__(self, request: Request, most: int) -> None:
        super().__init__(request.scope, request.receive)
        self._most = most

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body, piece by piece.

        Raises:
            HTTPException: 413 if it is too long.
        """
        received = 0
        async for piece in super().stream():
            received += len(piece)
            if received > self._most:
                raise HTTPException(413, f"The request is longer than {self._most / 2**20:g} MiB. Send fewer photos.")
            yield piece


class _Upload(Request):
    """A request with a form.

    Args:
        request: as it came in.
        fields: the form's; `photo` is a file, the others are text.
        limits: of their sizes.
    """

    def __init__(self, request: Request, fields: list[str], limits: Limits) -> None:
        super().__init__(request.scope, request.receive)
        self._fields, self._limits = fields, limits

    def form(self, **_: Any) -> Any:
        """The form; FastAPI's own, wider limits are not used.

        Raises:
            HTTPException: 400 if it is none, or too much of one; 422 if it has fields that the route does not have.
        """
        kind = self.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "multipart/form-data":
            raise HTTPException(400, f"expected a form as multipart/form-data, found {shown(kind) if kind else 'none'}")
        return _checked(super().form(**self._bounds()), self._fields)

    def _bounds(self) -> dict[str, int]:
        most = {"max_files": _PHOTOS, "max_fields": len(self._fields), "max_part_size": self._limits.text_bytes}
        return most


async def _checked(reading: Any, fields: list[str]) -> FormData:
    form: FormData = await reading
    problem = _problem(form, fields)
    if problem:
        await form.close()
        raise HTTPException(422, problem)
    return form


def _problem(form: FormData, fields: list[str]) -> str | None:
    """What is wrong with a form's fields, whatever is in them."""
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if len(files) > 1:
        return f"expected one photo, found several: {', '.join(escaped(file.filename or 'photo') for file in files)}"
    for name, value in form.multi_items():
        if name not in fields:
            return f"expected the fields {', '.join(fields)}, found {shown(name)}. Leave it out."
        if len(form.getlist(name)) > 1:
            return f"{name}: expected once, found {len(form.getlist(name))} times"
        if isinstance(value, UploadFile) != (name == "photo"):
            expected = (
                "a file, found text. Send the photo with a file name" if name == "photo" else "text, found a file"
            )
            return f"{name}: expected {expected}"
    return None
