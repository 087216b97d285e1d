"""Counters for Prometheus; their children are kept, since finding one by its labels costs more than counting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.shared_metrics import WRITE_SECONDS, SharedMetrics
from gateway.timings import Timings


class Metrics:
    """
    The gateway's metrics, in a registry of their own.

    Args:
        shared: Where several processes on one port put theirs together; None when there is one.
    """

    def __init__(self, shared: SharedMetrics | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        self._timings = Timings()
        self.registry.register(self._timings)
        self.request: Final = self._timings.add
        self._events = Counter(
            "playtrail_gateway_events",
            "Events by topic and outcome: log, spool, refused, unknown, dropped",
            ("topic", "outcome"),
            registry=self.registry,
        )
        self.malformed = Counter(
            "playtrail_http_malformed", "Requests refused before they were any, as no HTTP", registry=self.registry
        )
        self._outcomes: dict[tuple[str, str], Counter] = {}
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []

    def event(self, topic: str, outcome: str) -> None:
        """Count an event."""
        child = self._outcomes.get((topic, outcome))
        if child is None:
            child = self._outcomes[topic, outcome] = self._events.labels(topic, outcome)
        child.inc()

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is read when somebody asks."""
        self._gauges.append((Gauge(name, text, registry=self.registry), read))

    async def get(self, _: web.Request) -> web.Response:
        """GET /metrics; written in a thread, since it takes milliseconds."""
        self._read_gauges()
        page = self._shared.page if self._shared else generate_latest
        body = await asyncio.to_thread(page, self.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})

    async def share(self) -> None:
        """Leave them where the other processes find them, every second, until cancelled."""
        while self._shared is not None:
            self._read_gauges()
            await asyncio.to_thread(self._shared.write, self.registry)
            await asyncio.sleep(WRITE_SECONDS)

    def _read_gauges(self) -> None:
        for gauge, read in self._gauges:
            gauge.set(read())
