"""`regiontalk serve` among hostile clients.

What well-behaved ones still get, and what memory the server keeps. python
benchmarks/hostile_clients.py # 64 clients, 200 hostile ones python benchmarks/hostile_clients.py
--seconds 10 --kinds bomb # photos that take minutes to decode only

Hostile clients, in equal shares, come again as soon as they are sent away: they send half a head
and wait (`head`), a body a byte a second (`body`), requests whose answers they never read (`deaf`),
JPEGs of one megabyte and thousands of scans (`bomb`), or text fields of many megabytes (`text`).
They are a process of their own. Turns with and without them alternate, so that both see the same
machine.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from measuring import arguments, at_least_one, print_table, sample_photos
from PIL import Image

from regiontalk.web.limits import DEFAULTS
from web import (
    BOUNDARY,
    WARM_UP_SECONDS,
    Load,
    multipart,
    resident_bytes,
    server,
    together,
    verdict,
)

GOAL_RATE, GOAL_MEMORY = 0.5, 1.2
TURNS = 2
SETTLE_SECONDS = 3.0
"""Between turns: hostile clients have connected, or are gone."""
PAUSE = 0.5
"""Seconds before a hostile client that was sent away comes again."""
BOMB_SIDE, BOMB_BYTES = 7000, 1_000_000
TEXT_BYTES = 16_000_000


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--clients", type=at_least_one, default=64, help="well-behaved ones (default: 64)"
    )
    parser.add_argument(
        "--hostile", type=at_least_one, default=200, help="hostile ones (default: 200)"
    )
    parser.add_argument(
        "--seconds", type=at_least_one, default=20, help="of each turn (default: 20)"
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="default: all"
    )
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.port:  # the hostile clients' own process
        asyncio.run(attack(options.port, options.hostile, options.kinds))
        return
    with tempfile.TemporaryFile("w+") as said:
        with server(options.pack, said) as (port, process):
            quiet, loud, memory = measure(port, process.pid, options)
            alive = process.poll() is None
            said.seek(0)
            lines = said.read().splitlines()
        show(options, quiet, loud, memory, lines, alive)


def measure(port: int, process: int, options: argparse.Namespace) -> tuple[Load, Load, list[int]]:
    """What the well-behaved see without and with the others.

    The server's memory before, at most, and after.
    """
    ask = (port, "/api/describe", [multipart(path, "describe") for path in sample_photos()])
    quiet, loud = Load(), Load()
    together(ask, options.clients, WARM_UP_SECONDS)
    memory = []
    for _ in range(TURNS):
        add(quiet, together(ask, options.clients, options.seconds))
        memory.append(memory_of(process))
        with hostile(port, options):
            time.sleep(SETTLE_SECONDS)
            add(loud, together(ask, options.clients, options.seconds))
            memory.append(memory_of(process))
        time.sleep(SETTLE_SECONDS)
    time.sleep(DEFAULTS.decode_seconds)  # the last photo is given up
    return quiet, loud, [memory[0], max(memory), memory_of(process)]


def show(
    options: argparse.Namespace,
    quiet: Load,
    loud: Load,
    memory: list[int],
    said: list[str],
    alive: bool,
) -> None:
    """Everything as ratios."""
    rate, kept = loud.throughput / quiet.throughput, memory[2] / memory[0]
    others = +(loud.statuses + quiet.statuses)
    others.pop("200", None)
    rows = [
        [
            "rate among hostile ones / without",
            f"{rate:.2f}",
            verdict(rate >= GOAL_RATE, f"at least {GOAL_RATE}"),
        ],
        ["answers but 200 to well-behaved ones", str(sum(others.values())), ""],
        ["memory, at most / before", f"{memory[1] / memory[0]:.2f}", ""],
        [
            "memory, after / before",
            f"{kept:.2f}",
            verdict(kept <= GOAL_MEMORY, f"at most {GOAL_MEMORY}"),
        ],
        ["lines on stderr", str(len(said)), verdict(not said, "0")],
        ["server alive", str(alive), verdict(alive, "True")],
    ]
    title = f"{options.clients} clients, {options.hostile} hostile ({', '.join(options.kinds)})"
    print_table(
        f"{title}; without them {quiet.throughput:.1f} photos/s", ["", "measured", "goal"], rows
    )
    print("\n".join([f"others: {dict(others)}"] * bool(others) + said[:20]), file=sys.stderr)


def add(total: Load, turn: Load) -> None:
    """Another turn's."""
    total.add(turn)
    total.seconds += turn.seconds


