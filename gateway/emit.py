"""From an event to the log: reactions and plays are waited for, views are not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final, NamedTuple

import structlog
from aiohttp import web

from gateway import cookies
from gateway.envelope import ok, too_many
from gateway.metrics import Metrics
from gateway.positions import HEADER, joined
from models import events
from models.clock import Clock
from models.errors import OutcomeUnknown, PlaytrailError
from models.eventlog.port import EventWriter, Message, Position
from models.eventlog.spool import Outbox, Receipt
from models.logs import trace_of

log = structlog.get_logger()

MAX_APPENDING: Final = 4_000
"""Appends under way; past it a write is answered 429 rather than left waiting for seconds."""
MAX_VIEWS: Final = 10_000
VIEW_TASKS: Final = 16
DRAIN_SECONDS: Final = 2.0


class Stamp(NamedTuple):
    """Identity and time of a new event."""

    event_id: str
    occurred_at: str
    ms: int


class Stamps:
    """Makes stamps; one for the whole app, so that event ids ascend."""

    def __init__(self, clock: Clock) -> None:
        self._ids = events.EventIds(clock)
        self._ms, self._occurred_at = -1, ""

    def next(self) -> Stamp:
        """A stamp with the time that is in its id."""
        event_id, ms = self._ids.next()
        if ms != self._ms:  # kept, since formatting a date costs as much as encoding the event
            self._ms, self._occurred_at = ms, events.rfc3339(ms)
        return Stamp(event_id, self._occurred_at, ms)


def message_of(topic: str, event: events.Event, ms: int) -> Message:
    """The record of an event."""
    return Message(topic, events.key_of(event), events.encode(event), events.headers_of(event), ms)


class Emitter:
    """
    Appends events that are answered only when they are durable.

    An append runs to its end whatever becomes of the request: a viewer who goes away has still liked the video.
    """

    def __init__(self, outbox: Outbox, metrics: Metrics) -> None:
        self._outbox, self._metrics = outbox, metrics
        self._appending = 0
        self._left: set[asyncio.Task[Receipt]] = set()

    async def append(self, topic: str, event: events.Event, ms: int, *, may_refuse: bool = False) -> Receipt:
        """Returns once the event is durable; raises Unavailable, Refused, HttpError 429."""
        if self._appending >= MAX_APPENDING:
            self._metrics.event(topic, "refused")
            raise too_many()
        message = message_of(topic, event, ms)
        self._appending += 1
        try:
            receipt = await self._outbox.append(message, may_refuse=may_refuse)
        except PlaytrailError:
            self._metrics.event(topic, "refused")
            raise
        except asyncio.CancelledError:
            self._append_for_nobody(message, may_refuse)
            raise
        finally:
            self._appending -= 1
        self._metrics.event(topic, receipt.durable)
        return receipt

    def _append_for_nobody(self, message: Message, may_refuse: bool) -> None:
        """
        Append what a request left that was ended meanwhile; the projections drop it if its own append succeeds too.

        A shielded task for every append would never make a copy, and cost each of them 4 µs. Nothing but the end of
        the process ends a request early.
        """
        task = asyncio.create_task(self._outbox.append(message, may_refuse=may_refuse))
        self._left.add(task)
        task.add_done_callback(lambda task: self._ended(message.topic, task))

    def _ended(self, topic: str, task: asyncio.Task[Receipt]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            self._metrics.event(topic, "refused" if task.exception() else task.result().durable)

    async def finish(self) -> None:
        """Wait for the appends under way, a few seconds at most."""
        if self._left:
            await asyncio.wait(self._left, timeout=DRAIN_SECONDS)


class ViewLog:
    """
    Appends views without anybody waiting: a GET promises nothing.

    A full queue drops, and an append of unknown outcome is not repeated, since clicks add up: better missed than
    doubled. Both are counted.
    """

    def __init__(self, writer: EventWriter, metrics: Metrics) -> None:
        self._writer, self._metrics = writer, metrics
        self._queue: asyncio.Queue[Message] = asyncio.Queue(MAX_VIEWS)

    def put(self, event: events.Event, ms: int) -> None:
        """Take a view for appending, or drop it."""
        try:
            self._queue.put_nowait(message_of(events.VIEWS, event, ms))
        except asyncio.QueueFull:
            self._metrics.event(events.VIEWS, "dropped")

    async def run(self) -> None:
        """Append until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(VIEW_TASKS):
                tasks.create_task(self._drain())

    async def _drain(self) -> None:
        while True:
            message = await self._queue.get()
            self._metrics.event(message.topic, await self._outcome(message))
            self._queue.task_done()

    async def _outcome(self, message: Message) -> str:
        try:
            await self._writer.append(message)
        except OutcomeUnknown:
            return "unknown"
        except PlaytrailError:
            return "dropped"
        except Exception as error:  # noqa: BLE001 -- a defect: logged, and the views go on
            log.error("view not appended", trace=trace_of(error))
            return "unknown"
        return "log"

    async def finish(self) -> None:
        """Wait for what is queued, a few seconds at most; the rest counts as dropped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._queue.join()
        for _ in range(self._queue.qsize()):
            self._metrics.event(events.VIEWS, "dropped")


def accepted(request: web.Request, position: str | None, data: Any, msg: str) -> web.Response:
    """The answer to a durable write: 200 with its position, or 202 without one, while it waits in the spool."""
    if position is None:
        return ok(data, msg, 202)
    old = cookies.cookie(request, cookies.POSITION)
    kept = joined(old, Position.parse(position)) if old else position
    return ok(data, msg, 200, {HEADER: position, "Set-Cookie": cookies.position_cookie(kept)})


def position_of(receipt: Receipt) -> str | None:
    """Where the event stands, as text; None while it is in the spool."""
    return None if receipt.position is None else str(receipt.position)
