"""Search engine on a Qdrant server or cluster, or on Qdrant's embedded mode.

Each photo is a point with three named vectors: `regions`, a multivector of all its region vectors,
compared by MaxSim of raw dot products, which is Eq. 8 for a query of words; `pooled`, their mean,
by which an approximate index retrieves candidates; and `like`, the same mean compared by cosine,
for search by photo. The first two have h + 1 dimensions: the last is minus the photo's hubness,
which a 1 in the query adds. The payload holds the rest of a result, so that a search needs no index
on this machine; also the photo's text, and its words, which the server matches with a query's.

Axis names: M regions of a photo, T words, h dimensions of the shared space.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regiontalk.errors import DataError
from regiontalk.search.engine import BoxHit, Hit
from regiontalk.search.filters import EVERYTHING, Where, conditions_of
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.qdrant_collection import LIKE, POOLED, REGIONS, require_pack
from regiontalk.search.storage import Entry, FileState
from regiontalk.search.texts import TextQuery, lift, word_weights
from regiontalk.structures import Regions

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models


class QdrantEngine:
    """Ranks the photos of a collection. See `regiontalk.search.engine.Engine`.

    Args:
        client: from `connected`.
        collection: filled by `push`.
        pack: that will be used with it.
        candidates: photos that the approximate index on pooled vectors retrieves, to be reranked by
            exact scores; None scores all photos, which is slow for a large collection.

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
        require_pack(client, collection, pack)
        self._client, self._collection, self._candidates = client, collection, candidates

    def photos(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, query: TextQuery | None = None
    ) -> list[Hit]:
        """See `Engine`.

        Of the photos whose texts have a word of the query, only the k best by content are ranked,
        for each word; R of `regiontalk.search.texts` is taken over the ranked photos.
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
        """See `Engine`. With candidates, approximate: it may miss photos."""
        from qdrant_client import models

        few = None if self._candidates is None else max(k, self._candidates)
        with warnings.catch_warnings():
            # The embedded mode warns that it ignores `search_params`
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

        The k best boxes lie in the k photos with the best boxes, which MaxSim with a single query
        vector finds.
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
        """`word_weights` of those words of a query that a photo's text has."""
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
        """The k best points for words (T, h + 1) by MaxSim; `in_text` as in `conditions_of`."""
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


def _entry(payload: dict[str, Any]) -> Entry:
    sha256, size, mtime_ns = payload["state"]
    path = payload["path"].encode("latin-1").decode("utf-8", "surrogateescape")
    state = FileState(size, mtime_ns)
    of_photo = payload["width"], payload["height"], payload.get("taken"), payload.get("text", "")
    return Entry(path, bytes.fromhex(sha256), state, *of_photo)


def _hits(points: Iterable[Any]) -> list[Hit]:
    """The photos of some points, the best first; ties are broken by path."""
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
