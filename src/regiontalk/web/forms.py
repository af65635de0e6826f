"""Parses multipart forms with bounded field counts and sizes, JSON of bounded size, and queries.

A form with a field that its route does not have is rejected.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, File, Form, Query, Request, Response
from fastapi import Path as InPath
from fastapi import UploadFile as FormFile
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema  # a form's field may be absent, but is never null
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from regiontalk.photos import escaped
from regiontalk.search.filters import Where
from regiontalk.settings import shown
from regiontalk.web.finding import Page
from regiontalk.web.limits import DEFAULTS, Limits

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_PATH = 1000

_K, _START = "How many results.", "How many of the best to leave out: those of the pages before."
_PATH = "Only photos whose whole path fits this pattern, with * and ?."
_TAKEN = "Only photos taken on this day or {}, YYYY-MM-DD, by the camera's clock."
_PHOTOS = 2
"""Files read from a form: one more than is allowed, for an error that names them."""


def _day(value: Any) -> Any:
    """Checks that a text is YYYY-MM-DD; pydantic alone would also accept a Unix timestamp."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("expected a day as YYYY-MM-DD")
    return value


Photo = Annotated[
    FormFile, File(description="A photo: JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000 or PPM.")
]
Sentence = Annotated[
    str,
    Form(
        min_length=1, max_length=DEFAULTS.sentence, description="What people say about the photo."
    ),
]
SentenceIfAny = Annotated[
    Annotated[str, Field(min_length=1, max_length=DEFAULTS.sentence)] | SkipJsonSchema[None],
    Form(description="What people say about the photo."),
]
Box = Annotated[
    str,
    Form(
        pattern=r"^-?[0-9]{1,7}(\.[0-9]{1,6})?(,-?[0-9]{1,7}(\.[0-9]{1,6})?){3}$",
        description="x0,y0,x1,y1 in pixels of the upright photo; what lies outside is cut off.",
    ),
]
Beam = Annotated[
    Annotated[int, Field(ge=1, le=100)] | SkipJsonSchema[None],
    Form(description="Captions kept while searching; the pack's own without it."),
]
Temperature = Annotated[
    Annotated[float, Field(ge=0.1, le=5)] | SkipJsonSchema[None],
    Form(
        description="Draw captions at random instead of searching: "
        "1 as the network says, less is plainer."
    ),
]
Beta = Annotated[
    Annotated[float, Field(ge=0, le=1000)] | SkipJsonSchema[None],
    Form(
        description="How strongly words keep to their neighbours' region; "
        "the pack's own without it."
    ),
]
SearchSentence = Annotated[
    str,
    Query(min_length=1, max_length=DEFAULTS.sentence, description="What the photos should show."),
]
PhotoId = Annotated[str, InPath(max_length=64, description="The `id` of a result.")]
LikeId = Annotated[str, Query(max_length=64, description="The `id` of a result.")]

_Day = Annotated[date, BeforeValidator(_day)] | SkipJsonSchema[None]
_Path = Annotated[str, Field(min_length=1, max_length=_LONGEST_PATH)] | SkipJsonSchema[None]

FormK = Annotated[int, Form(ge=1, le=DEFAULTS.results, description=_K)]
FormStart = Annotated[int, Form(ge=0, le=DEFAULTS.start, description=_START)]
FormPath = Annotated[_Path, Form(description=_PATH)]
FormFrom = Annotated[_Day, Form(description=_TAKEN.format("later"))]
FormTo = Annotated[_Day, Form(description=_TAKEN.format("earlier"))]


def page(
    k: Annotated[int, Query(ge=1, le=DEFAULTS.results, description=_K)] = 20,
    start: Annotated[int, Query(ge=0, le=DEFAULTS.start, description=_START)] = 0,
    path: Annotated[_Path, Query(description=_PATH)] = None,
    taken_from: Annotated[_Day, Query(description=_TAKEN.format("later"))] = None,
    taken_to: Annotated[_Day, Query(description=_TAKEN.format("earlier"))] = None,
) -> Page:
    """Dependency: the page of results and the filters in a URL's query."""
    return Page(k, start, Where(path, taken_from, taken_to))


PagePart = Annotated[Page, Depends(page)]


class UploadRoute(APIRoute):
    """Route whose form, if it has one, is parsed by an `_Upload`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Overrides `APIRoute`."""
        handle = super().get_route_handler()
        fields = [field.alias for field in self.dependant.body_params]

        async def handle_upload(request: Request) -> Response:
            limits: Limits = request.app.state.service.limits
            return await handle(_Upload(request, fields, limits))

        return handle_upload if fields else handle


class JsonRoute(APIRoute):
    """Route with a JSON body of at most `Limits.export_bytes`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Overrides `APIRoute`."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            limits: Limits = request.app.state.service.limits
            return await handle(_Bounded(request, limits.export_bytes))

        return handle_json


class _Bounded(Request):
    """Request with a body of at most `most` bytes."""

    def __init__(self, request: Request, most: int) -> None:
        super().__init__(request.scope, request.receive)
        self._most = most

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yields the body in chunks.

        Raises:
            HTTPException: 413 if it is too long.
        """
        received = 0
        async for piece in super().stream():
            received += len(piece)
            if received > self._most:
                raise HTTPException(
                    413,
                    f"The request is longer than {self._most / 2**20:g} MiB. Send fewer photos.",
                )
            yield piece


class _Upload(Request):
    """Request with a multipart form of bounded field counts and sizes.

    Args:
        fields: names of the form's fields; `photo` is a file, the others are text.
        limits: `text_bytes` bounds each field of text.
    """

    def __init__(self, request: Request, fields: list[str], limits: Limits) -> None:
        super().__init__(request.scope, request.receive)
        self._fields, self._limits = fields, limits

    def form(self, **_: Any) -> Any:
        """Parses the form within these bounds, which replace FastAPI's wider ones.

        Raises:
            HTTPException: 400 if it is not a multipart form, or exceeds the bounds; 422 if its
                fields are not those of the route.
        """
        kind = self.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "multipart/form-data":
            raise HTTPException(
                400,
                f"expected a form as multipart/form-data, found {shown(kind) if kind else 'none'}",
            )
        return _checked(super().form(**self._bounds()), self._fields)

    def _bounds(self) -> dict[str, int]:
        most = {
            "max_files": _PHOTOS,
            "max_fields": len(self._fields),
            "max_part_size": self._limits.text_bytes,
        }
        return most


async def _checked(reading: Any, fields: list[str]) -> FormData:
    form: FormData = await reading
    problem = _problem(form, fields)
    if problem:
        await form.close()
        raise HTTPException(422, problem)
    return form


def _problem(form: FormData, fields: list[str]) -> str | None:
    """First error in a form's fields by name, count and kind; None if there is none."""
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if len(files) > 1:
        return (
            "expected one photo, found several: "
            f"{', '.join(escaped(file.filename or 'photo') for file in files)}"
        )
    for name, value in form.multi_items():
        if name not in fields:
            return f"expected the fields {', '.join(fields)}, found {shown(name)}. Leave it out."
        if len(form.getlist(name)) > 1:
            return f"{name}: expected once, found {len(form.getlist(name))} times"
        if isinstance(value, UploadFile) != (name == "photo"):
            expected = (
                "a file, found text. Send the photo with a file name"
                if name == "photo"
                else "text, found a file"
            )
            return f"{name}: expected {expected}"
    return None
