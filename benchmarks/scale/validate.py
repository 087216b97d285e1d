"""
Whether the simulation tells the truth about something that can be measured: a backlog of plays, embedded.

The costs are taken from one thread that folds one partition in this process; the simulation makes of them how long
six partitions take in one consumer; and then a real consumer does it.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks import backlog
from benchmarks.report import Table
from benchmarks.scale.cluster import Cluster, Group, Work
from benchmarks.scale.keys import Share
from benchmarks.stage import Env, Stage
from consumers.plays import Plays
from models import events, topics
from models.eventlog.port import Identity, Record
from models.eventlog.sqlite import SqliteLog
from models.stores.plays_sqlite import SqlitePlays
from models.stores.sql import SqlStore

EVENTS: Final = 200_000
ROUNDS: Final = 5
FEW, MANY = 100, 5_000
BATCHES: Final = 8
READ: Final = 20_000


class Cost(NamedTuple):
    """Seconds of the processor, and of waiting for the disk."""

    cpu: float
    wait: float


async def table() -> Table:
    """Predict and run, in turns, since a shared machine is never the same twice; the medians are compared."""
    with tempfile.TemporaryDirectory() as folder:
        env = Stage(Path(folder), 1, 1).embedded()
        await backlog.fill(env, "plays", EVENTS)
        rounds = [await _round(env) for _ in range(ROUNDS)]
    expected, seen = (median(values) for values in zip(*rounds, strict=True))
    row = (f"{expected / seen - 1:+.0%}", EVENTS, expected, seen, f"{datetime.now(UTC):%Y-%m-%d}, {ROUNDS} rounds")
    return Table(("error", "backlog", "predicted, s", "measured, s", "seen"), [row])


async def _round(env: Env) -> tuple[float, float]:
    """Predicted and measured seconds; the read model is new each time."""
    expected = predicted(*await costs(env))
    for file in backlog.data_of(env).glob("plays.db*"):
        file.unlink()
    return expected, (await backlog.fold(env, "plays", EVENTS)).seconds


async def costs(env: Env) -> tuple[Work, Sequence[int]]:
    """What reading and folding cost, and how many events each partition has."""
    async with SqliteLog(backlog.data_of(env) / "events.db", topics.load(None, None)).reader() as reader:
        bounds = await reader.bounds(events.PLAYS)
        fullest = max(bounds, key=lambda partition: bounds[partition][1])
        begun = time.process_time()
        records = [r for at in range(0, READ, MANY) for r in await reader.read(events.PLAYS, fullest, at, MANY)]
        reading = (time.process_time() - begun) / len(records)
    with tempfile.TemporaryDirectory() as folder:
        small, large = _fold(Path(folder), records, FEW), _fold(Path(folder), records, MANY)
    event = (large.cpu - small.cpu) / (MANY - FEW)
    work = Work(event + reading, 0.0, 0.0, batch=max(0.0, small.cpu - FEW * event), write=min(small.wait, large.wait))
    return work, [end for _, end in bounds.values()]


def _fold(folder: Path, records: Sequence[Record], size: int) -> Cost:
    """The cost of a batch of this size: the median of several, in a store of their own."""
    store, dead = SqlitePlays(folder / f"{size}.db"), SqlStore(f"sqlite:///{folder}/dead.db")
    store.create()
    projection = Plays(store, dead)
    projection.open(0, Identity("c", "t", 1), 0)
    seen: list[Cost] = []
    for at in range(0, min(len(records), BATCHES * size), size):
        cpu, wall = time.process_time(), time.monotonic()
        projection.apply(0, records[at : at + size])
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        seen.append(Cost(cpu, max(0.0, wall - cpu)))
    store.close()
    return Cost(sorted(c.cpu for c in seen)[len(seen) // 2], sorted(c.wait for c in seen)[len(seen) // 2])


def predicted(work: Work, counts: Sequence[int]) -> float:
    """Seconds of the simulated consumer, from its first flush on, as ``backlog.fold`` counts."""
    shares = [Share(count / sum(counts), float) for count in counts]
    cluster = Cluster(Group(len(counts), 1, 1), work, shares, 0.0, random.Random(1), backlog=sum(counts))
    total = sum(p.waiting.count for p in cluster.partitions)
    cluster.run(900.0, lambda: cluster.folded > 0)
    first, begun = cluster.folded, cluster.now
    cluster.run(900.0, lambda: cluster.folded >= total)
    return (cluster.now - begun) * total / (total - first)
