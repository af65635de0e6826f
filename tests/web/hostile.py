"""What clients send that mean no good, over plain sockets."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from PIL import Image

from .conftest import Running

POST = (
    b"POST /api/describe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; "
    b"boundary=x\r\n"
)
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-"


def connect(
    running: Running, received_bytes: int | None = None, address: str = ""
) -> socket.socket:
    """A connection, from one of this machine's own addresses.

    The system keeps only so many bytes that nobody reads.
    """
    host, port = running.url.removeprefix("http://").split(":")
    connection = socket.socket()
    if received_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_bytes)
    if address:
        connection.bind((address, 0))
    connection.settimeout(30)
    connection.connect((host, int(port)))
    return connection


def answered(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a response that ends with the connection or its length."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name.lower()] = value
        return status, headers, stream.read(int(headers["content-length"]))


def refused(connection: socket.socket) -> tuple[int, str]:
    """Status and text of an error, which must be the API's kind of JSON."""
    status, headers, body = answered(connection)
    assert headers["content-type"] == "application/json"
    answer: dict[str, Any] = json.loads(body)
    assert list(answer) == ["error"]
    return status, answer["error"]


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection; waits for it."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def eventually(true: Callable[[], bool]) -> bool:
    """Whether something comes true within half a minute."""
    until = time.monotonic() + 30
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


def scan_bomb(side: int, scans: int) -> bytes:
    """A progressive JPEG of one colour whose last scan, a few bytes, comes again and again.

    Each takes all blocks.
    """
    plain = io.BytesIO()
    Image.new("L", (side, side), 99).save(plain, "JPEG", progressive=True)
    data = plain.getvalue()[:-2]
    tables = max(found.start() for found in re.finditer(rb"\xff\xc4", data))
    last = max(found.start() for found in re.finditer(rb"\xff\xda", data))
    return data + data[min(last, tables) :] * scans + b"\xff\xd9"
