"""What is watched most: a few rows of the top lists, merged, whatever the number of videos."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import structlog
from aiohttp import web

from gateway.answers import Bar, ItemStyle, StatisticsAnswer
from gateway.envelope import answer_bytes, respond
from gateway.positions import Positions
from gateway.workers import Shared, Workers
from models import events
from models.clock import Clock
from models.errors import Unavailable
from models.stores.port import PlayStores, SqlStores, Top

log = structlog.get_logger()

TOPICS: Final = frozenset({events.PLAYS})
TEN: Final = 10
SECONDS: Final = 1.0
"""How old an answer may be."""
AHEAD_SECONDS: Final = 0.5
"""The pause between readings that nobody waits for: so short that an answer is young mostly when somebody asks."""
WAIT_SECONDS: Final = 1.0
"""How long a request waits for a younger answer when there is an older one."""
COLORS: Final = (
    "#2f6fde", "#12a594", "#e5a000", "#d6456b", "#7a5af0",
    "#3a9d3a", "#e2703a", "#1b9dc9", "#a3782f", "#8d6b9f",
)  # fmt: skip


def merged(lists: Iterable[Iterable[tuple[int, int]]]) -> list[tuple[int, int]]:
    """
    The ten largest of several partitions' lists of (video id, value), ties by id.

    Exact, since a video is in one partition only and each list has that partition's ten largest.
    """
    return sorted((pair for pairs in lists for pair in pairs), key=lambda pair: (-pair[1], pair[0]))[:TEN]


class Statistics:
    """GET /video/statistics; the answer is read and encoded ahead, once for all who ask within a second."""

    def __init__(
        self,
        positions: Positions,
        sql: SqlStores,
        plays: PlayStores,
        sql_pool: Workers,
        plays_pool: Workers,
        clock: Clock,
    ) -> None:
        self._positions, self._sql, self._plays = positions, sql, plays
        self._sql_pool, self._plays_pool, self._clock = sql_pool, plays_pool, clock
        self._titles: dict[int, str] = {}
        self._last: bytes | None = None
        self._shared = Shared(self._read)

    async def refresh(self) -> None:
        """Read now; raises Unavailable when there never was an answer."""
        await self._shared.get(asyncio.get_running_loop().time())

    async def get(self, request: web.Request) -> web.Response:
        """The top ten; from the last good reading while HBase is away or slow, which ``valid_through`` tells."""
        reached = await self._positions.wait(request, TOPICS)
        now = asyncio.get_running_loop().time()
        body = await self._not_before(max(now - SECONDS, reached.at))
        return respond(body, headers={"X-Stale": "true"} if reached.stale else None)

    async def _not_before(self, at: float) -> bytes:
        if self._last is None or self._shared.begun >= at:
            return await self._shared.get(at)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await self._shared.get(at)
        except TimeoutError:
            return self._last

    async def _read(self) -> bytes:
        read_at = events.rfc3339(self._clock.now_ms())
        try:
            # The titles that were shown last are those that will be shown, mostly: one wait instead of two.
            tops, _ = await asyncio.gather(
                self._plays_pool.run(self._plays.tops), self._learn_titles(self._titles.keys())
            )
        except Unavailable:
            if self._last is None:
                raise
            return self._last
        by_duration, by_times = _merge_both(tops)
        shown = {video for video, _ in (*by_duration, *by_times)}
        if not shown <= self._titles.keys():
            await self._learn_titles(shown)
        answer = StatisticsAnswer(
            time_x_data=[str(video) for video, _ in by_duration],
            time_y_data=self._bars(by_duration),
            counts_x_data=[str(video) for video, _ in by_times],
            counts_y_data=self._bars(by_times),
            valid_through=read_at,
        )
        self._last = answer_bytes(answer, "获取统计信息成功")
        return self._last

    async def _learn_titles(self, ids: Collection[int]) -> None:
        """Titles of the videos shown; while SQL is away those known before serve, and else the id."""
        try:
            videos = await self._sql_pool.run(self._sql.videos, ids) if ids else {}
        except Unavailable:
            return
        self._titles = {video.id: video.title for video in videos.values()}

    def _bars(self, pairs: list[tuple[int, int]]) -> list[Bar]:
        return [
            Bar(value, self._titles.get(video, str(video)), ItemStyle(COLORS[place % len(COLORS)]))
            for place, (video, value) in enumerate(pairs)
        ]


def _merge_both(tops: Mapping[int, Top]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return merged(t.by_duration for t in tops.values()), merged(t.by_times for t in tops.values())
