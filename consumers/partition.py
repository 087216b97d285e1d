"""One partition in the hands of this process: open it from the sink, fold it, and start over after any failure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import structlog

from consumers import deadletters
from consumers.checks import check_log
from consumers.metrics import Metrics
from consumers.port import Applied, Projection
from consumers.tuning import Backoff, Tuning
from models.clock import Clock
from models.errors import Fenced, OutcomeUnknown, PlaytrailError, Unavailable
from models.eventlog.port import EventWriter, LogReader, Record, Subscription
from models.stores.port import DeadLetter

T = TypeVar("T")

State: TypeAlias = Literal["opening", "ready", "running", "paused", "stopped", "released"]
"""``ready``: the sink's position is known, and the runner seeks before its next poll. ``stopped``: for good."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a partition works with; one set for all partitions of a runner."""

    projection: Projection
    reader: LogReader
    subscription: Subscription
    threads: Executor
    metrics: Metrics
    clock: Clock
    tuning: Tuning
    writer: EventWriter | None
    durable: Callable[[int, int], None]
    stopped: Callable[[], None]


class Partition:
    """
    A task that owns one partition from its assignment until it is given back.

    Records are folded as they come, and flushed when none is left: at once when there are few. While there are many,
    flushes are few and large; a video's row is then written once for many of its events.

    It is never cancelled while a thread folds: ``leave`` asks it to end after the running batch. Whatever raises, the
    projection's memory is thrown away and loaded from the sink again, so no half-folded batch survives.

    Attributes:
        seek_to: Set when the runner shall seek there before the next poll, and then call ``start``.
    """

    def __init__(self, number: int, parts: Parts, before: asyncio.Task[None] | None) -> None:
        self.number, self.state, self.reason = number, "opening", ""
        self.position: int | None = None
        self.seek_to: int | None = None
        self._parts, self._before = parts, before
        self._backoff = Backoff(parts.tuning)
        self._buffer: list[Record] = []
        self._held = False
        self._wake, self._leaving = asyncio.Event(), asyncio.Event()
        self._abandoned = self._in_thread = False
        self._interrupted: PlaytrailError | None = None
        self._folded = self._oldest_ms = 0
        self._flush_began = self._flush_ended = self._paused_at = 0.0
        name = parts.projection.name
        self._log = structlog.get_logger().bind(projection=name, partition=number)
        self.task = asyncio.create_task(self._run(), name=f"playtrail-{name}-{number}")

    def start(self) -> None:
        """The subscription stands at ``seek_to``: what is polled from now on follows the sink's position."""
        if self.reason:
            paused = asyncio.get_running_loop().time() - self._paused_at
            self._parts.metrics.paused.labels(self._parts.projection.name).inc(paused)
            self._log.info("resumed", position=self.seek_to, seconds=round(paused, 1))
        self.seek_to = None
        self._enter("running")

    def feed(self, records: Sequence[Record]) -> None:
        """Take polled records; those of a partition that is not running are read again after its seek."""
        if self.state != "running":
            return
        self._buffer.extend(records)
        if len(self._buffer) >= 2 * self._parts.tuning.max_records:
            self._held = True
            self._parts.subscription.pause([self.number])
        self._wake.set()

    def interrupt(self, error: PlaytrailError) -> None:
        """Open again, since reading failed in a way that may concern this partition."""
        if self.state == "running":
            self._interrupted = error
            self._wake.set()

    def leave(self) -> None:
        """End after the running batch; records that wait are left to the next owner."""
        self._leaving.set()
        self._wake.set()

    def abandon(self) -> None:
        """The partition is another's now: what the running batch returns is not committed."""
        self._abandoned = True

    async def _run(self) -> None:
        if self._before is not None:
            await asyncio.wait([self._before])  # its thread may still be folding this partition
        self._enter("opening")
        try:
            while not self._leaving.is_set():
                await self._open_and_fold()
        finally:
            if not self._in_thread:
                self._parts.projection.drop(self.number)
            self._buffer.clear()
            self._enter("released")

    async def _open_and_fold(self) -> None:
        try:
            await self._open()
            await self._fold()
        except Exception as error:  # noqa: BLE001 -- whatever it was, only opening again restores a known state
            self._failed(error)
            if self.state == "stopped":
                await self._leaving.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), self._backoff.delay())

    async def _open(self) -> None:
        projection, reader = self._parts.projection, self._parts.reader
        identity = await reader.identity(projection.topic)
        bounds = await reader.bounds(projection.topic)
        checkpoint = await self._in(projection.open, self.number, identity, bounds[self.number][0])
        await check_log(reader, projection.name, projection.topic, self.number, checkpoint)
        self._moved(checkpoint.next_offset)
        if not self._abandoned:
            self._parts.durable(self.number, checkpoint.next_offset)  # puts a copy right that a crash left behind
        self._log.debug("opened", position=checkpoint.next_offset, epoch=checkpoint.epoch)
        self.seek_to = checkpoint.next_offset
        self._enter("ready")

    async def _fold(self) -> None:
        while not self._leaving.is_set():
            if self._interrupted is not None:
                raise self._interrupted
            if self._buffer:
                await self._linger()
                await self._apply(self._take())
            elif not await self._woken():
                await self._flush(self._parts.projection.flush)
        if self._folded and not self._abandoned:
            await self._flush(self._parts.projection.flush)

    async def _linger(self) -> None:
        left = self._flush_began + self._parts.tuning.linger - asyncio.get_running_loop().time()
        if left > 0 and len(self._buffer) < self._parts.tuning.max_records:
            await asyncio.sleep(left)

    async def _woken(self) -> bool:
        """Wait until something happened; False when it is time to flush what is folded."""
        left = self._flush_ended + self._parts.tuning.gather - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, left) if self._folded else None):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def _take(self) -> list[Record]:
        size = self._parts.tuning.max_records
        batch, self._buffer = self._buffer[:size], self._buffer[size:]
        if self._held:
            self._held = False
            self._parts.subscription.resume([self.number])
        return batch

    async def _apply(self, batch: list[Record]) -> None:
        if not self._folded:
            self._oldest_ms = batch[0].timestamp
        self._folded += len(batch)
        if self._is_due():
            await self._flush(self._parts.projection.apply, batch)
        else:
            await self._in(self._parts.projection.fold, self.number, batch)

    def _is_due(self) -> bool:
        tuning, folded = self._parts.tuning, self._folded
        gathered = self._flush_ended + tuning.gather <= asyncio.get_running_loop().time()
        return folded >= tuning.flush_records or (not self._buffer and (folded < tuning.max_records or gathered))

    async def _flush(self, call: Callable[..., Applied], *batch: list[Record]) -> None:
        loop, metrics, name = asyncio.get_running_loop(), self._parts.metrics, self._parts.projection.name
        self._flush_began = loop.time()
        applied = await self._in(call, self.number, *batch)
        self._flush_ended = loop.time()
        metrics.flush.labels(name).observe(self._flush_ended - self._flush_began)
        metrics.age.labels(name).observe(max(0.0, (self._parts.clock.now_ms() - self._oldest_ms) / 1000))
        metrics.batches.labels(name).observe(self._folded)
        metrics.events.labels(name).inc(self._folded)
        self._folded = 0
        self._backoff.reset()
        self._moved(applied.next_offset)
        if not self._abandoned:
            self._parts.durable(self.number, applied.next_offset)
        for dead in applied.dead:
            metrics.died(name, dead.error)
            await self._forward(dead)

    async def _forward(self, dead: DeadLetter) -> None:
        """Best effort: the sink keeps the letter in any case."""
        if self._parts.writer is None:
            return
        try:
            async with asyncio.timeout(self._parts.tuning.forward):
                await self._parts.writer.append(deadletters.message(dead))
        except (PlaytrailError, TimeoutError) as error:
            self._parts.metrics.dead_unsent.labels(dead.projection).inc()
            self._log.warning("dead letter not sent", offset=dead.offset, reason=str(error) or "timeout")

    async def _in(self, call: Callable[..., T], *arguments: Any) -> T:
        self._in_thread = True
        result = await asyncio.get_running_loop().run_in_executor(self._parts.threads, call, *arguments)
        self._in_thread = False
        return result

    def _failed(self, error: Exception) -> None:
        self._in_thread = False
        self._buffer.clear()
        self._held, self.seek_to, self._interrupted, self._folded = False, None, None, 0
        self._parts.subscription.pause([self.number])
        reason = str(error) if isinstance(error, PlaytrailError) else f"{type(error).__name__}: {error}"
        self._count(error)
        if isinstance(error, PlaytrailError) and not isinstance(error, Unavailable | Fenced | OutcomeUnknown):
            self._pause("stopped", reason)
            self._log.error("stopped", reason=reason)
            self._parts.stopped()
            return
        if not self.reason:
            self._paused_at = asyncio.get_running_loop().time()
            what = "fenced" if isinstance(error, Fenced) else "paused"
            self._log.warning(what, reason=reason, exc_info=not isinstance(error, PlaytrailError))
        self._pause("paused", reason)

    def _pause(self, state: State, reason: str) -> None:
        self._enter(state)
        self.reason = reason
        self._parts.projection.drop(self.number)

    def _count(self, error: Exception) -> None:
        name, metrics = self._parts.projection.name, self._parts.metrics
        if isinstance(error, Fenced):
            metrics.fenced.labels(name).inc()
        elif isinstance(error, Unavailable):
            metrics.retries.labels(name, error.part).inc()
        else:
            metrics.retries.labels(name, type(error).__name__).inc()

    def _moved(self, position: int) -> None:
        self.position = position
        self._parts.metrics.position.labels(self._parts.projection.name, self.number).set(position)

    def _enter(self, state: State) -> None:
        self.state = state
        if state == "running":
            self.reason = ""
        self._parts.metrics.entered(self._parts.projection.name, self.number, state)
