"""A replay from its pinned spans to its sink."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from consumers.replay.expression import Predicate
from consumers.replay.ranges import Span
from consumers.replay.reading import Batch, Decoding, walk
from consumers.replay.sinks import Sink, Tally
from models.eventlog.port import EventLog, LogReader

READERS: Final = 3
"""Spans read at once: enough that one is decoded while another is fetched, and few enough to stay small."""

FOLLOW_SECONDS: Final = 0.3
"""Between two looks for what has come."""

Tell: TypeAlias = Callable[[int, int], None]
"""Told now and then how many offsets are behind and how many there are."""


@dataclass(slots=True)
class Report:
    """How many records were read, and how many events were wanted."""

    records: int = 0
    events: int = 0


class Replay:
    """
    Reads spans of a topic, decodes, filters, and gives to a sink.

    Spans are independent of each other; within one, order is kept. With a ``limit`` they are read one after the other,
    so that the same events are found each time.
    """

    def __init__(
        self,
        log: EventLog,
        decoding: Decoding,
        sink: Sink,
        *,
        topic: str,
        wanted: Predicate | None = None,
        limit: int | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._log, self._decoding, self._sink = log, decoding, sink
        self._topic, self._wanted, self._limit, self._told = topic, wanted, limit, tell
        self.report = Report()
        self._done = self._total = 0

    async def run(self, spans: Sequence[Span]) -> None:
        """Read the spans; raises Unavailable, LogMismatch, or PoisonRecord when decoding is strict."""
        self._done, self._total = 0, sum(span.end - span.start for span in spans)
        self._tell(0)
        waiting = deque(spans)
        readers = 1 if self._limit is not None else min(READERS, len(spans))
        async with asyncio.TaskGroup() as group:
            for _ in range(readers):
                group.create_task(self._reader(waiting))

    async def follow(self, positions: dict[int, int], sink: Sink) -> None:
        """Go on from these positions with what comes, until cancelled or at the limit; moves the positions."""
        self._sink, self._told = sink, None
        async with self._log.reader() as reader:
            while not self._full():
                for partition, (_, end) in (await reader.bounds(self._topic)).items():
                    if positions.get(partition, end) < end and not self._full():
                        await self._span(reader, Span(partition, positions[partition], end))
                        positions[partition] = end
                sink.flush()
                await asyncio.sleep(FOLLOW_SECONDS)

    async def _reader(self, waiting: deque[Span]) -> None:
        async with self._log.reader() as reader:
            while waiting and not self._full():
                await self._span(reader, waiting.popleft())

    async def _span(self, reader: LogReader, span: Span) -> None:
        read, end, bad = 0, span.start, list[int]()
        async for records, passed in walk(reader, self._topic, span):
            batch = self._chosen(self._decoding.batch(records))
            read, end = read + len(records), end + passed
            bad += batch.bad
            self.report.events += len(batch.records)
            if batch.records:
                self._sink.add(span, batch)
            self._tell(passed)
            if self._full():
                break
        self.report.records += read
        await self._sink.end(span, Tally(read, bad, end))

    def _chosen(self, batch: Batch) -> Batch:
        if self._wanted is not None:
            batch = batch.where(self._wanted)
        return batch if self._limit is None else batch.first(self._limit - self.report.events)

    def _tell(self, passed: int) -> None:
        self._done += passed
        if self._told is not None:
            self._told(self._done, self._total)

    def _full(self) -> bool:
        return self._limit is not None and self.report.events >= self._limit
