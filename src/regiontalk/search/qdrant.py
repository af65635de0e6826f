"""The photos of an index on a Qdrant server or cluster, or in its embedded mode.

Behind the same contract as the exact engine. Each photo is a point with three vectors: `regions`,
all its region vectors, compared by MaxSim of raw dot products, which is Eq. 8 when the query's are
words; `pooled`, their mean, which an approximate index finds candidates by; and `like`, their mean
once more, compared by cosines, for photos by photo. The first two have one number more than the
space: the photo's hubness, which a word with a 1 there takes off. What else a result needs lies in
its payload, so that a search needs no index on this machine: the photo's text too, and its words,
which the server compares with a query's.

Axis names: M regions of a photo, T words, h dimensions of the shared space.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regiontalk.errors import ConfigError, DataError
from regiontalk.search.engine import BoxHit, Hit
from regiontalk.search.filters import EVERYTHING, Where, conditions_of
from regiontalk.search.index import Index
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.storage import Entry, FileState
from regiontalk.search.texts import TextQuery, keys_of_text, lift, word_weights
from regiontalk.structures import Regions

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

POOLED, REGIONS, LIKE = "pooled", "regions", "like"

_ADDRESS = re.compile(r"[^/\\]+:(\d+(/.*)?|//.*)")  # HOST:PORT, or a scheme that is not Qdrant's
_BATCH = 64
"""Photos in a request: at h = 512 about 3 MB of numbers."""
# Of this module: a path's point is the same everywhere
_NAMES = uuid.UUID("8f0a4d1e-6d0b-5c64-9a51-0d2f4e7f3b11")


@contextmanager
def connected(place: str) -> Iterator[QdrantClient]:
    """A client, closed at the end, and its errors as ours.

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
    """Makes a collection hold what an index holds.

    Photos that it holds already are not sent again, so that a push that was stopped goes on.

    Args:
        index: open.
        client: from `connected`.
        collection: its name; it is made if it is not there.
        done: called with the number of photos that were compared.

    Returns:
        How many photos were sent, and how many were deleted.

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


class QdrantEngine:
    """Ranks the photos of a collection. See `regiontalk.search.engine.Engine`.

    Args:
        client: from `connected`.
        collection: that `push` filled.
        pack: that will be used with it.
        candidates: photos that the approximate index on pooled vectors fetches, to be scored
            exactly by their regions; None scores all photos, which a large collection takes long
            for.

    Raises:
        DataError: if there is no such collection, or it is of another pack.
    """

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        pack: PackIdentity,
        candidates: int | None = None,
    ) -> None:
        if not client.collection_exists(collection):
            raise DataError(
                f"{collection}: the server has no such collection. Fill one: regiontalk index push"
            )
        _require_pack(client, collection, pack)
        self._client, self._collection, self._candidates = client, collection, candidates

    def photos(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, query: TextQuery | None = None
    ) -> list[Hit]:
        """See `Engine`.

        Of the photos whose texts have a word of the query, the k best by content are ranked, for
        each word; and R of `regiontalk.search.texts` is that of the photos which are ranked.
        """
        asked, weights = np.column_stack([words, np.ones(len(words))]), self._weights(query)
        if query is None or not weights:
            return _hits(self._query(asked, k, where))
        fetched = self._query(asked, k, where) if query.has_content else []
        for word in weights:
            fetched += self._query(asked, k, where, (word,))
        hits = _hits({str(each.id): each for each in fetched}.values())
        scores = np.array([hit.score for hit in hits])
        span = float(np.ptp(scores)) if hits else 0.0
        texts = [query.found_in(hit.entry.text) for hit in hits]
        lifts = np.array(
            [lift(weights[word] for word in text if word in weights) for text in texts]
        )
        ranked = scores + (span or 1) * lifts
        return [hits[place] for place in np.argsort(-ranked, kind="stable")[:k]]

    def matching_texts(self, query: TextQuery, where: Where = EVERYTHING) -> int:
        """See `Engine`."""
        return self._count(conditions_of(where, query.words)) if query.words else 0

    def like(self, vectors: np.ndarray, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """See `Engine`.

        With candidates the approximate index finds the photos, and may miss some.
        """
        from qdrant_client import models

        few = None if self._candidates is None else max(k, self._candidates)
        with warnings.catch_warnings():
            # So it does, whatever is asked for
            warnings.filterwarnings("ignore", message="Local mode performs exact")
            answer = self._client.query_points(
                self._collection,
                query=vectors.mean(axis=0).tolist(),
                using=LIKE,
                query_filter=conditions_of(where),
                search_params=models.SearchParams(exact=few is None, hnsw_ef=few),
                limit=k,
                with_payload=True,
                with_vectors=[REGIONS],
            )
        return _hits(answer.points)

    def boxes(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, once: bool = False
    ) -> list[BoxHit]:
        """See `Engine`.

        The k best boxes lie in the k photos with the best box, which MaxSim with one word finds.
        """
        query = words.sum(axis=0)
        hits = []
        for each in self._query(np.append(query, 0)[None], k, where):
            regions = _regions(each)
            scores = regions.vectors @ query
            rows = [int(scores.argmax())] if once else range(len(scores))
            hits += [BoxHit(_entry(each.payload), row, float(scores[row]), regions) for row in rows]
        return sorted(hits, key=lambda hit: (-hit.score, hit.entry.path, hit.region))[:k]

    def matching(self, where: Where) -> int:
        """See `Engine`."""
        return self._count(conditions_of(where))

    def _count(self, conditions: models.Filter | None) -> int:
        return int(self._client.count(self._collection, count_filter=conditions, exact=True).count)

    def _weights(self, query: TextQuery | None) -> dict[str, tuple[float, float]]:
        """The words of a query that stand in texts, see `word_weights`."""
        from qdrant_client import models

        having = [
            self._count(conditions_of(EVERYTHING, (word,)))
            for word in (query.words if query else ())
        ]
        if query is None or not any(having):
            return {}
        wordless = models.IsEmptyCondition(is_empty=models.PayloadField(key="words"))
        weights = word_weights(
            query, having, self._count(models.Filter(must_not=[wordless])), self._count(None)
        )
        return {
            word: each
            for word, count, each in zip(query.words, having, weights, strict=True)
            if count
        }

    def _query(
        self, words: np.ndarray, k: int, where: Where, in_text: Sequence[str] = ()
    ) -> list[Any]:
        """The k best points for words (T, h + 1) by MaxSim, with payload and regions.

        See `_filter`.
        """
        from qdrant_client import models

        conditions = conditions_of(where, in_text)
        prefetch = None
        if self._candidates is not None:
            limit = max(k, self._candidates)
            pooled = words.sum(axis=0).tolist()
            prefetch = models.Prefetch(query=pooled, using=POOLED, limit=limit, filter=conditions)
        answer = self._client.query_points(
            self._collection,
            query=words.tolist(),
            using=REGIONS,
            prefetch=prefetch,
            query_filter=conditions,
            limit=k,
            with_payload=True,
            with_vectors=[REGIONS],
        )
        return list(answer.points)


def _client(place: str) -> QdrantClient:
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise ConfigError(
            "Qdrant needs the extra 'qdrant': pip install 'regiontalk[qdrant]'"
        ) from error
    if place.startswith(("http://", "https://")):
        # Else it would ask, and warn, before we do
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
    """Makes the collection, or checks that it is of this pack."""
    from qdrant_client import models

    if client.collection_exists(collection):
        _require_pack(client, collection, pack)
        return
    client.create_collection(
        collection,
        vectors_config={
            POOLED: models.VectorParams(size=pack.dim + 1, distance=models.Distance.DOT),
            LIKE: models.VectorParams(
                size=pack.dim,
                distance=models.Distance.COSINE,
                # Not asked for as often as `pooled`
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


def _require_pack(client: QdrantClient, collection: str, pack: PackIdentity) -> None:
    _require_vectors(client, collection, pack.dim)
    points, _ = client.scroll(collection, limit=1, with_payload=["pack"])
    found = [(each.payload or {}).get("pack") for each in points]
    if found and found != [pack.checksum]:
        raise DataError(
            f"{collection}: was filled with another pack ({str(found[0])[:12]}), not {pack.name!r} "
            f"({pack.checksum[:12]}). Name that pack with --pack, or another collection."
        )


def _require_vectors(client: QdrantClient, collection: str, dim: int) -> None:
    """Somebody else may have made the collection.

    Vectors that it compares in another way would give other scores.
    """
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
    """Two photos at one path are the same if these agree."""
    return [entry.sha256.hex(), entry.state.size, entry.state.mtime_ns]


def _is_same(payload: dict[str, Any], entry: Entry) -> bool:
    return bool(payload.get("state") == _state(entry) and payload.get("text", "") == entry.text)


def _to_point(index: Index, position: int, entry: Entry) -> models.PointStruct:
    from qdrant_client import models

    regions = index.regions(position)
    payload = {
        # A name may be no UTF-8; JSON must be
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


def _entry(payload: dict[str, Any]) -> Entry:
    sha256, size, mtime_ns = payload["state"]
    path = payload["path"].encode("latin-1").decode("utf-8", "surrogateescape")
    state = FileState(size, mtime_ns)
    of_photo = payload["width"], payload["height"], payload.get("taken"), payload.get("text", "")
    return Entry(path, bytes.fromhex(sha256), state, *of_photo)


def _hits(points: Iterable[Any]) -> list[Hit]:
    """The photos of some points, the best first."""
    hits = [Hit(_entry(each.payload), float(each.score), _regions(each)) for each in points]
    return sorted(hits, key=lambda hit: (-hit.score, hit.entry.path))


def _regions(point: Any) -> Regions:
    entry = _entry(point.payload)
    boxes = np.array(point.payload["boxes"], np.float32)
    ranked = np.array(point.vector[REGIONS], np.float32)  # (M, h + 1)
    scores = np.array(point.payload["objectness"], np.float32)
    features, hubness = np.empty((len(boxes), 0), np.float32), -float(ranked[0, -1])
    return Regions(
        entry.path, entry.width, entry.height, boxes, scores, features, ranked[:, :-1], hubness
    )


def _all_points(client: QdrantClient, collection: str) -> Iterator[str]:
    offset = None
    while True:
        points, offset = client.scroll(collection, limit=1000, offset=offset, with_payload=False)
        yield from (str(each.id) for each in points)
        if offset is None:
            return


def _folders(path: str) -> Iterator[str]:
    """Each folder that a path lies below, with the separator, to match a pattern FOLDER/*."""
    for place, character in enumerate(path):
        if character in "/\\":
            yield path[: place + 1].encode("utf-8", "surrogateescape").decode("latin-1")
