"""FastAPI application: the JSON API and the page. Routes parse requests and call the `Service`."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Collection
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

import regiontalk
from regiontalk.errors import PhotoError
from regiontalk.search.filters import Where
from regiontalk.web import forms, schemas
from regiontalk.web.answers import HANDLERS, Json, sidecars, table
from regiontalk.web.docs_page import STYLE_FILE, docs_page
from regiontalk.web.finding import Page, PhotoFinder
from regiontalk.web.guard import Guard
from regiontalk.web.service import Service

T = TypeVar("T")

STATIC = Path(__file__).parent / "static"
"""Static files of the page."""

SAMPLES = Path(regiontalk.__file__).parent / "samples"
"""Sample photos that the page offers."""

DESCRIPTION = """Finds the regions of a photo and connects them with language.
Photos are uploaded as multipart/form-data. Every error is an object with one text, `error`, that \
says what is wrong and
what to do. A 503 comes at once when too many requests wait: try again after \
as many seconds as its Retry-After says."""


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """OpenAPI document in which forms allow no additional fields; see `forms.UploadRoute`."""
        document = super().openapi()
        for name, schema in document["components"]["schemas"].items():
            if name.startswith("Body_"):
                schema["additionalProperties"] = False
        return document


def create_app(service: Service, hosts: Collection[str] | None = None) -> ASGIApp:
    """Builds the ASGI application, wrapped in a `Guard`.

    Args:
        service: computes the responses; the caller closes it.
        hosts: allowed host names, None for any; see `Guard`.
    """
    app = _Application(
        title="RegionTalk",
        version=regiontalk.__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own pages load scripts from a CDN
        redoc_url=None,
        default_response_class=Json,
        exception_handlers=HANDLERS,
    )
    app.state.service = service
    app.include_router(router)
    app.include_router(exporting)
    _add_pages(app)
    return Guard(app, service.gate, service.limits, hosts)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for a route's error statuses."""
    meaning = {
        400: "The request cannot be read.",
        403: "A foreign host name, or another site's page.",
        404: "No index is served, or it has no such photo.",
        408: "The request took too long to come in.",
        413: "The upload is too large.",
        422: "A field, the photo or the sentence is no good.",
        503: "Too many requests are waiting.",
    }
    return {status: {"model": schemas.Error, "description": meaning[status]} for status in statuses}


_READING = _errors(403, 422, 503)
_UPLOADING = _errors(400, 403, 408, 413, 422, 503)
_NO_INDEX = _errors(404)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _finder(request: Request) -> PhotoFinder:
    finder = _service(request).finder
    if finder is None:
        raise HTTPException(
            404, "This server has no index. Start it with: regiontalk serve --index DIR"
        )
    return finder


ServicePart = Annotated[Service, Depends(_service)]
FinderPart = Annotated[PhotoFinder, Depends(_finder)]

router = APIRouter(prefix="/api", route_class=forms.UploadRoute)
exporting = APIRouter(prefix="/api/export", route_class=forms.JsonRoute)


@router.post("/describe", responses={200: {"model": schemas.DescriptionAnswer}, **_UPLOADING})
async def describe(
    service: ServicePart,
    photo: forms.Photo,
    beam: forms.Beam = None,
    temperature: forms.Temperature = None,
) -> Json:
    """Caption a photo and each of its regions."""
    return Json(await service.describe(photo.file, _name(photo), beam, temperature))


@router.post("/align", responses={200: {"model": schemas.AlignmentAnswer}, **_UPLOADING})
async def align(
    service: ServicePart, photo: forms.Photo, sentence: forms.Sentence, beta: forms.Beta = None
) -> Json:
    """Tie the words of a sentence to the regions of a photo."""
    return Json(await service.align(photo.file, _name(photo), sentence, beta))


@router.post("/describe/box", responses={200: {"model": schemas.BoxAnswer}, **_UPLOADING})
async def describe_box(
    service: ServicePart, photo: forms.Photo, box: forms.Box, sentence: forms.SentenceIfAny = None
) -> Json:
    """Caption a given box of a photo; with a sentence, also say how well each of its words fits \
the box."""
    left, top, right, bottom = (float(each) for each in box.split(","))
    return Json(
        await service.look_at(photo.file, _name(photo), (left, top, right, bottom), sentence)
    )


@router.get("/search", responses={200: {"model": schemas.SearchAnswer}, **_READING, **_NO_INDEX})
async def search(
    service: ServicePart, finder: FinderPart, q: forms.SearchSentence, page: forms.PagePart
) -> Json:
    """Find photos of the index by a sentence."""
    return Json(await service.search(finder, q, page))


