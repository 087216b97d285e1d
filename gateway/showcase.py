"""What every visitor sees, kept in memory and renewed each second: a pool for the hot list, and the rank."""

from __future__ import annotations

import asyncio
import random
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


class Shown(NamedTuple):
    """A video ready to be sent."""

    id: int
    row: msgspec.Raw


class Showcase:
    """A request samples memory; it never costs a query."""

    def __init__(self, workers: Workers, catalogue: Catalogue, sql: port.Catalogue) -> None:
        self._workers, self._catalogue, self._sql = workers, catalogue, sql
        self._pool: list[Shown] | None = None
        self._rank: bytes | None = None

    async def refresh(self) -> None:
        """Draw another pool and read the rank; raises Unavailable, and then the last ones stand."""
        if self._catalogue.loaded_at is None:
            return
        ids = self._catalogue.sample(POOL)
        videos, ranked = await asyncio.gather(
            self._workers.run(self._sql.videos, ids), self._workers.run(self._sql.rank, RANK)
        )
        self._pool = [
            Shown(video.id, msgspec.Raw(msgspec.json.encode(VideoAnswer(*video))))
            for video in videos.values()
            if video.audit_status == 0
        ]
        self._rank = answer_bytes([RankedAnswer(*line) for line in ranked], "获取排行榜信息成功")

    def hot(self) -> list[Shown]:
        """Eight random videos, all when there are fewer; raises Unavailable before the first refresh."""
        if self._pool is None:
            raise Unavailable("sql", "the catalogue has not been read yet")
        return random.sample(self._pool, min(HOT, len(self._pool)))

    def rank(self) -> bytes:
        """The whole answer; raises Unavailable before the first refresh."""
        if self._rank is None:
            raise Unavailable("sql", "the rank has not been read yet")
        return self._rank
