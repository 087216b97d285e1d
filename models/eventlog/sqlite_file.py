"""
The file of the embedded event log: its schema, and sessions on it.

One file in WAL mode is shared by any number of processes. ``synchronous=FULL`` makes every commit an fsync of the
write-ahead log, so that what was acknowledged survives a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from models.errors import OutcomeUnknown, PlaytrailError, Refused, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

BUSY_SECONDS: Final = 5.0
"""How long a transaction waits for another process before the log counts as away."""

VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE log (id TEXT NOT NULL);
CREATE TABLE topic (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL, partitions INTEGER NOT NULL,
    replication INTEGER NOT NULL, config TEXT NOT NULL);
CREATE TABLE partition (
    topic_id INTEGER NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic_id, partition)) WITHOUT ROWID;
CREATE TABLE record (
    topic_id INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    key BLOB NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL,
    PRIMARY KEY (topic_id, partition, offset)) WITHOUT ROWID;
CREATE TABLE committed (
    topic_id INTEGER NOT NULL, consumer_group TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic_id, consumer_group, partition)) WITHOUT ROWID;
CREATE TABLE member (
    topic_id INTEGER NOT NULL, consumer_group TEXT NOT NULL, name TEXT NOT NULL, token TEXT NOT NULL,
    expires_ms INTEGER NOT NULL, PRIMARY KEY (topic_id, consumer_group, name)) WITHOUT ROWID;
CREATE TABLE lease (
    topic_id INTEGER NOT NULL, consumer_group TEXT NOT NULL, partition INTEGER NOT NULL, member TEXT NOT NULL,
    PRIMARY KEY (topic_id, consumer_group, partition)) WITHOUT ROWID;
-- For people with a SQL shell: the log without the numbers of our own.
CREATE VIEW records AS SELECT topic.name AS topic, partition, offset AS record_offset, timestamp,
    CAST(key AS TEXT) AS key, value FROM record JOIN topic ON topic.id = record.topic_id;
"""


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """The one place where errors of sqlite3 become ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise Refused("PLAYTRAIL_EVENTS", str(path), "a SQLite file made by playtrail") from error
        raise Unavailable("log", f"{path.name}: {error}") from error
    except OSError as error:
        raise Unavailable("log", f"{path.name}: {error.strerror or error}") from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """
    Write lock first, so that what is read inside stays true until the commit.

    An I/O error of the commit itself raises OutcomeUnknown: its last page may have reached the disk all the same.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        _commit(connection)
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
            raise OutcomeUnknown(f"the commit failed: {error}") from error
        raise


class Session:
    """
    One connection, and the one thread that uses it.

    ``run`` calls a function with the connection in that thread, one call at a time, and translates its errors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a file."""
        return self._path.exists()

    @property
    def is_open(self) -> bool:
        """Whether ``run`` may be called."""
        return self._thread is not None

    async def open(self) -> None:
        """Open the file, made when it is not there. Raises Unavailable, or Refused for a file of another kind."""
        self._thread = ThreadPoolExecutor(1, "playtrail-log")
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except PlaytrailError:
            await self.close()
            raise

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of ``work(connection, ...)``. Raises Unavailable when the session is closed."""
        if self._thread is None:
            raise Unavailable("log", f"{self._path.name} is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._call(work, *args, **kwargs))

    async def close(self) -> None:
        """Close after what is running; a second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)

    def _call(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with translated(self._path):
            if self._connection is None:
                raise Unavailable("log", f"{self._path.name} is not open")
            return work(self._connection, *args, **kwargs)

    def _open(self) -> None:
        with translated(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: transactions are begun by hand.
            self._connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            _configure(self._connection)
            _create(self._connection, self._path)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _configure(connection: sqlite3.Connection) -> None:
    # The busy time-out does not cover the change to WAL, which the first processes of a new file may do at once.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=FULL")


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == 0:
        with transaction(connection):
            if _version(connection) == 0:  # else another process was first
                for statement in filter(str.strip, SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute("INSERT INTO log VALUES (?)", (str(uuid.uuid4()),))
                connection.execute(f"PRAGMA user_version={VERSION}")
    if _version(connection) != VERSION:
        raise Refused("PLAYTRAIL_EVENTS", str(path), f"a log of version {VERSION}, not {_version(connection)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
