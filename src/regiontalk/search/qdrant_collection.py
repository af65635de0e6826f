"""Qdrant collection of an index's photos: connection, schema and upload."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regiontalk.errors import ConfigError, DataError
from regiontalk.search.index import Index
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.storage import Entry
from regiontalk.search.texts import keys_of_text

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

POOLED, REGIONS, LIKE = "pooled", "regions", "like"
_ADDRESS = re.compile(r"[^/\\]+:(\d+(/.*)?|//.*)")  # HOST:PORT, or a scheme that is not Qdrant's
_BATCH = 64
"""Photos per request: at h = 512 about 3 MB of numbers."""
# UUID namespace of point ids: they depend on the path alone
_NAMES = uuid.UUID("8f0a4d1e-6d0b-5c64-9a51-0d2f4e7f3b11")


@contextmanager
def connected(place: str) -> Iterator[QdrantClient]:
    """A client, closed at the end; its errors are raised as `OSError`.

    Args:
        place: a server's URL, http:// or https://; else a folder for the embedded mode.

    Raises:
        ConfigError: if the extra is not installed, or the place looks like an address, but has no
            http:// or https://.
        DataError: if another process holds the folder.
        OSError: if the server cannot be reached, or refuses; it names the server.
    """
    client = _client(place)
    try:
        yield client
    except Exception as error:  # the client's and its transport's own share no base class
        if not type(error).__module__.startswith(("qdrant_client", "httpx", "httpcore", "grpc")):
            raise
        reason = " ".join(str(error).split())[:200]
        raise OSError(
            None, f"the Qdrant server did not answer as expected ({reason}). Is it running?", place
        ) from error
    finally:
        client.close()


def push(
    index: Index,
    client: QdrantClient,
    collection: str,
    done: Callable[[int], None] = lambda photos: None,
) -> tuple[int, int]:
    """Synchronises a collection with an index; idempotent.

    Photos that it holds already are not sent again, so that an interrupted push can be resumed.

    Args:
        index: open.
        client: from `connected`.
        collection: its name; created if it does not exist.
        done: called with the number of photos that were compared since the last call.

    Returns:
        Numbers of photos sent and deleted.

    Raises:
        DataError: if the collection is of another pack.
    """
    from qdrant_client import models

    _prepare(client, collection, index.manifest.pack)
    positions, sent, kept = index.entries(), 0, set[str]()
    while batch := list(islice(positions, _BATCH)):
        ids = [_point(entry.path) for _, entry in batch]
        kept.update(ids)
        there = {
            str(each.id): each.payload or {}
            for each in client.retrieve(collection, ids, with_payload=["state", "text"])
        }
        new = [
            _to_point(index, position, entry)
            for (position, entry), point in zip(batch, ids, strict=True)
            if not _is_same(there.get(point, {}), entry)
        ]
        if new:
            client.upsert(collection, new, wait=True)
        sent += len(new)
        done(len(batch))
    gone = [point for point in _all_points(client, collection) if point not in kept]
    for start in range(0, len(gone), _BATCH):
        client.delete(
            collection, models.PointIdsList(points=list(gone[start : start + _BATCH])), wait=True
        )
    return sent, len(gone)


def _client(place: str) -> QdrantClient:
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise ConfigError(
            "Qdrant needs the extra 'qdrant': pip install 'regiontalk[qdrant]'"
        ) from error
    if place.startswith(("http://", "https://")):
        # Otherwise it asks the server for its version, and warns if there is no answer
        return QdrantClient(url=place, check_compatibility=False)
    if _ADDRESS.fullmatch(place) and not Path(place).is_dir():
        address = place.partition("://")[2] or place
        raise ConfigError(
            f"--qdrant {place}: expected a server's URL or a folder. "
            f"Write http://{address} for the server, or ./{place} for a new folder."
        )
    try:
        return QdrantClient(path=place)
    except RuntimeError as error:
        raise DataError(f"{place}: cannot be opened ({error}).") from None


def _prepare(client: QdrantClient, collection: str, pack: PackIdentity) -> None:
    """Creates the collection, or checks that it is of this pack."""
    from qdrant_client import models

    if client.collection_exists(collection):
        require_pack(client, collection, pack)
        return
    client.create_collection(
        collection,
        vectors_config={
            POOLED: models.VectorParams(size=pack.dim + 1, distance=models.Distance.DOT),
            LIKE: models.VectorParams(
                size=pack.dim,
                distance=models.Distance.COSINE,
                # Queried less often than `pooled`
                hnsw_config=models.HnswConfigDiff(on_disk=True),
                on_disk=True,
            ),
            REGIONS: models.VectorParams(
                size=pack.dim + 1,
                distance=models.Distance.DOT,
                multivector_config=models.MultiVectorConfig(
                    comparator=models.MultiVectorComparator.MAX_SIM
                ),
                # No approximate index: always compared exactly
                hnsw_config=models.HnswConfigDiff(m=0),
                on_disk=True,
            ),
        },
    )


def require_pack(client: QdrantClient, collection: str, pack: PackIdentity) -> None:
    _require_vectors(client, collection, pack.dim)
    points, _ = client.scroll(collection, limit=1, with_payload=["pack"])
    found = [(each.payload or {}).get("pack") for each in points]
    if found and found != [pack.checksum]:
        raise DataError(
            f"{collection}: was filled with another pack ({str(found[0])[:12]}), not {pack.name!r} "
            f"({pack.checksum[:12]}). Name that pack with --pack, or another collection."
        )


def _require_vectors(client: QdrantClient, collection: str, dim: int) -> None:
    """Checks vector names, sizes and distances: a collection made elsewhere may score otherwise."""
    from qdrant_client import models

    vectors = client.get_collection(collection).config.params.vectors
    found = vectors if isinstance(vectors, dict) else {}
    kinds = {
        name: (each.distance, each.size, getattr(each.multivector_config, "comparator", None))
        for name, each in found.items()
    }
    dot, cosine = models.Distance.DOT, models.Distance.COSINE
    max_sim = models.MultiVectorComparator.MAX_SIM
    if kinds != {
        POOLED: (dot, dim + 1, None),
        REGIONS: (dot, dim + 1, max_sim),
        LIKE: (cosine, dim, None),
    }:
        raise DataError(
            f"{collection}: expected vectors of {dim + 1} dimensions, {POOLED!r} and {REGIONS!r} "
            f"(multivector, MaxSim) compared by dot products, and {LIKE!r} of {dim} by cosines. "
            "Name another collection, and let regiontalk index push make it."
        )


def _point(path: str) -> str:
    return str(uuid.uuid5(_NAMES, path.encode("utf-8", "surrogateescape").hex()))


def _state(entry: Entry) -> list[Any]:
    """Checksum, size and mtime of a photo's file, by which `push` finds changed photos."""
    return [entry.sha256.hex(), entry.state.size, entry.state.mtime_ns]


