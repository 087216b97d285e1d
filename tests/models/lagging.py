"""A log and a sink that a test moves by hand, and what a report says of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from models import topics
from models.clock import ManualClock
from models.eventlog.port import Message, TopicState, partition_for
from models.eventlog.sqlite import SqliteLog
from models.events import VIEWS
from models.lag.report import PartitionLag, ProjectionLag, Report
from models.lag.sampler import Sampler
from models.stores.port import Advance, PositionStore
from models.stores.sql import SqlStore
from models.topics import Topics

KEY = b"7"
NUMBER = partition_for(KEY, 6)
RETENTION = 2_592_000
GROUP = "playtrail-views"


class Bench:
    """A log and a sink that a test moves by hand."""

    def __init__(self, log: SqliteLog, sql: SqlStore, contract: Topics, clock: ManualClock) -> None:
        self.log, self.sql, self.contract, self.clock = log, sql, contract, clock

    def sampler(self, sink: PositionStore | None = None) -> Sampler:
        return Sampler(self.log, {"views": sink or self.sql}, self.contract, self.clock)

    async def append(self, count: int) -> None:
        """Records of one partition, dated now."""
        async with self.log.writer() as writer:
            message = Message(VIEWS, KEY, b"{}", [], self.clock.now_ms())
            await asyncio.gather(*(writer.append(message) for _ in range(count)))

    async def open(self) -> None:
        """A position at the beginning of each partition, as a consumer does."""
        async with self.log.reader() as reader:
            identity = await reader.identity(VIEWS)
        for number in range(6):
            self.sql.open("views", VIEWS, number, identity, 0)

    def fold(self, expected: int, to: int) -> None:
        self.sql.apply_clicks(Advance("views", VIEWS, NUMBER, 1, expected, to, ""), {})


async def make_bench(folder: Path, sql: SqlStore) -> Bench:
    """A bench with an empty topic, whose clock moves only when told."""
    contract, clock = topics.load(replication=1), ManualClock()
    log = SqliteLog(folder / "events.db", contract, clock)
    async with log.admin() as admin:
        await admin.create(VIEWS, TopicState(6, 1, {}))
    return Bench(log, sql, contract, clock)


def views(report: Report) -> ProjectionLag:
    assert not report.errors
    (found,) = report.projections
    return found


def part(report: Report) -> PartitionLag:
    return views(report).partitions[NUMBER]
