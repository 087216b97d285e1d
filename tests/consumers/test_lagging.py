"""The look at the lag beside the fold: it goes on whatever happens to it, and ends with the block."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from consumers.lagging import lag_watched
from consumers.metrics import Metrics
from models.lag.collector import LagCollector
from models.lag.report import Report
from models.lag.sampler import Sampler


class Faulty(Sampler):
    """Has a fault of its own, then cannot reach the log, then sees something."""

    def __init__(self) -> None:
        self.looks, self.closed, self.seen = 0, False, asyncio.Event()

    async def __aexit__(self, *exc: object) -> None:
        self.closed = True

    async def report(self) -> Report:
        self.looks += 1
        if self.looks == 1:
            raise KeyError("a fault")
        if self.looks == 3:
            self.seen.set()
        errors = {"views": "away"} if self.looks == 2 else {}
        return Report(sampled_at="", level=0, projections=(), errors=errors)


async def test_a_look_that_fails_is_followed_by_the_next() -> None:
    sampler, collector, registry = Faulty(), LagCollector(["views"]), CollectorRegistry()
    registry.register(collector)
    async with lag_watched(sampler, collector, every=0.01):
        await sampler.seen.wait()
    assert sampler.closed
    assert registry.get_sample_value("playtrail_lag_failures_total", {"group": "playtrail-views"}) == 1


def test_dead_letters_are_counted_by_a_few_reasons() -> None:
    metrics = Metrics()
    metrics.begin("plays")

    def count(reason: str) -> float | None:
        labels = {"projection": "plays", "reason": reason}
        return metrics.registry.get_sample_value("playtrail_dead_letters_total", labels)

    assert (count("value"), count("session"), count("other")) == (0, 0, 0)
    for error in ("value is b'x'; allowed: an event", "session is 'x'; allowed: a UUID", "never seen is 1", "strange"):
        metrics.died("plays", error)
    assert (count("value"), count("session"), count("other"), count("event_id")) == (1, 1, 2, 0)
