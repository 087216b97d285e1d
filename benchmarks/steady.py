"""A steady mix of likes, heartbeats and page views over HTTP, at a rate, whatever the answers take."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

from benchmarks.lean import Client, Head
from benchmarks.stage import SECRET
from gateway.auth import issue
from models import events
from models.eventlog.port import Position

USERS: Final = 1_000
VIDEOS: Final = 1_000
OUT_OF: Final = 10
LIKES, HEARTBEATS = 3, 5
"""Of ten events; the rest are views."""
ASKED: Final = 6
"""One like in so many is asked for by GET with its position."""
BEATS: Final = 20
"""Heartbeats of a session."""


class Sent(NamedTuple):
    """
    What was sent, by topic: when, in seconds of ``time.monotonic``.

    A view's answer has no position: it is known by its viewer and video, of which no two are alike.
    """

    placed: Mapping[str, dict[tuple[int, int], float]]
    views: dict[tuple[int, int], float]
    asked: list[float]
    stale: list[float]
    failed: list[str]


class Mix:
    """Sends the mix to a gateway; ``sent`` grows meanwhile."""

    SPAN: Final = 100_000
    """Events of one mix at most: the next begins with views that no other had."""

    def __init__(self, client: Client, first: int = 0) -> None:
        self._first = first
        self.sent = Sent({events.REACTIONS: {}, events.PLAYS: {}}, {}, [], [], [])
        self._client, self._rng = client, random.Random(1)
        now = time.time_ns() // 1_000_000
        self._headers = [{"Authorization": f"Bearer {issue(SECRET, n, 36_000, now)}"} for n in range(1, USERS + 1)]
        self._session, self._beat = "", BEATS

    async def run(self, rate: int, seconds: float) -> None:
        """So many events a second; returns when all are answered. Late ones are sent at once, so the rate holds."""
        begun, tasks = time.monotonic(), set[asyncio.Task[None]]()
        for number in range(round(rate * seconds)):
            wait = begun + number / rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._send(self._first + number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks)

    async def _send(self, number: int) -> None:
        kind = number % OUT_OF
        try:
            if kind < LIKES:
                await self._like(number)
            elif kind < LIKES + HEARTBEATS:
                await self._heartbeat()
            else:
                await self._view(number)
        except (ConnectionError, AssertionError) as error:
            self.sent.failed.append(repr(error))

    async def _like(self, number: int) -> None:
        user, video = self._rng.randrange(USERS), self._rng.randrange(VIDEOS) + 1
        at = time.monotonic()
        position = await self._post(user, f"/video/like/{video}", {"like": number % 2})
        self._place(position, at)
        if number // OUT_OF % ASKED == 0 and number % OUT_OF == 0:
            await self._ask(user, video, position, at)

    async def _heartbeat(self) -> None:
        if self._beat == BEATS:
            self._session, self._beat = str(uuid.UUID(int=self._rng.getrandbits(128))), 0
        video = int(self._session[:8], 16) % VIDEOS + 1
        body = {"type": "ping", "session": self._session, "seq": self._beat, "play_time": 15 * self._beat}
        self._beat += 1
        at = time.monotonic()
        self._place(await self._post(self._rng.randrange(USERS), f"/video/play/{video}", body), at)

    async def _view(self, number: int) -> None:
        user, video = number % USERS, number // USERS % VIDEOS + 1
        self.sent.views[user + 1, video] = time.monotonic()
        _good(await self._client.get(f"/video/detail/{video}", self._headers[user]))

    async def _post(self, user: int, path: str, body: Mapping[str, object]) -> Position:
        position = _good(await self._client.post(path, self._headers[user], body)).header("X-Position")
        assert position is not None, "no position"
        return Position.parse(position)

    async def _ask(self, user: int, video: int, position: Position, at: float) -> None:
        """What a viewer's page does: read with the position of one's own write."""
        headers = self._headers[user] | {"X-Position": str(position)}
        head = _good(await self._client.get(f"/video/like/{video}", headers))
        seen = self.sent.stale if head.header("X-Stale") else self.sent.asked
        seen.append(time.monotonic() - at)

    def _place(self, position: Position, at: float) -> None:
        self.sent.placed[position.topic][position.partition, position.offset] = at


def _good(head: Head) -> Head:
    assert head.status == 200, head.status
    return head
