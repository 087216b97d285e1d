"""Counters for Prometheus; their children are kept, since finding one by its labels costs more than counting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.shared_metrics import WRITE_SECONDS, SharedMetrics

METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """
    The gateway's metrics, in a registry of their own.

    Args:
        shared: Where several processes on one port put theirs together; None when there is one.
    """

    def __init__(self, shared: SharedMetrics | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "playtrail_http_requests",
            "Requests by route, method and status",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "playtrail_http_request_seconds",
            "Time to answer, by route and method",
            ("route", "method"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._events = Counter(
            "playtrail_gateway_events",
            "Events by topic and outcome: log, spool, refused, unknown, dropped",
            ("topic", "outcome"),
            registry=self.registry,
        )
        self.malformed = Counter(
            "playtrail_http_malformed", "Requests refused before they were any, as no HTTP", registry=self.registry
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._outcomes: dict[tuple[str, str], Counter] = {}
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer. ``route`` must be one of ours: a label from outside would fill the memory."""
        children = self._children.get((route, method, status))
        if children is None:
            shown = method if method in METHODS else "OTHER"
            children = self._requests.labels(route, shown, str(status)), self._seconds.labels(route, shown)
            if shown == method:
                self._children[route, method, status] = children
        children[0].inc()
        children[1].observe(seconds)

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
