"""What every visitor sees, kept in memory and renewed each second: many hot lists, and the rank."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from gateway.answers import RankedAnswer, VideoAnswer
from gateway.catalogue import Catalogue
from gateway.envelope import answer_bytes
from gateway.workers import Workers
from models.errors import Unavailable
from models.stores import port

POOL: Final = 256
HOT: Final = 8
RANK: Final = 10


class HotList(NamedTuple):
    """Eight random videos: their ids, and the whole answer."""

    ids: list[int]
    body: bytes


class Showcase:
    """A request takes what is ready; it never costs a query."""

    def __init__(self, workers: Workers, catalogue: Catalogue, sql: port.Catalogue) -> None:
        self._workers, self._catalogue, self._sql = workers, catalogue, sql
        self._hot: list[HotList] = []
        self._rank: bytes | None = None

    async def refresh(self) -> None:
        """Draw other hot lists and read the rank; raises Unavailable, and then the last ones stand."""
        if self._catalogue.loaded_at is None:
            return
        hot, ranked = await asyncio.gather(
            self._workers.run(self._draw, self._catalogue.sample(POOL)), self._workers.run(self._sql.rank, RANK)
        )
        self._hot = hot
        self._rank = answer_bytes([RankedAnswer(*line) for line in ranked], "获取排行榜信息成功")

    def _draw(self, ids: Sequence[int]) -> list[HotList]:
        videos = self._sql.videos(ids)
        return hot_lists([videos[i] for i in ids if i in videos and videos[i].audit_status == 0])

    def hot(self) -> HotList:
        """One of the hot lists; raises Unavailable before the first refresh."""
        if not self._hot:
            raise Unavailable("sql", "the catalogue has not been read yet")
        return random.choice(self._hot)  # noqa: S311 -- no secret

    def rank(self) -> bytes:
        """The whole answer; raises Unavailable before the first refresh."""
        if self._rank is None:
            raise Unavailable("sql", "the rank has not been read yet")
        return self._rank


def hot_lists(pool: Sequence[port.Video]) -> list[HotList]:
    """
    As many lists as there are videos in ``pool``, each beginning with another one; one empty list of none.

    The pool is in random order, so eight neighbours are eight random videos, and each video is in as many lists. All
    are encoded ahead: drawing and encoding eight for each request took half of its time.
    """
    rows = [msgspec.Raw(msgspec.json.encode(VideoAnswer(*video))) for video in pool]
    count = min(HOT, len(pool))
    lists = []
    for first in range(max(1, len(pool))):
        places = [(first + i) % len(pool) for i in range(count)]
        body = answer_bytes([rows[place] for place in places], "获取热点视频成功")
        lists.append(HotList([pool[place].id for place in places], body))
    return lists
