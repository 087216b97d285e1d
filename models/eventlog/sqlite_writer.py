"""Group commit: concurrent appends of one process share a transaction, and so an fsync."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from models.errors import OutcomeUnknown, PlaytrailError, Unavailable
from models.eventlog.limits import check_size
from models.eventlog.port import EventWriter, Message, Position
from models.eventlog.sqlite_file import Session, transaction
from models.eventlog.sqlite_records import append_all
from models.topics import Topics

MAX_BATCH: Final = 2_000
"""Appends in one transaction: some 20 ms of work, so that other processes get their turn."""

STOP_SECONDS: Final = 10.0

Waiting = tuple[Message, "asyncio.Future[Position]"]


class SqliteWriter(EventWriter):
    """Gathers appends while a transaction is running in the session's thread; then writes them in the next one."""

    def __init__(self, session: Session, topics: Topics, appended: Callable[[], None]) -> None:
        self._session, self._topics, self._appended = session, topics, appended
        self._waiting: list[Waiting] = []
        self._some = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SqliteWriter:
        await self._session.open()
        self._task = asyncio.create_task(self._work(), name="playtrail-log-writer")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing = True
        self._some.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, STOP_SECONDS)
        _fail(self._waiting, OutcomeUnknown("the log was closed"))
        await self._session.close()

    async def append(self, message: Message) -> Position:
        check_size(self._topics, message)
        if self._closing or self._task is None:
            raise Unavailable("log", "the writer is closed")
        future: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, future))
        self._some.set()
        return await future

    async def ready(self) -> None:
        await self._session.run(_probe)

    async def _work(self) -> None:
        while self._waiting or not self._closing:
            self._some.clear()
            if not self._waiting:
                await self._some.wait()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            if batch:
                await self._write(batch)

    async def _write(self, batch: Sequence[Waiting]) -> None:
        try:
            results = await self._session.run(append_all, [message for message, _ in batch])
        except PlaytrailError as error:
            _fail(batch, error)
            return
        except BaseException:
            _fail(batch, OutcomeUnknown("the writer was stopped"))
            raise
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # its caller was cancelled; the record is in the log all the same
                continue
            if isinstance(result, Position):
                future.set_result(result)
            else:
                future.set_exception(result)
        self._appended()


def _fail(batch: Sequence[Waiting], error: PlaytrailError) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


def _probe(connection: sqlite3.Connection) -> None:
    """Take the write lock and give it back."""
    with transaction(connection):
        pass
