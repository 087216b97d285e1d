"""
The spool's file: a durable first-in-first-out queue of messages, in SQLite, for one process.

WAL mode with ``synchronous=FULL``: every commit is an fsync. Puts that arrive while a commit is running share the
next one. All SQL runs in one thread of its own, in the order in which it was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from models.clock import Clock
from models.errors import InvalidSetting, OutcomeUnknown, PlaytrailError, Unavailable
from models.eventlog.port import Message
from models.eventlog.sqlite_file import transaction

T = TypeVar("T")
_Row = tuple[int, int, str, bytes, bytes, bytes, int]
_Put = tuple[_Row, "asyncio.Future[None]"]

VERSION: Final = 1
ROW_BYTES: Final = 64
"""What a row costs beside its own text and bytes; counted, so that the limit is near to the size of the file."""
FULL_RETRY_SECONDS: Final = 5.0

_COLUMNS: Final = "spooled_ms, size, topic, key, value, headers, timestamp"
_TABLE: Final = """(
    id INTEGER PRIMARY KEY AUTOINCREMENT, spooled_ms INTEGER NOT NULL, size INTEGER NOT NULL, topic TEXT NOT NULL,
    key BLOB NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL, timestamp INTEGER NOT NULL, reason TEXT)"""
_INSERT: Final = f"INSERT INTO waiting ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 -- our own names
_SELECT: Final = f"SELECT id, {_COLUMNS} FROM waiting ORDER BY id LIMIT ?"  # noqa: S608
_SET_ASIDE: Final = f"INSERT INTO aside SELECT id, {_COLUMNS}, ? FROM waiting WHERE id = ?"  # noqa: S608
_TAKE_BACK: Final = f"INSERT INTO waiting SELECT id, {_COLUMNS}, NULL FROM aside"  # noqa: S608

_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


class SpoolStatus(NamedTuple):
    """
    What waits in the spool.

    Attributes:
        events: How many wait for the log.
        bytes: What they take, with those that the log refused and that are kept aside.
        oldest_ms: When the first of them was spooled, milliseconds since 1970; None when none waits.
    """

    events: int
    bytes: int
    oldest_ms: int | None


class Entry(NamedTuple):
    """One message in the file. Ids ascend in the order of ``put`` and are never used again."""

    id: int
    size: int
    message: Message


class SpoolFile:
    """
    The queue. Use it from one event loop.

    Attributes:
        events: How many wait, with those whose put is still being committed; 0 means that the file holds none.
        aside: How many the log has refused. They stay in the file, and wait again after the next ``open``.
    """

    def __init__(self, path: Path, *, clock: Clock, max_bytes: int) -> None:
        self._path, self._clock, self._max_bytes = path, clock, max_bytes
        self._thread = ThreadPoolExecutor(1, "playtrail-spool")
        self._guard = threading.Lock()
        self._pending: list[_Put] = []
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._closed = False
        self.events, self.aside, self._bytes = 0, 0, 0
        self._oldest_ms: int | None = None

    async def open(self) -> None:
        """
        Take the folder's lock for as long as the file is open, and open the file, made when it is not there.

        Raises InvalidSetting when another process has the lock, or the file cannot be used.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except PlaytrailError:
            await self.close()
            raise

    async def close(self) -> None:
        """Commit what was put, close, and give the lock back; a second call does nothing."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)

    def status(self) -> SpoolStatus:
        """What waits; kept in memory, so it costs nothing."""
        return SpoolStatus(self.events, self._bytes, self._oldest_ms)

    async def put(self, message: Message, share: float = 1.0) -> None:
        """
        Add a message at the end; returns once it is durable. Its place is taken at the call, before anything waits.

        Args:
            message: What to keep.
            share: Part of the largest size that this message may fill.

        Raises Unavailable when that is used up, or the disk is full: then the file has nothing of it.
        """
        headers = msgspec.msgpack.encode(list(message.headers))
        size = ROW_BYTES + len(message.topic) + len(message.key) + len(message.value) + len(headers)
        if self._closed:
            raise Unavailable("spool", "closed")
        if self._bytes + size > self._max_bytes * share:
            raise Unavailable("spool", f"full, {self._bytes} of {self._max_bytes} bytes", FULL_RETRY_SECONDS)
        now = self._clock.now_ms()
        self._count(1, size, now if self._oldest_ms is None else self._oldest_ms)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(partial(self._settled, size))
        row = (now, size, message.topic, message.key, message.value, headers, message.timestamp)
        with self._guard:
            self._pending.append((row, done))
            first = len(self._pending) == 1
        if first:
            self._thread.submit(self._commit, loop)
        # A caller that is cancelled does not stop the commit, and must not spoil the count.
        await asyncio.shield(done)

    async def peek(self, limit: int) -> list[Entry]:
        """The first ``limit`` messages, with every one put before this call. Raises Unavailable."""
        return await self._run(partial(self._read, limit))

    async def remove(self, done: Sequence[Entry], refused: Sequence[tuple[Entry, str]] = ()) -> None:
        """
        Forget messages that the log has, and put aside those that it refuses, with the reason; one transaction.

        Raises Unavailable; then all are still there.
        """
        oldest_ms = await self._run(partial(self._remove, done, refused))
        if oldest_ms is None:
            self._thread.submit(self._shrink)
        self.aside += len(refused)
        self._count(-len(done) - len(refused), -sum(e.size for e in done), oldest_ms or self._clock.now_ms())

    def _count(self, events: int, size: int, oldest_ms: int) -> None:
        self.events += events
        self._bytes += size
        self._oldest_ms = oldest_ms if self.events else None

    def _settled(self, size: int, done: asyncio.Future[None]) -> None:
        if done.exception() is not None:
            self._count(-1, -size, self._oldest_ms or self._clock.now_ms())

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def call() -> T:
            assert self._connection is not None  # noqa: S101 -- open() has set it
            return work(self._connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except (sqlite3.Error, OutcomeUnknown) as error:
            raise Unavailable("spool", f"{self._path.name}: {error}") from error

    # From here on: the thread's side.

    def _open(self) -> None:
        folder = str(self._path.parent)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self._path.with_suffix(".lock"))
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            _prepare(self._connection)
            totals = "SELECT count(*), coalesce(sum(size), 0), min(spooled_ms) FROM waiting"
            self.events, self._bytes, self._oldest_ms = self._connection.execute(totals).fetchone()
        except (sqlite3.Error, OutcomeUnknown, OSError) as error:
            allowed = f"a folder that can be written, with a sound spool in it ({self._path.name}: {error})"
            raise InvalidSetting("PLAYTRAIL_DATA", folder, allowed) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _commit(self, loop: asyncio.AbstractEventLoop) -> None:
        """One transaction for all pending puts; when it fails each alone, so that one too many harms no other."""
        with self._guard:
            batch, self._pending = self._pending, []
        errors = [self._insert([row for row, _ in batch])] * len(batch)
        if errors[0] is not None and len(batch) > 1:
            errors = [self._insert([row]) for row, _ in batch]
        loop.call_soon_threadsafe(_settle, [done for _, done in batch], errors)

    def _insert(self, rows: Sequence[_Row]) -> Unavailable | None:
        assert self._connection is not None  # noqa: S101 -- open() has set it
        try:
            with transaction(self._connection):
                self._connection.executemany(_INSERT, rows)
        except (sqlite3.Error, OutcomeUnknown) as error:
            return Unavailable("spool", f"{self._path.name}: {error}")
        return None

    def _read(self, limit: int, connection: sqlite3.Connection) -> list[Entry]:
        return [
            Entry(number, size, Message(topic, key, value, _headers.decode(headers), timestamp))
            for number, _, size, topic, key, value, headers, timestamp in connection.execute(_SELECT, (limit,))
        ]

    def _remove(
        self, done: Sequence[Entry], refused: Sequence[tuple[Entry, str]], connection: sqlite3.Connection
    ) -> int | None:
        with transaction(connection):
            connection.executemany(_SET_ASIDE, [(reason, entry.id) for entry, reason in refused])
            gone = [(entry.id,) for entry in done] + [(entry.id,) for entry, _ in refused]
            connection.executemany("DELETE FROM waiting WHERE id = ?", gone)
            oldest = connection.execute("SELECT spooled_ms FROM waiting ORDER BY id LIMIT 1").fetchone()
        return None if oldest is None else int(oldest[0])

    def _shrink(self) -> None:
        """Give the disk back; cheap only when the file is empty, since no row has to be moved."""
        assert self._connection is not None  # noqa: S101 -- open() has set it
        # As a script: execute() takes one step of a statement without columns, and a step frees one page. A failure
        # is harmless, since the pages are used again.
        with contextlib.suppress(sqlite3.Error):
            self._connection.executescript("PRAGMA incremental_vacuum")


def _settle(futures: Sequence[asyncio.Future[None]], errors: Sequence[Unavailable | None]) -> None:
    for done, error in zip(futures, errors, strict=True):
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def _locked(path: Path) -> int:
    """A descriptor with the lock; it ends with the process, however that ends. The file is never deleted."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        allowed = f"a folder of its own: another gateway uses the spool in this one (process {owner or 'unknown'})"
        raise InvalidSetting("PLAYTRAIL_DATA", str(path.parent), allowed) from error
    with contextlib.suppress(OSError):  # only for the message above; a full disk must not stop a start
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # takes effect in a new file only
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found not in (0, VERSION):
        raise sqlite3.DatabaseError(f"a spool of version {found}, not {VERSION}")
    with transaction(connection):
        if found == 0:
            connection.execute(f"CREATE TABLE waiting {_TABLE}")
            connection.execute(f"CREATE TABLE aside {_TABLE}")
            connection.execute(f"PRAGMA user_version={VERSION}")
        # An operator may have mended what the log refused: every start tries once more.
        connection.execute(_TAKE_BACK)
        connection.execute("DELETE FROM aside")
