"""A page of results and the filters on them, as the fields of a search."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from fastapi import Form, Query
from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from regiontalk.search.filters import Where
from regiontalk.web.finding import Page
from regiontalk.web.limits import DEFAULTS

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_PATH = 200

_K, _START = "How many results.", "How many of the best to leave out: those of the pages before."
_PATH = "Only photos whose whole path fits this pattern, with * and ?."
_TAKEN = "Only photos taken on this day or {}, YYYY-MM-DD, by the camera's clock."


def _day(value: Any) -> Any:
    """A day as text; pydantic alone would also take seconds for one."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("expected a day as YYYY-MM-DD")
    return value


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
    """What the query of an address asks for."""
    return Page(k, start, Where(path, taken_from, taken_to))
