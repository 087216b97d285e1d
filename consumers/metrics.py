"""What the consumers count, for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from models.lag.collector import LagCollector

STATES: Final = ("opening", "ready", "running", "paused", "stopped")

REASONS: Final = ("value", "event_id", "session", "other")
"""What of a dead letter could not be used: the whole value, or one of its fields."""

_AGES: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
_FLUSHES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SIZES: Final = (1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 20_000)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        one = ("projection",)
        two = ("projection", "partition")
        self.events = Counter("playtrail_events_folded", "Records made durable", one, registry=r)
        self.dead = Counter("playtrail_dead_letters", "Records put aside", (*one, "reason"), registry=r)
        self.dead_unsent = Counter("playtrail_dead_letters_unsent", "Letters not in behavior.dead", one, registry=r)
        self.batches = Histogram("playtrail_batch_records", "Records of a batch", one, buckets=_SIZES, registry=r)
        self.flush = Histogram(
            "playtrail_flush_seconds", "Folding a batch and making it durable", one, buckets=_FLUSHES, registry=r
        )
        self.age = Histogram(
            "playtrail_event_age_seconds",
            "From a batch's first event until it is in the read model",
            one,
            buckets=_AGES,
            registry=r,
        )
        self.fenced = Counter("playtrail_fenced", "Batches refused, as another owner moved on", one, registry=r)
        self.retries = Counter("playtrail_retries", "Failures that are tried again", (*one, "reason"), registry=r)
        self.rebalances = Counter("playtrail_rebalances", "Assignments and revocations", one, registry=r)
        self.paused = Counter("playtrail_backpressure_seconds", "Time partitions were paused", one, registry=r)
        self.position = Gauge("playtrail_position", "Next offset to fold", two, registry=r)
        self.state = Gauge("playtrail_partition_state", "1 for the state it is in", (*two, "state"), registry=r)

    def begin(self, projection: str) -> None:
        """Show 0 from the start: the first of what is never to happen would otherwise be no increase."""
        self.fenced.labels(projection)
        self.dead_unsent.labels(projection)
        for reason in REASONS:
            self.dead.labels(projection, reason)

    def died(self, projection: str, error: str) -> None:
        """Count a dead letter; ``error`` is its text, which begins with what could not be used."""
        field = error.partition(" is ")[0]
        self.dead.labels(projection, field if field in REASONS else "other").inc()

    def show_lag(self, projections: Sequence[str]) -> LagCollector:
        """Add the lag of these projections; give the reports to what is returned."""
        collector = LagCollector(projections)
        self.registry.register(collector)
        return collector

    def entered(self, projection: str, partition: int, state: str) -> None:
        """A partition is in ``state`` now; in none of STATES when it was given back."""
        for name in STATES:
            self.state.labels(projection, partition, name).set(name == state)

    def text(self) -> bytes:
        """The exposition format; takes milliseconds, so call it in a thread."""
        return generate_latest(self.registry)