@router.post(
    "/search/like", responses={200: {"model": schemas.SearchAnswer}, **_UPLOADING, **_NO_INDEX}
)
async def search_like(
    service: ServicePart,
    finder: FinderPart,
    photo: forms.Photo,
    k: forms.FormK = 20,
    start: forms.FormStart = 0,
    path: forms.FormPath = None,
    taken_from: forms.FormFrom = None,
    taken_to: forms.FormTo = None,
) -> Json:
    """Find photos of the index by an uploaded photo."""
    page = Page(k, start, Where(path, taken_from, taken_to))
    return Json(await service.search_like(finder, photo.file, _name(photo), page))


@router.get(
    "/search/like", responses={200: {"model": schemas.SearchAnswer}, **_READING, **_NO_INDEX}
)
async def search_more(
    service: ServicePart, finder: FinderPart, id: forms.LikeId, page: forms.PagePart
) -> Json:
    """Find more photos like one of the index."""
    return Json(await _of_index(service.search_more(finder, id, page)))


@router.get(
    "/folders", responses={200: {"model": schemas.FoldersAnswer}, **_errors(403, 503), **_NO_INDEX}
)
async def folders(service: ServicePart, finder: FinderPart) -> Json:
    """The folders of the index's photos, to filter searches by."""
    return Json(await service.folders(finder))


_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}
}


@router.get(
    "/thumbnail/{id}", response_class=Response, responses={**_JPEG, **_READING, **_NO_INDEX}
)
async def thumbnail(service: ServicePart, finder: FinderPart, id: forms.PhotoId) -> Response:
    """A small copy of a photo of the index."""
    return _jpeg(await _of_index(service.thumbnail(finder, id)))


@router.get("/photo/{id}", response_class=Response, responses={**_JPEG, **_READING, **_NO_INDEX})
async def photo(service: ServicePart, finder: FinderPart, id: forms.PhotoId) -> Response:
    """A copy of a photo of the index, large enough for a screen."""
    return _jpeg(await _of_index(service.photo(finder, id)))


def _file(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {}}, "description": "A file."}, **_UPLOADING}


@exporting.post("/csv", response_class=Response, responses=_file("text/csv"))
async def csv_table(service: ServicePart, captioned: schemas.CaptionedPhotos) -> Response:
    """The table that `regiontalk describe --csv` writes, of captions as people left them."""
    return _download(await service.aside(table, captioned.photos), "text/csv", "captions.csv")


@exporting.post("/xmp", response_class=Response, responses=_file("application/zip"))
async def xmp_sidecars(service: ServicePart, captioned: schemas.CaptionedPhotos) -> Response:
    """An XMP sidecar for each photo, as `regiontalk describe --sidecar` writes it, \
all in one zip."""
    return _download(
        await service.aside(sidecars, captioned.photos), "application/zip", "sidecars.zip"
    )


@router.get("/health", responses={200: {"model": schemas.HealthAnswer}, **_errors(403, 503)})
async def health(service: ServicePart) -> Json:
    """Whether the server works. Answered however many requests wait."""
    if not service.alive:
        raise HTTPException(503, "The server is stopping.", {"retry-after": "10"})
    return Json({"status": "ok", "waiting": service.gate.inside})


@router.get("/version", responses={200: {"model": schemas.VersionAnswer}, **_errors(403)})
async def version(service: ServicePart) -> Json:
    """What serves: the package, its pack, its index and its limits."""
    pack, limits = service.model.pack, service.limits
    settings = pack.settings
    return Json(
        {
            "version": regiontalk.__version__,
            "pack": {
                "name": settings.name,
                "checksum": pack.checksum,
                "beta": settings.alignment.beta,
                "beam": settings.photo_captioner.beam,
            },
            "index": None if service.finder is None else {"photos": service.finder.photos},
            "limits": {
                "body_bytes": limits.body_bytes,
                "pixels": limits.pixels,
                "sentence": limits.sentence,
                "results": limits.results,
            },
        }
    )


def _add_pages(app: FastAPI) -> None:
    """Adds the page with its static files and samples, and the API documentation."""
    # The system's MIME table may differ, and browsers refuse modules of another type
    mimetypes.add_type("text/javascript", ".js")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount("/samples", StaticFiles(directory=SAMPLES), name="samples")
    docs = docs_page(app.openapi())

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(docs)

    @app.get("/docs.css", include_in_schema=False)
    async def style() -> FileResponse:
        return FileResponse(STYLE_FILE, media_type="text/css")


def _name(photo: UploadFile) -> str:
    return photo.filename or "photo"


async def _of_index(getting: Awaitable[T]) -> T:
    try:
        return await getting
    except KeyError:
        raise HTTPException(404, "The index has no such photo.") from None
    except PhotoError as error:
        raise HTTPException(404, str(error)) from None


def _download(data: bytes, kind: str, name: str) -> Response:
    held = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, media_type=kind, headers=held)


def _jpeg(data: bytes) -> Response:
    # An id contains a part of the checksum: the content of a URL never changes.
    return Response(
        data,
        media_type="image/jpeg",
        headers={"cache-control": "private, max-age=86400, immutable"},
    )
