"""A runner under test, and sinks that a test can take away, hold up, or steal partitions from."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from consumers.metrics import Metrics
from consumers.port import Projection
from consumers.runner import Runner
from consumers.tuning import Tuning
from models.errors import Unavailable
from models.eventlog.port import EventLog, EventWriter, Identity
from models.stores.port import Advance, Checkpoint, DeadLetter, ViewSink
from models.stores.sql import SqlStore

QUICK = Tuning(linger=0.005, wait=0.02, budget=5.0, first_delay=0.01, last_delay=0.05, commit_every=0.02)


class Switched(ViewSink):
    """
    A sink that is away while ``away``, and whose next flushes wait while ``gate`` is closed.

    Attributes:
        applied: How many flushes came through.
        largest: Most clicks in one of them.
    """

    def __init__(self, sink: SqlStore) -> None:
        self.away, self.applied, self.largest = False, 0, 0
        self.gate, self.waiting = threading.Event(), threading.Event()
        self.gate.set()
        self._sink = sink

    def open(self, projection: str, topic: str, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        self._check()
        return self._sink.open(projection, topic, partition, identity, earliest)

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        return self._sink.positions(projection, topic)

    def new_epoch(self, projection: str, topic: str, identity: Identity, starts: Mapping[int, int]) -> int:
        return self._sink.new_epoch(projection, topic, identity, starts)

    def apply_clicks(self, step: Advance, clicks: Mapping[int, int], dead: Sequence[DeadLetter] = ()) -> None:
        self._check()
        if not self.gate.is_set():
            self.waiting.set()
            self.gate.wait(30)
        self._sink.apply_clicks(step, clicks, dead)
        self.applied += 1
        self.largest = max(self.largest, sum(clicks.values()))

    def _check(self) -> None:
        if self.away:
            raise Unavailable("sql", "switched off")


@contextlib.asynccontextmanager
async def running(
    log: EventLog,
    projection: Projection,
    member: str = "a",
    tuning: Tuning = QUICK,
    writer: EventWriter | None = None,
) -> AsyncIterator[Runner]:
    """A runner that runs inside of the block, and ends in good order after it."""
    stop = asyncio.Event()
    with ThreadPoolExecutor(4) as threads:
        runner = Runner(
            log, projection, member=member, threads=threads, metrics=Metrics(), writer=writer, tuning=tuning
        )
        task = asyncio.create_task(runner.run(stop))
        try:
            yield runner
        finally:
            stop.set()
            await task


async def until(check: Callable[[], bool], runner: Runner | None = None) -> None:
    """Return when ``check`` holds; within 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if check():
            return
        await asyncio.sleep(0.005)
    states = {n: (p.state, p.reason, p.position) for n, p in runner.partitions.items()} if runner else {}
    raise AssertionError(f"did not come true; {states}")


def metric(runner: Runner, name: str, **labels: str) -> float:
    """The value of one metric."""
    return runner._metrics.registry.get_sample_value(name, {"projection": runner.projection.name, **labels}) or 0.0
