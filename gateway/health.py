"""Whether the process answers, and whether each of its parts works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from gateway.answers import LiveAnswer, ReadyAnswer
from gateway.catalogue import Catalogue
from gateway.envelope import ErrorAnswer, ok, respond
from gateway.parts import Parts
from gateway.workers import Shared, Workers
from models.errors import PlaytrailError, Unavailable

SECONDS: Final = 2.0
CATALOGUE_SECONDS: Final = 60.0


class Health:
    """GET /health/live, /health/ready; ready is asked at most once a second, however often it is called."""

    def __init__(self, parts: Parts, catalogue: Catalogue, sql_pool: Workers, plays_pool: Workers) -> None:
        self._parts, self._catalogue = parts, catalogue
        self._sql_pool, self._plays_pool = sql_pool, plays_pool
        self._shared = Shared(self._look)
        self.stopping = False

    async def live(self, _: web.Request) -> web.Response:
        """200 while the event loop turns."""
        return ok(LiveAnswer(True), "运行中")

    async def ready(self, _: web.Request) -> web.Response:
        """200 when every part works, else 503 with the reasons."""
        parts = await self._shared.get(asyncio.get_running_loop().time() - 1.0)
        if self.stopping:
            parts = msgspec.structs.replace(parts, log="the gateway is stopping")
        if all(reason == "ok" for reason in msgspec.structs.astuple(parts)):
            return ok(parts, "一切正常")
        answer = ErrorAnswer(code=503, msg="有部件不可用", data=parts, error="unavailable")
        return respond(msgspec.json.encode(answer), 503, {"Retry-After": "1"})

    async def _look(self) -> ReadyAnswer:
        reasons = await asyncio.gather(
            _reason(self._parts.writer.ready),
            _reason(self._spool),
            _reason(lambda: self._sql_pool.run(self._parts.sql.ping)),
            _reason(lambda: self._plays_pool.run(self._parts.plays.ping)),
            _reason(self._videos),
        )
        return ReadyAnswer(*reasons)

    async def _spool(self) -> None:
        """The spool works while it can be asked; what is in it is on its way, and shown in the metrics."""
        self._parts.outbox.status()

    async def _videos(self) -> None:
        loaded = self._catalogue.loaded_at
        if loaded is None:
            raise Unavailable("catalogue", "not read yet")
        age = asyncio.get_running_loop().time() - loaded
        if age > CATALOGUE_SECONDS:
            raise Unavailable("catalogue", f"last read {age:.0f} seconds ago")


async def _reason(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(SECONDS):
            await check()
    except Unavailable as error:
        return error.reason
    except PlaytrailError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {SECONDS:g} seconds"
    return "ok"