def _is_same(payload: dict[str, Any], entry: Entry) -> bool:
    return bool(payload.get("state") == _state(entry) and payload.get("text", "") == entry.text)


def _to_point(index: Index, position: int, entry: Entry) -> models.PointStruct:
    from qdrant_client import models

    regions = index.regions(position)
    payload = {
        # A path may not be UTF-8, but JSON must be: each of its bytes becomes a character
        "path": entry.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "state": _state(entry),
        "pack": index.manifest.pack.checksum,
        "width": entry.width,
        "height": entry.height,
        "folders": list(_folders(entry.path)),
        "boxes": regions.boxes_xyxy.tolist(),
        "objectness": regions.scores.tolist(),
    }
    if entry.taken is not None:
        payload["taken"] = entry.taken
    if entry.text:
        payload |= {"text": entry.text, "words": sorted(keys_of_text(entry.text))}
    # ranked: (M, h + 1)
    ranked = np.column_stack([regions.vectors, np.full(len(regions), -regions.hubness)])
    vectors = {
        POOLED: ranked.mean(axis=0).tolist(),
        LIKE: regions.vectors.mean(axis=0).tolist(),
        REGIONS: ranked.tolist(),
    }
    return models.PointStruct(id=_point(entry.path), vector=vectors, payload=payload)


def _all_points(client: QdrantClient, collection: str) -> Iterator[str]:
    offset = None
    while True:
        points, offset = client.scroll(collection, limit=1000, offset=offset, with_payload=False)
        yield from (str(each.id) for each in points)
        if offset is None:
            return


def _folders(path: str) -> Iterator[str]:
    """Each parent folder of a path, with the separator, to match a pattern FOLDER/*."""
    for place, character in enumerate(path):
        if character in "/\\":
            yield path[: place + 1].encode("utf-8", "surrogateescape").decode("latin-1")
