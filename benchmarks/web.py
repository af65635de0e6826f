"""`regiontalk serve` under load.

Many clients at once against one client, the server's memory, and what too many get. python
benchmarks/web.py # 64 clients for 30 seconds python benchmarks/web.py --clients 16 --seconds 5
--ask align

The server is a process of its own on loopback. Each client sends one of the sample photos, waits
for the answer, and sends the next. Clients take turns with a single client before and after, so
that both see the same machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from measuring import arguments, at_least_one, print_table, sample_photos

GOAL_THROUGHPUT, GOAL_MEMORY = 1.5, 1.1
SENTENCE = "a man in a red suit stands near a cat and a cup of coffee"
BOUNDARY = "regiontalk-benchmark"
WARM_UP_SECONDS = 2.0


@dataclass
class Load:
    """What some clients saw.

    Attributes:
        seconds: that they worked.
        statuses: how many answers of each HTTP status; "error" for a broken connection.
        waits: seconds for each answer with status 200.
        refusals: seconds for each answer with status 503.
        retry_after: whether all of these said when to come again.
    """

    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    retry_after: bool = True

    @property
    def throughput(self) -> float:
        """Photos per second."""
        return self.statuses["200"] / self.seconds

    def add(self, other: Load) -> None:
        """Another client's, or another turn's."""
        self.statuses += other.statuses
        self.waits += other.waits
        self.refusals += other.refusals
        self.retry_after &= other.retry_after


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=at_least_one, default=64, help="at once (default: 64)")
    parser.add_argument(
        "--seconds", type=at_least_one, default=30, help="that they work (default: 30)"
    )
    parser.add_argument(
        "--ask", choices=("describe", "align"), default="describe", help="default: describe"
    )
    parser.add_argument(
        "--too-many",
        type=at_least_one,
        default=400,
        help="clients that are too many (default: 400)",
    )
    options = parser.parse_args()
    with server(options.pack) as (port, process):
        bodies = [multipart(path, options.ask) for path in sample_photos()]
        ask = (port, f"/api/{options.ask}", bodies)
        together(ask, options.clients, WARM_UP_SECONDS)
        first = resident_bytes(process.pid)
        one = together(ask, 1, options.seconds / 6)
        many, memory = watched(ask, options, process.pid)
        after = together(ask, 1, options.seconds / 6)
        one.add(after)
        one.seconds += after.seconds
        crowd = together(ask, options.too_many, min(5.0, options.seconds))
        alive = process.poll() is None
    show(options, one, many, crowd, [first, *memory], alive)


def show(
    options: argparse.Namespace, one: Load, many: Load, crowd: Load, memory: list[int], alive: bool
) -> None:
    """Everything as ratios."""
    ratio = many.throughput / one.throughput
    errors = sum(many.statuses.values()) - many.statuses["200"]
    early, late = (
        statistics.median(part) for part in (memory[: len(memory) // 2], memory[len(memory) // 2 :])
    )
    refused, served = (
        statistics.median(each) if each else float("nan") for each in (crowd.refusals, crowd.waits)
    )
    other = {
        status: count for status, count in crowd.statuses.items() if status not in ("200", "503")
    }
    growth, wait = late / early, statistics.median(many.waits) / statistics.median(one.waits)
    rows = [
        [
            "throughput / one client's",
            f"{ratio:.2f}",
            verdict(ratio >= GOAL_THROUGHPUT, f"at least {GOAL_THROUGHPUT}"),
        ],
        [f"answers to {options.clients} clients", f"{sum(many.statuses.values())}", ""],
        ["of them not 200", f"{errors}", verdict(errors == 0, "0")],
        ["median wait / one client's", f"{wait:.1f}", ""],
        [
            "memory, second half / first half",
            f"{growth:.3f}",
            verdict(growth <= GOAL_MEMORY, f"at most {GOAL_MEMORY}"),
        ],
        [f"{options.too_many} clients: share of 503", f"{share(crowd, '503'):.2f}", ""],
        [
            "each of them with Retry-After",
            str(crowd.retry_after),
            verdict(crowd.retry_after, "True"),
        ],
        ["median wait for a 503 / for an answer", f"{refused / served:.4f}", ""],
        [
            "neither 200 nor 503, or server gone",
            f"{sum(other.values())}",
            verdict(not other and alive, "0"),
        ],
    ]
    title = f"regiontalk serve, /api/{options.ask}: one client {one.throughput:.1f} photos/s"
    print_table(title, ["", "measured", "goal"], rows)
    if other:
        print(f"others: {other}", file=sys.stderr)


def verdict(reached: bool, goal: str) -> str:
    """A goal and whether it is reached."""
    return f"{goal}: {'yes' if reached else 'NO'}"


def share(load: Load, status: str) -> float:
    """Of all answers those with a status."""
    return load.statuses[status] / sum(load.statuses.values())


@contextmanager
def server(
    pack: str | None, said: IO[str] | None = None
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A server on a free port, stopped in the end.

    Args:
        pack: None for the default one.
        said: where its stderr goes; None for this one's.
    """
    command = [sys.executable, "-m", "regiontalk", "serve", "--port", "0"]
    command += ["--pack", pack] if pack else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://127.0.0.1:" not in line:
            sys.exit("the server did not start")
        try:
            yield int(line.split("http://127.0.0.1:")[1].split("/")[0]), process
        finally:
            process.terminate()


def multipart(photo: Path, ask: str) -> bytes:
    """The body of a request."""
    parts = [(f'name="photo"; filename="{photo.name}"', photo.read_bytes())]
    if ask == "align":
        parts.append(('name="sentence"', SENTENCE.encode()))
    marked = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data
        for head, data in parts
    ]
    return b"\r\n".join([*marked, f"--{BOUNDARY}--\r\n".encode()])


Ask = tuple[int, str, list[bytes]]
"""Port, path, bodies."""


def watched(ask: Ask, options: argparse.Namespace, process: int) -> tuple[Load, list[int]]:
    """What many clients see, and the server's memory twice a second while they work."""
    memory: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            memory.append(resident_bytes(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    load = together(ask, options.clients, options.seconds)
    done.set()
    watcher.join()
    return load, memory


def together(ask: Ask, clients: int, seconds: float) -> Load:
    """What some clients see that ask again and again for a while."""
    loads = [Load() for _ in range(clients)]
    began = time.perf_counter()
    threads = [
        threading.Thread(target=client, args=(ask, number, began + seconds, load))
        for number, load in enumerate(loads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Load(seconds=time.perf_counter() - began)
    for load in loads:
        total.add(load)
    return total


def client(ask: Ask, number: int, until: float, load: Load) -> None:
    """One client: a connection that is kept, a photo after the other."""
    port, path, bodies = ask
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    while (began := time.perf_counter()) < until:
        number += 1
        try:
            connection.request("POST", path, bodies[number % len(bodies)], headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            load.statuses[type(error).__name__] += 1
            connection.close()
            continue
        took = time.perf_counter() - began
        load.statuses[str(response.status)] += 1
        if response.status == 200 and "regions" in answer:
            load.waits.append(took)
        elif response.status == 503:
            load.refusals.append(took)
            load.retry_after &= response.getheader("Retry-After", "").isdigit()
            time.sleep(0.05)  # impatient, but no flood
    connection.close()


def resident_bytes(process: int) -> int:
    """The memory that a process holds now."""
    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True
    )
    return int(shown.stdout) * 1024


if __name__ == "__main__":
    main()
