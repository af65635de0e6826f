"""`regiontalk serve`: web server of a page for photos and of a JSON API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from regiontalk.cli.console import ending, printable, warn_user
from regiontalk.cli.options import MaxPixelsOption, PackOption, ThreadsOption
from regiontalk.errors import ConfigError

if TYPE_CHECKING:
    import socket

_EXTRA = ("fastapi", "uvicorn", "h11", "starlette", "pydantic", "python_multipart")


HostOption = Annotated[
    str,
    typer.Option(
        "--host", metavar="HOST", help="Where to listen; only this machine reaches 127.0.0.1."
    ),
]


PortOption = Annotated[
    int,
    typer.Option(
        "--port",
        min=0,
        max=65_535,
        metavar="N",
        help="Where to listen; 0 for any that is free.",
    ),
]


def serve(
    index: Annotated[
        str | None,
        typer.Option(
            "--index", metavar="DIR", help="Also search this index; see regiontalk index add."
        ),
    ] = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    pack: PackOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
    behind_proxy: Annotated[
        bool,
        typer.Option(
            "--behind-proxy",
            help="All clients come through one address: let it have all places, not half.",
        ),
    ] = False,
) -> None:
    """Open a page to look at photos with, and a JSON API.

    It prints its address and serves until Ctrl-C. Needs: pip install 'regiontalk[web]'

    Examples:

    \b
      regiontalk serve
      regiontalk serve --index photos.index --port 8080
    """
    with ending(if_interrupted="stopped") as report:
        _require_extra()
        from regiontalk.model import load
        from regiontalk.web import server
        from regiontalk.web.api import create_app
        from regiontalk.web.finding import PhotoFinder
        from regiontalk.web.limits import DEFAULTS
        from regiontalk.web.service import Service

        with server.bind(host, port) as listening:
            model = load(pack, threads)
            finder = None if index is None else PhotoFinder(index, model, threads)
            local = server.is_loopback(listening)
            if not local:
                _warn(listening, index)
            pixels = DEFAULTS.pixels if max_pixels is None else max_pixels
            share = 1.0 if behind_proxy else DEFAULTS.address_share
            limits = replace(DEFAULTS, pixels=pixels, address_share=share)
            with Service(model, finder, limits) as service:
                app = create_app(service, server.names(listening, host) if local else None)
                report.result(
                    f"RegionTalk is at {server.url(listening, host)} (API at /docs). "
                    "Ctrl-C stops it."
                )
                server.serve(app, listening, service.limits)


def _require_extra() -> None:
    """Check that the extra 'web' is installed, before a model is loaded."""
    try:
        for module in _EXTRA:
            __import__(module)
    except ImportError as error:
        raise ConfigError(
            f"serve needs {error.name}. Install it with: pip install 'regiontalk[web]'"
        ) from None


def _warn(listening: socket.socket, index: str | None) -> None:
    """Warn that a server on a non-loopback address is open to the network."""
    photos = " and sees the photos of the index with their paths" if index is not None else ""
    warn_user(
        f"listening on {printable(str(listening.getsockname()[0]))}: anybody who reaches it can "
        f"upload photos{photos}. There is no password and no encryption; use --host 127.0.0.1 to "
        "keep it to this machine"
    )
