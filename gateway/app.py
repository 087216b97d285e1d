"""The gateway put together: what it is made of, what lives as long as it, and how it is served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, cast

from aiohttp import web

from gateway.auth import Gate, Verifier
from gateway.bodies import MAX_BYTES
from gateway.catalogue import Catalogue
from gateway.connections import reports
from gateway.emit import Emitter, Stamps, ViewLog
from gateway.health import Health
from gateway.jwks import Jwks
from gateway.metrics import Metrics
from gateway.middlewares import guard
from gateway.openapi import Description
from gateway.ops import Ops
from gateway.page import Page
from gateway.parts import Parts as Parts
from gateway.plays import Plays
from gateway.positions import Positions
from gateway.rates import Rates
from gateway.reactions import KINDS, Reactions
from gateway.routes import Handlers, table
from gateway.shared_metrics import SharedMetrics
from gateway.showcase import Showcase
from gateway.statistics import AHEAD_SECONDS, Statistics
from gateway.views import Views
from gateway.workers import Workers, every
from models.errors import InvalidSetting, PlaytrailError

FIRST_SECONDS: Final = 5.0
REFRESH_SECONDS: Final = 1.0
KEEPALIVE_SECONDS: Final = 75.0
"""How long a connection may go without a whole request head: longer than proxies keep theirs, which is 60 mostly."""
LINGERING_SECONDS: Final = 2.0
"""How long the rest of a body that was refused is read on, so that the client sees the answer and not a reset."""
METRICS: Final = web.AppKey("metrics", Metrics)


def make_app(parts: Parts) -> web.Application:
    """
    The application; it starts to work when it is served, and leaves nothing running when it has been.

    Raises InvalidSetting when there is no way to verify tokens.
    """
    secret = parts.settings.signing_secret()
    jwks = Jwks(parts.settings.jwks) if parts.settings.jwks else None
    verifier = Verifier(secret, jwks, parts.clock)
    users, addresses = Rates("user", parts.settings.rate_user), Rates("address", parts.settings.rate_address)
    gate = Gate(verifier, parts.settings.origins, users)
    built = _Built(parts, gate, verifier, (users, addresses), secret)
    app = web.Application(middlewares=[guard(gate, addresses, built.metrics)], client_max_size=MAX_BYTES)
    app[METRICS] = built.metrics
    routes = table(built.handlers)
    built.handlers.description.describe(routes)
    for route in routes:
        for method in ("GET", "HEAD") if route.method == "GET" else ("POST",):
            app.router.add_route(method, route.path, route.handler)
    app.cleanup_ctx.append(built.run)
    app.on_shutdown.append(built.stopping)
    return app


class _Built:
    """The gateway's own parts, and their lifetimes."""

    def __init__(
        self, parts: Parts, gate: Gate, verifier: Verifier, rates: Sequence[Rates], secret: str | None
    ) -> None:
        self._parts = parts
        self.metrics = Metrics(_shared(parts))
        self._sql, self._plays = Workers("sql"), Workers("plays")
        self._catalogue = Catalogue(self._sql, parts.sql)
        self._showcase = Showcase(self._sql, self._catalogue, parts.sql)
        self._emitter = Emitter(parts.outbox, self.metrics)
        self._view_log = ViewLog(parts.writer, self.metrics)
        self._health = Health(parts, self._catalogue, self._sql, self._plays)
        self._ops = Ops(parts, self.metrics.registry)
        self.handlers = self._handlers(gate, secret)
        self._gauges(verifier, rates)

    def _handlers(self, gate: Gate, secret: str | None) -> Handlers:
        parts, sql, plays = self._parts, self._sql, self._plays
        stamps = Stamps(parts.clock)
        positions = Positions(parts.topics, parts.sql, parts.plays, sql, plays)
        reactions = (
            Reactions(kind, gate, self._catalogue, positions, stamps, self._emitter, parts.sql, sql) for kind in KINDS
        )
        return Handlers(
            views=Views(
                gate, self._catalogue, self._showcase, positions, stamps, self._view_log, parts.sql, parts.plays, sql,
                plays,
            ),
            reactions=tuple(reactions),
            plays=Plays(gate, self._catalogue, stamps, self._emitter),
            statistics=Statistics(positions, parts.sql, parts.plays, sql, plays, parts.clock),
            health=self._health,
            metrics=self.metrics,
            description=Description(),
            page=Page(gate, parts.clock, secret if parts.demo else None),
            ops=self._ops,
        )  # fmt: skip

    def _gauges(self, verifier: Verifier, rates: Sequence[Rates]) -> None:
        outbox, clock = self._parts.outbox, self._parts.clock

        def age() -> float:
            oldest = outbox.status().oldest_ms
            return 0.0 if oldest is None else max(0.0, (clock.now_ms() - oldest) / 1000)

        gauge = self.metrics.gauge
        gauge("playtrail_spool_events", "Events that wait in the spool", lambda: outbox.status().events)
        gauge("playtrail_spool_bytes", "Their bytes", lambda: outbox.status().bytes)
        gauge("playtrail_spool_limit_bytes", "How large it may become", lambda: self._parts.settings.spool << 20)
        gauge("playtrail_producer_replacements", "Producers replaced", lambda: self._parts.writer.replacements)
        gauge("playtrail_spool_oldest_seconds", "Age of the oldest of them", age)
        gauge("playtrail_tokens_remembered", "Verified tokens in memory", lambda: verifier.remembered)
        gauge("playtrail_rates_remembered", "Users and addresses whose rate is known", lambda: sum(map(len, rates)))
        gauge("playtrail_catalogue_videos", "Videos in memory", lambda: len(self._catalogue))

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Enter the outbox (and so the log), read the catalogue, refresh until the end."""
        async with self._parts.outbox:
            await self._first_reading()
            tasks = [
                asyncio.create_task(every(REFRESH_SECONDS, "catalogue", self._catalogue.refresh)),
                asyncio.create_task(every(REFRESH_SECONDS, "hot and rank", self._showcase.refresh)),
                asyncio.create_task(every(AHEAD_SECONDS, "statistics", self.handlers.statistics.refresh)),
                asyncio.create_task(self._view_log.run()),
                asyncio.create_task(self._ops.run()),
                asyncio.create_task(self.metrics.share()),
            ]
            try:
                yield
            finally:
                await self._emitter.finish()
                await self._view_log.finish()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._close()

    async def _first_reading(self) -> None:
        """So that the first request finds tables and a catalogue; without a server the gateway starts all the same."""
        creations = self._sql.run(self._parts.sql.create), self._plays.run(self._parts.plays.create)
        with contextlib.suppress(PlaytrailError, TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await asyncio.gather(*creations, return_exceptions=True)
                await self._catalogue.refresh()
                await self._showcase.refresh()

    async def _close(self) -> None:
        with contextlib.suppress(PlaytrailError):
            await asyncio.gather(self._sql.run(self._parts.sql.close), self._plays.run(self._parts.plays.close))
        self._sql.close()
        self._plays.close()

    async def stopping(self, _: web.Application) -> None:
        """Say so to the load balancer, while the last requests are answered."""
        self._health.stopping = True


def _shared(parts: Parts) -> SharedMetrics | None:
    return None if parts.worker is None else SharedMetrics(parts.settings.data / "workers", parts.worker)


async def serve(
    app: web.Application,
    host: str,
    port: int,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event,
    shared_port: bool = False,
) -> None:
    """
    Serve until ``stop`` is set; then answer what is under way and leave.

    Args:
        port: 0 takes a free one.
        shared_port: Whether other processes listen on it too; the kernel spreads the connections.
        ready: Called with the address, ``http://host:port``, when connections are accepted.

    Raises InvalidSetting when the address cannot be listened on.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=reports(app[METRICS]),
        shutdown_timeout=5.0,
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=LINGERING_SECONDS,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=1024, reuse_port=shared_port or None).start()
        except OSError as error:
            allowed = f"an address that is free here ({error.strerror or error})"
            raise InvalidSetting("PLAYTRAIL_HOST and PLAYTRAIL_PORT", f"{host}:{port}", allowed) from error
        if ready is not None:
            address = cast("tuple[str, int]", runner.addresses[0])
            shown = f"[{address[0]}]" if ":" in address[0] else address[0]
            ready(f"http://{shown}:{address[1]}")
        await stop.wait()
    finally:
        await runner.cleanup()
