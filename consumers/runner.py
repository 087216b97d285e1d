"""One loop for every projection: poll the log, hand the records to their partitions, copy positions to the group."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from concurrent.futures import Executor

import structlog

from consumers.metrics import Metrics
from consumers.partition import Partition, Parts
from consumers.port import Projection
from consumers.tuning import Backoff, Tuning
from models.clock import Clock, SystemClock
from models.errors import Fenced, LogMismatch, Unavailable
from models.eventlog.port import EventLog, EventWriter, LogReader, Subscription


class Runner:
    """
    Folds the partitions of one topic that the group gives to this member, until told to stop.

    The sink's position is where a partition is read from; the group's committed positions are a copy for tools.
    A partition is folded only after it was opened from the sink and sought to its position. Rebalance listeners do
    nothing that can fail, since the client would hide it.

    Args:
        log: The event log.
        projection: What folds.
        member: A stable name of this process.
        threads: Where the projection's blocking calls run.
        metrics: What is counted.
        writer: For behavior.dead; None keeps dead letters in the sink alone.
        clock: For the age of events.
        tuning: Sizes and times.

    Attributes:
        partitions: What is assigned now, by number.
        log_reason: Why the log cannot be read at the moment; empty when it can.
        stopped: Set whenever a partition stops for good, when some are given back, and by ``replaced``.
        replaced: Another process joined under the name of this one: it has stopped for good. To join again would only
            throw the other out, and so on.
    """

    def __init__(
        self,
        log: EventLog,
        projection: Projection,
        *,
        member: str,
        threads: Executor,
        metrics: Metrics,
        writer: EventWriter | None = None,
        clock: Clock | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        self.projection = projection
        self.partitions: dict[int, Partition] = {}
        self.log_reason = ""
        self.stopped = asyncio.Event()
        self.replaced = False
        self._event_log, self._member, self._threads, self._metrics = log, member, threads, metrics
        self._writer, self._clock, self._tuning = writer, clock or SystemClock(), tuning or Tuning()
        self._leaving: dict[int, asyncio.Task[None]] = {}
        self._durable: dict[int, int] = {}
        self._parts: Parts | None = None
        self._backoff = Backoff(self._tuning)
        self._log = structlog.get_logger().bind(projection=projection.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Fold until ``stop``; then finish what is running, commit and leave the group. Raises Refused."""
        while not stop.is_set():
            try:
                async with self._event_log.reader() as reader:
                    await self._fold(reader, stop)
            except Unavailable as error:
                await self._log_away(error, stop)
            except Fenced as error:
                self._log.error("replaced", reason=str(error))
                self._metrics.fenced.labels(self.projection.name).inc()
                self.log_reason, self.replaced = str(error), True
                self.stopped.set()
                await stop.wait()

    async def _fold(self, reader: LogReader, stop: asyncio.Event) -> None:
        subscription = self._subscribe()
        self._parts = self._parts_of(reader, subscription)  # first: entering may assign partitions already
        try:
            async with subscription:
                await self._poll_until(stop, subscription)
        finally:
            await self._release(list(self.partitions))

    def _subscribe(self) -> Subscription:
        group = f"playtrail-{self.projection.name}"
        return self._event_log.subscribe(
            group, self._member, self.projection.topic, self._on_assigned, self._on_revoked
        )

    def _parts_of(self, reader: LogReader, subscription: Subscription) -> Parts:
        return Parts(
            projection=self.projection,
            reader=reader,
            subscription=subscription,
            threads=self._threads,
            metrics=self._metrics,
            clock=self._clock,
            tuning=self._tuning,
            writer=self._writer,
            durable=self._durable.__setitem__,
            stopped=self.stopped.set,
        )

    async def _poll_until(self, stop: asyncio.Event, subscription: Subscription) -> None:
        loop = asyncio.get_running_loop()
        commit_at = loop.time() + self._tuning.commit_every
        try:
            while not stop.is_set():
                self._seek(subscription)
                await self._poll(subscription, stop)
                if loop.time() >= commit_at:
                    await self._commit(subscription)
                    commit_at = loop.time() + self._tuning.commit_every
        finally:
            await self._release(list(self.partitions))
            await self._commit(subscription)

    def _seek(self, subscription: Subscription) -> None:
        """Between two polls only: a poll under way could still return records from before."""
        for partition in self.partitions.values():
            if partition.seek_to is not None:
                subscription.seek(partition.number, partition.seek_to)
                subscription.resume([partition.number])
                partition.start()

    async def _poll(self, subscription: Subscription, stop: asyncio.Event) -> None:
        try:
            found = await subscription.poll(self._tuning.wait, self._tuning.max_records)
        except Unavailable as error:
            await self._log_away(error, stop)
            return
        except LogMismatch as error:
            # It does not say which partition: opening each again finds out.
            for partition in self.partitions.values():
                partition.interrupt(Unavailable("log", str(error)))
            await self._log_away(Unavailable("log", str(error)), stop)
            return
        self.log_reason = ""
        self._backoff.reset()
        for number, records in found.items():
            if number in self.partitions:
                self.partitions[number].feed(records)

    async def _log_away(self, error: Unavailable, stop: asyncio.Event) -> None:
        if not self.log_reason:
            self._log.warning("log away", reason=str(error))
        self.log_reason = str(error)
        self._metrics.retries.labels(self.projection.name, "log").inc()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._backoff.delay())

    async def _on_assigned(self, numbers: Collection[int]) -> None:
        self._metrics.rebalances.labels(self.projection.name).inc()
        self._log.info("assigned", partitions=sorted(numbers))
        assert self._parts is not None  # noqa: S101 -- polls begin after it is set
        for number in numbers:
            before = self.partitions.get(number)
            if before is not None:
                before.leave()
                self._leaving[number] = before.task
            self.partitions[number] = Partition(number, self._parts, self._leaving.pop(number, None))

    async def _on_revoked(self, numbers: Collection[int]) -> None:
        self._metrics.rebalances.labels(self.projection.name).inc()
        self._log.info("revoked", partitions=sorted(numbers))
        await self._release(numbers)
        if self._parts is not None:
            await self._commit(self._parts.subscription)

    async def _release(self, numbers: Collection[int]) -> None:
        """Let running batches end within the budget; one that takes longer is abandoned, not committed."""
        released = [self.partitions.pop(number) for number in numbers if number in self.partitions]
        for partition in released:
            partition.leave()
        if released:
            await asyncio.wait([partition.task for partition in released], timeout=self._tuning.budget)
        for partition in released:
            if not partition.task.done():
                partition.abandon()
                self._leaving[partition.number] = partition.task
                self._log.warning("abandoned", partition=partition.number)
        self.stopped.set()  # those that are left may all have stopped

    async def _commit(self, subscription: Subscription) -> None:
        positions: Mapping[int, int] = dict(self._durable)
        self._durable.clear()
        if positions:
            await subscription.commit(positions)
