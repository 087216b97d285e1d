"""
The outbox: the way from the gateway to the log, with a spool beside it for when the log is away.

The *spool* is a local file (see spool_file). While it is empty, appends go straight to the log. When the log does not
take one, or does not say whether it did, that one and all after it go to the spool, and a task drains the spool into
the log, oldest first; when it is empty, the direct way opens again.

Order. An append that begins after another was answered is behind it in the log, whichever way each took, also across
a restart. Two appends of one key that are under way at the same time have no promised order, and when the earlier
one fails and the later one does not, the later one stands before it. The projections do not mind: of reactions the
newest event_id wins, and the play_time of a play is cumulative.

Copies. A message may be in the log more than once with the same bytes, and so the same event_id: after an unknown
outcome, and after a crash between the log's answer and the deletion from the spool. The projections drop the copies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import structlog

from models.clock import Clock
from models.errors import OutcomeUnknown, PlaytrailError, Refused, Unavailable
from models.eventlog.port import EventWriter, Message, Position
from models.eventlog.spool_file import Entry, SpoolFile, SpoolStatus

__all__ = ["Outbox", "Receipt", "SpoolStatus"]

BATCH: Final = 500
"""Appends under way at once while draining."""
PATIENT_SHARE: Final = 0.9
"""The part of the spool that is open to messages that may be refused."""
READY_SECONDS: Final = 10.0

_log = structlog.get_logger()


class Receipt(NamedTuple):
    """
    Where a message is durable now.

    Attributes:
        durable: ``log`` or ``spool``.
        position: Its position in the log; None while it is in the spool.
    """

    durable: Literal["log", "spool"]
    position: Position | None


_SPOOLED: Final = Receipt("spool", None)


class Outbox:
    """
    Appends to the log or the spool. An async context manager that enters and leaves the writer too.

    Entering raises InvalidSetting when another process uses the spool or its file is unusable. What an earlier
    process left in the spool is drained first, and new appends go behind it. Leaving drains for ``leave_seconds`` at
    most; the rest stays for the next start.

    Args:
        writer: The log's writer. Only this object may append events that must not be lost.
        path: The spool's file; the lock is beside it, with the suffix ``.lock``.
        clock: Tells the age of what waits.
        max_bytes: How much the spool may hold.
        first_wait, longest_wait: Seconds between two tries while the log is away: doubled from the first to the
            longest.
        leave_seconds: See above.
    """

    def __init__(
        self,
        writer: EventWriter,
        path: Path,
        *,
        clock: Clock,
        max_bytes: int = 1 << 30,
        first_wait: float = 0.1,
        longest_wait: float = 2.0,
        leave_seconds: float = 2.0,
    ) -> None:
        self._writer, self._leave_seconds = writer, leave_seconds
        self._first_wait, self._longest_wait = first_wait, longest_wait
        self._spool = SpoolFile(path, clock=clock, max_bytes=max_bytes)
        self._direct = True
        self._healthy = True
        self._no_handover = asyncio.Event()
        self._no_handover.set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Outbox:
        await self._spool.open()
        try:
            await self._writer.__aenter__()
        except BaseException:
            await self._spool.close()
            raise
        if self._spool.events:
            self._detour("left by an earlier process")
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._stop_draining(self._leave_seconds)
            await self._writer.__aexit__(*exc)
        finally:
            # Appends that ended with the writer have begun to drain again.
            await self._stop_draining(0)
            await self._spool.close()

    async def append(self, message: Message, *, may_refuse: bool = False) -> Receipt:
        """
        Make a message durable, in the log or in the spool.

        The first append that finds the log away takes as long as the writer's own time limit; those that begin
        after it do not ask the log. An append waits while the last messages of the spool move to the log.

        Args:
            message: What to append.
            may_refuse: The message is one that can be missed: it is refused when the spool is 90 % full.

        Raises:
            Unavailable: Neither the log nor the spool took it.
            Refused: By the writer: the topic is unknown, or the record too large.
        """
        if not self._direct:
            await self._no_handover.wait()
        if self._direct:
            try:
                return Receipt("log", await self._writer.append(message))
            except (Unavailable, OutcomeUnknown) as error:
                self._detour(str(error))
        await self._spool.put(message, PATIENT_SHARE if may_refuse else 1.0)
        return _SPOOLED

    def status(self) -> SpoolStatus:
        """What waits in the spool; costs nothing."""
        return self._spool.status()

    @property
    def aside(self) -> int:
        """How many spooled messages the log has refused; they are kept in the file and tried at the next start."""
        return self._spool.aside

    def _detour(self, reason: str) -> None:
        """Send everything through the spool from now on, until it is drained."""
        if self._direct:
            self._direct = self._healthy = False
            _log.warning("spooling", reason=reason, events=self._spool.events)
            self._task = asyncio.create_task(self._drain(), name="playtrail-outbox")

    async def _stop_draining(self, seconds: float) -> None:
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _drain(self) -> None:
        wait = self._first_wait
        while not self._direct:
            try:
                await self._step()
                wait = self._first_wait
            except (PlaytrailError, TimeoutError):
                self._healthy = False
                await asyncio.sleep(wait)
                wait = min(wait * 2, self._longest_wait)

    async def _step(self) -> None:
        """
        Move one batch; a single message when the last try failed, so that an absent log is not sent much twice.

        The batch that is likely the last is the handover: appends wait meanwhile, since under a steady load there
        would never be a moment when the spool is empty. Raises a PlaytrailError or TimeoutError when it went wrong.
        """
        if not self._healthy:
            async with asyncio.timeout(READY_SECONDS):
                await self._writer.ready()
        elif self._spool.events <= BATCH:
            self._no_handover.clear()
        try:
            await self._send(await self._spool.peek(BATCH if self._healthy else 1))
            self._healthy = True
            if not self._spool.events:  # checked and opened without an await between
                self._direct = True
                _log.info("direct_again")
        finally:
            self._no_handover.set()

    async def _send(self, entries: Sequence[Entry]) -> None:
        """Append in order, all under way at once; forget those that the log has. Raises Unavailable when some stay."""
        appends = (self._writer.append(entry.message) for entry in entries)
        results = await asyncio.gather(*appends, return_exceptions=True)
        done, refused = list[Entry](), list[tuple[Entry, str]]()
        failed: dict[tuple[str, bytes], BaseException] = {}
        for entry, result in zip(entries, results, strict=True):
            key = entry.message.topic, entry.message.key
            if isinstance(result, Refused):
                refused.append((entry, str(result)))
                _log.error("refused_by_the_log", reason=str(result), topic=entry.message.topic)
            elif isinstance(result, BaseException):
                failed.setdefault(key, result)
            elif key not in failed:  # else it is sent again, to stand behind the one of its key that failed
                done.append(entry)
        await self._forget(done, refused)
        for error in failed.values():
            if not isinstance(error, PlaytrailError):
                _log.error("append_failed", error=repr(error))
            raise Unavailable("log", str(error))

    async def _forget(self, done: Sequence[Entry], refused: Sequence[tuple[Entry, str]]) -> None:
        """Delete, again and again while the disk does not let it: sending again would add copies to the log."""
        while done or refused:
            try:
                return await self._spool.remove(done, refused)
            except Unavailable as error:
                self._no_handover.set()
                _log.error("spool_not_shortened", reason=str(error))
                await asyncio.sleep(self._longest_wait)