def memory_of(process: int) -> int:
    """What a process and its children hold now."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True
    )
    total = resident_bytes(process)
    for child in listed.stdout.split():
        with suppress(subprocess.CalledProcessError):  # it has just ended
            total += resident_bytes(int(child))
    return total


@contextmanager
def hostile(port: int, options: argparse.Namespace) -> Iterator[None]:
    """Hostile clients for a `with` statement."""
    command = [sys.executable, __file__, "--port", str(port), "--hostile", str(options.hostile)]
    with subprocess.Popen([*command, "--kinds", *options.kinds]) as process:
        try:
            yield
        finally:
            process.kill()


# Hostile clients


async def attack(port: int, count: int, kinds: list[str]) -> None:
    """Hostile clients, until the process is ended."""
    await asyncio.gather(
        *[persist(port, KINDS[kinds[number % len(kinds)]]) for number in range(count)]
    )


Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def persist(port: int, attacking: Attack) -> None:
    """One of them: it comes again and again."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
            try:
                await attacking(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(PAUSE)


async def send_half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """And wait until the server has enough of it."""
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
    await reader.read()


async def send_slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body, a byte a second."""
    writer.write(head(1_000_000))
    while not writer.transport.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Many requests, and not one answer read."""
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    while not writer.transport.is_closing():
        writer.write(b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def send_bombs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A JPEG that takes minutes to decode."""
    await post(reader, writer, b'name="photo"; filename="bomb.jpg"', BOMB)


async def send_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A field of text that never ends."""
    await post(reader, writer, b'name="sentence"', TEXT)


async def post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, about: bytes, data: bytes
) -> None:
    """A form with one field; waits for the answer."""
    start = (
        b"--" + BOUNDARY.encode() + b"\r\nContent-Disposition: form-data; " + about + b"\r\n\r\n"
    )
    end = b"\r\n--" + BOUNDARY.encode() + b"--\r\n"
    writer.write(head(len(start) + len(data) + len(end)) + start)
    writer.write(data)
    writer.write(end)
    await reader.readuntil(b"}")


def head(length: int) -> bytes:
    """Of a request to describe."""
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    lines = f"POST /api/describe HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}Content-Length: {length}"
    return f"{lines}\r\n\r\n".encode()


def scan_bomb(side: int, most: int) -> bytes:
    """A progressive JPEG of one colour whose last scan, a few bytes, comes again and again.

    Each takes all blocks.
    """
    plain = io.BytesIO()
    Image.new("L", (side, side), 99).save(plain, "JPEG", progressive=True)
    data = plain.getvalue()[:-2]
    last = max(found.start() for found in re.finditer(rb"\xff[\xc4\xda]", data))
    tables = max(found.start() for found in re.finditer(rb"\xff\xc4", data))
    scan = data[min(last, tables) :]
    return data + scan * ((most - len(data)) // len(scan)) + b"\xff\xd9"


KINDS: dict[str, Attack] = {
    "head": send_half_a_head,
    "body": send_slowly,
    "deaf": never_read,
    "bomb": send_bombs,
    "text": send_text,
}
BOMB = scan_bomb(BOMB_SIDE, BOMB_BYTES) if "--port" in sys.argv else b""
TEXT = b"x" * TEXT_BYTES if "--port" in sys.argv else b""


if __name__ == "__main__":
    main()
