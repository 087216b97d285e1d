"""
Reading one's own writes: a read that brings a position waits until the read model has reached it.

A write answers with the position of its event; the browser brings it along (cookie, header or query), and only that
viewer waits, for half a second at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from aiohttp import web

from gateway import cookies
from gateway.envelope import HttpError, bad_field
from gateway.workers import Shared, Workers
from models.errors import Refused, Unavailable
from models.eventlog.port import Position
from models.stores.port import Checkpoint, PlayStores, SqlStores
from models.topics import Topics

SECONDS: Final = 0.5
POLL_SECONDS: Final = 0.015
FRESH_SECONDS: Final = 1.0
"""How long a look at the positions serves for those that it had passed: they only grow."""
MAX_POSITIONS: Final = 8
HEADER: Final = "X-Position"


class Reached(NamedTuple):
    """How a wait ended: ``stale`` when in vain; reads begun at ``at`` (loop time) or later show what was waited for."""

    stale: bool
    at: float = float("-inf")


NOTHING: Final = Reached(False)


class Tracker:
    """Where one projection stands; looked at only while somebody waits, and by one for all."""

    def __init__(self, read: Callable[[], Mapping[int, Checkpoint]], workers: Workers) -> None:
        self._read, self._workers = read, workers
        self._shared = Shared(self._look)

    async def _look(self) -> tuple[float, Mapping[int, Checkpoint]]:
        begun = asyncio.get_running_loop().time()
        return begun, await self._workers.run(self._read)

    async def reach(self, wanted: Mapping[int, int]) -> float:
        """Loop time of the look that saw every offset (by partition) folded; raises Unavailable. Waits for ever."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - FRESH_SECONDS
        while True:
            at, seen = await self._shared.get(oldest)
            if all(p in seen and seen[p].next_offset > offset for p, offset in wanted.items()):
                return at
            await asyncio.sleep(POLL_SECONDS)
            oldest = loop.time() - POLL_SECONDS / 2


class Positions:
    """Waits for the positions that a request brings."""

    def __init__(self, topics: Topics, sql: SqlStores, plays: PlayStores, sql_pool: Workers, plays_pool: Workers):
        self._names = frozenset(topics.by_name)
        self._trackers: dict[str, Tracker] = {}
        for topic in topics.by_name.values():
            for projection in topic.projections:
                store, pool = (plays, plays_pool) if projection == "plays" else (sql, sql_pool)
                read = _reader(store, projection, topic.name)
                self._trackers[topic.name] = Tracker(read, pool)

    async def wait(self, request: web.Request, topics: frozenset[str]) -> Reached:
        """
        Wait for those positions that are in ``topics``, which the answer depends on; raises HttpError 400.

        Given in the query or the header they count alone; else the cookie's.
        """
        text, from_cookie = _given(request)
        if not text:
            return NOTHING
        wanted: dict[str, dict[int, int]] = {}
        for position in self._parse(text, from_cookie):
            if position.topic in topics:
                offsets = wanted.setdefault(position.topic, {})
                offsets[position.partition] = max(position.offset, offsets.get(position.partition, 0))
        return await self._reach(wanted) if wanted else NOTHING

    async def _reach(self, wanted: Mapping[str, Mapping[int, int]]) -> Reached:
        try:
            async with asyncio.timeout(SECONDS):
                looks = [await self._trackers[topic].reach(offsets) for topic, offsets in wanted.items()]
        except (TimeoutError, Unavailable):
            return Reached(True)
        return Reached(False, max(looks))

    def _parse(self, text: str, from_cookie: bool) -> list[Position]:
        parts = [p.strip() for p in text.replace("|", ",").split(",")]
        try:
            if len(parts) > MAX_POSITIONS:
                raise Refused("position", text, f"{MAX_POSITIONS} positions at most")
            positions = [Position.parse(part) for part in parts]
            for position in positions:
                if position.topic not in self._names:
                    raise Refused("position", text, "a topic among " + ", ".join(sorted(self._names)))
        except Refused as error:
            raise _malformed(error, from_cookie) from error
        return positions


def _reader(store: SqlStores | PlayStores, projection: str, topic: str) -> Callable[[], Mapping[int, Checkpoint]]:
    return lambda: store.positions(projection, topic)


def _given(request: web.Request) -> tuple[str, bool]:
    """The text of the positions, and whether it is the cookie's."""
    if request.query_string:
        text = request.query.get("position")
        if text is not None:
            return text, False
    text = request.headers.get(HEADER)
    if text is not None:
        return text, False
    return cookies.cookie(request, cookies.POSITION) or "", True


def _malformed(error: Refused, from_cookie: bool) -> HttpError:
    """400; a cookie is taken away at once, or the browser would bring it again and again."""
    answer = bad_field(error.field, error.value, error.allowed)
    if from_cookie:
        answer.headers["Set-Cookie"] = cookies.position_cookie("", 0)
    return answer


def joined(old: str | None, position: Position) -> str:
    """
    The cookie's next value: the new position in place of an older one of its partition, beside the others.

    They are separated by ``|``: RFC 6265 does not let a cookie hold a comma.
    """
    place = f"{position.topic}/{position.partition}@"
    kept = [p for p in (old or "").split("|") if p and not p.startswith(place) and _valid(p)]
    return "|".join([*kept[1 - MAX_POSITIONS :], str(position)])


def _valid(text: str) -> bool:
    try:
        Position.parse(text)
    except Refused:
        return False
    return text.isascii() and text.isprintable() and not set(text) & set(' ",;\\')
