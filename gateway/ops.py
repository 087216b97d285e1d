"""The operator's page: the lag of every projection, live and over the last minutes, and what probes measured."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog
from aiohttp import web
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.envelope import ok
from gateway.page import page_file
from gateway.parts import Parts
from gateway.workers import Shared
from models import topics
from models.lag.collector import LagCollector
from models.lag.probe import Probed, Prober
from models.lag.report import Report
from models.lag.sampler import Sampler, sinks_of

LOOK_SECONDS: Final = 2.0
"""Between two looks while somebody watches."""
IDLE_SECONDS: Final = 5.0
WATCHED_SECONDS: Final = 30.0
"""With nobody asking for this long, nobody watches."""
POINTS: Final = 300
"""Kept for drawing: ten minutes of looks, or more."""
PROBE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Point(Struct, frozen=True, array_like=True):
    """One look at one projection: time in milliseconds, lag in events and in seconds; null is not known."""

    at_ms: int
    lag: int | None
    lag_seconds: float | None


class OpsAnswer(Struct, frozen=True):
    """What the page draws; ``probes`` is empty without PLAYTRAIL_PROBE."""

    report: Report
    history: dict[str, list[Point]]
    probes: dict[str, Probed]


class Ops:
    """GET /ops and /ops/lag, and the probes."""

    def __init__(self, parts: Parts, registry: CollectorRegistry) -> None:
        sinks = sinks_of(parts.sql, parts.plays, topics.PROJECTIONS)
        self._sampler = Sampler(parts.log, sinks, parts.topics, parts.clock)
        self._prober = Prober(parts.writer, sinks, parts.topics, parts.clock)
        self._every = 0 if parts.worker else parts.settings.probe
        self._shared = Shared(self._look)
        self._asked = float("-inf")
        self._collector = LagCollector(topics.PROJECTIONS)
        self._history: dict[str, deque[Point]] = {}
        self._probes: Mapping[str, Probed] = {}
        self._seconds = Histogram(
            "playtrail_probe_seconds", "Time of a probe from its sending, by projection and stage: append, visible",
            ("projection", "stage"), buckets=PROBE_BUCKETS, registry=registry,
        )  # fmt: skip
        if not parts.worker:  # of several processes one is enough: the lag is the same seen from each
            registry.register(self._collector)
        self._failures = Counter(
            "playtrail_probe_failures", "Probes that were not appended, or not visible in time",
            ("projection",), registry=registry,
        )  # fmt: skip

    async def page(self, _: web.Request) -> web.StreamResponse:
        """GET /ops."""
        return page_file("ops.html")

    async def lag(self, _: web.Request) -> web.Response:
        """GET /ops/lag: the newest look, at most LOOK_SECONDS old, and those before it."""
        self._asked = now = asyncio.get_running_loop().time()
        report = await self._shared.get(now - LOOK_SECONDS)
        history = {name: list(points) for name, points in self._history.items()}
        return ok(OpsAnswer(report, history, dict(self._probes)), "运行状况")

    async def run(self) -> None:
        """Look again and again, more often while somebody watches; and probe."""
        async with asyncio.TaskGroup() as group, self._sampler:
            group.create_task(self._watch())
            if self._every:
                group.create_task(self._probe())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._shared.get(loop.time() - LOOK_SECONDS / 2)
            watched = loop.time() - self._asked < WATCHED_SECONDS
            await asyncio.sleep(LOOK_SECONDS if watched else IDLE_SECONDS)

    async def _look(self) -> Report:
        report = await self._sampler.report()
        self._collector.update(report)
        for lag in report.projections:
            points = self._history.setdefault(lag.projection, deque(maxlen=POINTS))
            points.append(Point(lag.sampled_ms, lag.lag, lag.lag_seconds))
        return report

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            self._probes = await self._prober.probe()
            for name, probed in self._probes.items():
                self._count(name, probed)

    def _count(self, projection: str, probed: Probed) -> None:
        if probed.failure:
            self._failures.labels(projection).inc()
            structlog.get_logger().warning("probe failed", projection=projection, reason=probed.failure)
        for stage, seconds in (("append", probed.append), ("visible", probed.visible)):
            if seconds is not None:
                self._seconds.labels(projection, stage).observe(seconds)
