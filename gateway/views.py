"""The lists that anyone may open, and the page of one video."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from aiohttp import web

from gateway.answers import DetailAnswer
from gateway.auth import Gate
from gateway.bodies import video_id
from gateway.catalogue import Catalogue, unknown
from gateway.emit import Stamps, ViewLog
from gateway.envelope import HttpError, ok, respond
from gateway.positions import Positions
from gateway.showcase import Showcase
from gateway.workers import Gatherer, Workers
from models import events
from models.errors import Unavailable
from models.stores.port import Counts, PlayRow, PlayStores, SqlStores, Video

TOPICS: Final = frozenset({events.VIEWS, events.REACTIONS, events.PLAYS})
PLAYS_SECONDS: Final = 1.0
"""How long a page waits for its two play numbers."""


class Opened(NamedTuple):
    """Who opens which video; ``viewer`` is 0 for a guest."""

    viewer: int
    video: int
    owner: int


class Found(NamedTuple):
    """What SQL knows for it."""

    video: Video
    counts: Counts
    like: int
    collect: int
    follow: int


class Views:
    """GET /video/hot, /video/rank, /video/detail/ID."""

    def __init__(
        self,
        gate: Gate,
        catalogue: Catalogue,
        showcase: Showcase,
        positions: Positions,
        stamps: Stamps,
        view_log: ViewLog,
        sql: SqlStores,
        plays: PlayStores,
        sql_pool: Workers,
        plays_pool: Workers,
    ) -> None:
        self._gate, self._catalogue, self._showcase, self._positions = gate, catalogue, showcase, positions
        self._stamps, self._log, self._sql = stamps, view_log, sql
        self._found: Gatherer[Opened, Found] = Gatherer(sql_pool, self._load)
        self._plays: Gatherer[int, PlayRow] = Gatherer(plays_pool, plays.rows)

    async def hot(self, request: web.Request) -> web.Response:
        """Eight random videos."""
        viewer = await self._gate.viewer(request)
        drawn = self._showcase.hot()
        if viewer is not None and request.method == "GET":
            stamp = self._stamps.next()
            event = events.Hot(
                event_id=stamp.event_id,
                occurred_at=stamp.occurred_at,
                user_id=viewer,
                url="/video/hot",
                method="get",
                msg="video hot",
                video_ids=drawn.ids,
            )
            self._log.put(event, stamp.ms)
        return respond(drawn.body)

    async def rank(self, _: web.Request) -> web.Response:
        """Ten by clicks."""
        return respond(self._showcase.rank())

    async def detail(self, request: web.Request) -> web.Response:
        """One video, its counts, the viewer's own state."""
        viewer = await self._gate.viewer(request)
        video = video_id(request)
        known = await self._catalogue.find(video)
        reached = await self._positions.wait(request, TOPICS)
        found = await self._found.get(Opened(viewer or 0, video, known.owner_id))
        if found is None or found.video.audit_status != 0:
            raise unknown(video)
        answer = _answer(found, await self._played(video))
        if request.method == "GET":
            self._clicked(viewer, video)
        return ok(answer, "获取视频详情成功", headers={"X-Stale": "true"} if reached.stale else None)

    def _clicked(self, viewer: int | None, video: int) -> None:
        stamp = self._stamps.next()
        event = events.Detail(
            event_id=stamp.event_id,
            occurred_at=stamp.occurred_at,
            user_id=viewer,
            url=f"/video/detail/{video}",
            method="get",
            msg="video detail",
            video_id=video,
        )
        self._log.put(event, stamp.ms)

    async def _played(self, video: int) -> PlayRow | None:
        """The video's plays; None while HBase is away or slow: a page without two numbers is better than none."""
        try:
            async with asyncio.timeout(PLAYS_SECONDS):
                return await self._plays.get(video) or PlayRow(0, 0, 0)
        except (Unavailable, TimeoutError, HttpError):  # the last one when too many wait already
            return None

    def _load(self, opened: list[Opened]) -> Mapping[Opened, Found]:
        """Two queries for all who ask at once."""
        ids = {o.video for o in opened}
        own = {(o.viewer, o.video) for o in opened if o.viewer}
        owners = {(o.viewer, o.owner) for o in opened if o.viewer}
        videos = self._sql.videos(ids)
        states, counts = self._sql.states({"like": own, "collect": own, "follow": owners}, ids)
        return {
            o: Found(
                videos[o.video],
                counts.get(o.video, Counts()),
                states["like"].get((o.viewer, o.video), 0),
                states["collect"].get((o.viewer, o.video), 0),
                states["follow"].get((o.viewer, o.owner), 0),
            )
            for o in opened
            if o.video in videos
        }


def _answer(found: Found, played: PlayRow | None) -> DetailAnswer:
    return DetailAnswer(
        *found.video,
        likes=found.counts.likes,
        collects=found.counts.collects,
        plays=None if played is None else played.times,
        seconds=None if played is None else played.duration,
        like=1 if found.like else 0,
        collect=1 if found.collect else 0,
        follow=1 if found.follow else 0,
    )
