"""One partition of a version that is being built: where its records come from, and how far it is folded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Protocol

from consumers.checks import check_log
from consumers.port import Projection
from models.eventlog.port import LogReader, Record

BATCH: Final = 10_000


class History(Protocol):
    """Records that the log no longer has: those of one partition before an offset, in order, in batches."""

    def __call__(self, partition: int, before: int) -> AsyncIterator[Sequence[Record]]: ...


class Part:
    """
    One partition of the version that is built.

    Attributes:
        at: The offset that is folded next.
        folded: How many records this run has folded.
    """

    def __init__(self, number: int, reader: LogReader, projection: Projection) -> None:
        self.number, self.reader, self.projection = number, reader, projection
        self.at = self.folded = 0

    async def open(self, history: History | None) -> None:
        """Where this version was left, or the first record there ever was."""
        projection, topic = self.projection, self.projection.topic
        identity = await self.reader.identity(topic)
        first, _ = (await self.reader.bounds(topic))[self.number]
        start = 0 if history else first
        checkpoint = await asyncio.to_thread(projection.open, self.number, identity, start)
        self.at = checkpoint.next_offset
        if history is not None and self.at < first:
            async for records in history(self.number, first):
                if later := [record for record in records if record.offset >= self.at]:
                    await self.apply(later)
            self.at = max(self.at, first)
        else:
            await check_log(self.reader, projection.name, topic, self.number, checkpoint)

    async def apply(self, records: Sequence[Record]) -> None:
        """Fold records, durably; when cancelled, only after the thread has ended: it cannot be stopped."""
        fold = asyncio.ensure_future(asyncio.to_thread(self.projection.apply, self.number, records))
        try:
            self.at = (await asyncio.shield(fold)).next_offset
            self.folded += len(records)
        except asyncio.CancelledError:
            await asyncio.wait({fold})
            raise

    async def to(self, end: int, done: Callable[[int], Awaitable[None]]) -> None:
        """Fold up to an offset."""
        async for records in records_of(self.reader, self.projection.topic, self.number, self.at, end):
            before = self.at
            await self.apply(records)
            await done(self.at - before)


async def records_of(
    reader: LogReader, topic: str, partition: int, start: int, end: int
) -> AsyncIterator[Sequence[Record]]:
    """Records from ``start`` to before ``end``, in batches; offsets may have gaps."""
    while start < end:
        found = await reader.read(topic, partition, start, BATCH)
        if not found:
            return
        start = found[-1].offset + 1
        if records := found if start <= end else [record for record in found if record.offset < end]:
            yield records


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of it; when one fails the others end too, before this does."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
