"""
One SQL database by URL: its engine, its transactions, and the one place where driver errors become ours.

SQLite, MySQL and MariaDB differ in three things, all of them here or in sql_upsert.py: how a connection is set up, how
a transaction begins, and which errors mean "try again".
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.schema import CreateIndex, CreateTable

from models.clock import Clock, SystemClock
from models.errors import Refused, Unavailable
from models.tables import metadata

T = TypeVar("T")
Work = Callable[[Connection], T]

TRIES: Final = 5
LOST_SECONDS: Final = 1.0
"""A read whose connection was found broken within so long is asked again: whoever waited longer has waited enough."""
# Deadlock; lock wait timeout (rolls back the statement alone); MariaDB's "record has changed since last read"; and a
# duplicate key, which only the inserts of two processes that took the same next number can meet.
_AGAIN: Final = frozenset({1213, 1205, 1020, 1062})
_INDEX_EXISTS: Final = 1061

_SERVER: Final[dict[str, Any]] = {
    "connect_timeout": 3,
    # Without these a silent server would hold the thread for ever.
    "read_timeout": 10,
    "write_timeout": 10,
    "binary_prefix": True,
    # Lock waits below read_timeout, so that a held lock is reported by the server and not by a broken connection. The
    # other is how long a transaction can keep its locks whose client vanished without a word, as when a firewall forgot
    # the connection; by default the server waits eight hours for its next statement.
    "init_command": "SET SESSION innodb_lock_wait_timeout = 2, SESSION wait_timeout = 15",
}
_RECYCLE_SECONDS: Final = 10
"""Connections get no older: below wait_timeout, so that the server closes none that is about to be used."""
_POOL: Final[dict[str, Any]] = {"max_overflow": 0, "pool_timeout": 3}
READERS: Final = 8
WRITERS: Final = 20
"""As many as the threads of a consumer process, or else a slow database would seem to be away to those without one."""


class Database:
    """
    Transactions on one URL. Connects to nothing until used; safe to use from several threads.

    A lost reply to COMMIT is Unavailable although the transaction may be there: the position that moves in it tells
    the caller, who finds itself Fenced on the second try and reads the position again.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._url = make_url(url)
        self.clock = clock or SystemClock()
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._reader: Engine
        self._writer: Engine
        if self.is_sqlite:
            self._reader = _sqlite(self._url)
            self._writer = self._reader.execution_options(playtrail_begin="BEGIN IMMEDIATE")
        else:
            # A read is one statement and nothing else: half of the round trips of a transaction, and no ping before,
            # since it can be asked again.
            self._reader = _server(
                self._url, pool_size=READERS, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
            )
            self._writer = _server(self._url, pool_size=WRITERS, isolation_level="READ COMMITTED", pool_pre_ping=True)

    def read(self, work: Work[T]) -> T:
        """
        What ``work`` returns, which writes nothing and may run several times. Raises Unavailable.

        In SQLite all its statements see one state; on a server each sees what was committed before it.
        """
        return _in_transaction(self._reader, work, reads=True)

    def write(self, work: Work[T]) -> T:
        """
        What ``work`` returns, committed; whatever it raises is rolled back.

        ``work`` may run several times: the database chooses a victim of a deadlock, and asks for another try.
        Raises Unavailable, and Refused for a row that does not fit its table.
        """
        return _in_transaction(self._writer, work)

    def create(self) -> None:
        """Make missing tables and indexes; several processes may do so at once. Raises Unavailable."""
        if self.is_sqlite:
            with _translated():
                _prepare_file(self._writer, self._url)
        self.write(_create_tables)

    def close(self) -> None:
        """Give the connections back; the next use opens new ones."""
        self._reader.dispose()
        self._writer.dispose()


def _server(url: URL, **options: Any) -> Engine:
    arguments = {name: value for name, value in _SERVER.items() if name not in url.query}
    return create_engine(
        url,
        connect_args=arguments,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,
        **_POOL,
        **options,
    )


def _sqlite(url: URL) -> Engine:
    """``?timeout=SECONDS`` in the URL is how long to wait for another process's lock; 5 by default."""
    engine = create_engine(url, pool_size=WRITERS, hide_parameters=True, **_POOL)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    # sqlite3 would begin by itself, late and deferred; _begin_sqlite does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes cannot wait for the lock (it fails at once): writers take it first.
    connection.exec_driver_sql(connection.get_execution_options().get("playtrail_begin", "BEGIN"))


def _prepare_file(engine: Engine, url: URL) -> None:
    """Folder and write-ahead log: readers then never wait for a writer. The file remembers the mode."""
    try:
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable("sql", str(error)) from error
    for attempt in range(TRIES):
        try:
            return _write_ahead(engine)
        except exc.OperationalError:
            # Changing the mode needs the file for itself and does not wait for it; another process is doing the same.
            if attempt == TRIES - 1:
                raise
            _pause(attempt)


def _write_ahead(engine: Engine) -> None:
    # Outside of a transaction, since the mode cannot be changed within one.
    with engine.connect().execution_options(playtrail_begin="SELECT 1") as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def _create_tables(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        there = {index["name"] for index in inspect(connection).get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            if index.name not in there:
                _create_index(connection, CreateIndex(index))


def _create_index(connection: Connection, statement: CreateIndex) -> None:
    try:
        connection.execute(statement)
    except exc.OperationalError as error:
        # Another process was faster; MySQL has no CREATE INDEX IF NOT EXISTS.
        if _code(error) != _INDEX_EXISTS:
            raise


def _in_transaction(engine: Engine, work: Work[T], *, reads: bool = False) -> T:
    begun = time.monotonic()
    for attempt in range(TRIES):
        try:
            with engine.begin() as connection:
                return work(connection)
        except exc.DBAPIError as error:
            # All that idled are given up with one that was found broken, as after a restart of the server.
            lost = reads and error.connection_invalidated and time.monotonic() - begun < LOST_SECONDS
            if not (lost or _code(error) in _AGAIN) or attempt == TRIES - 1:
                raise _ours(error) from error
        except exc.TimeoutError as error:
            raise Unavailable("sql", "every connection of the pool is in use") from error
        _pause(attempt)
    raise AssertionError("unreachable")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        raise _ours(error) from error


def _ours(error: exc.DBAPIError) -> Unavailable | Refused:
    # The driver's own text has no password in it and, other than SQLAlchemy's, no statement and no parameters.
    said = error.orig.args[-1] if error.orig and error.orig.args else error.orig
    reason = " ".join(str(said).split())
    if isinstance(error, exc.IntegrityError | exc.DataError) and _code(error) not in _AGAIN:
        return Refused("row", reason, "values that fit the columns")
    return Unavailable("sql", reason or type(error.orig).__name__)


def _code(error: exc.DBAPIError) -> int | None:
    """MySQL's error number; the class that PyMySQL maps it to differs between versions."""
    code = error.orig.args[0] if error.orig and error.orig.args else None
    return code if isinstance(code, int) else None


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0.005, 0.02 * 2**attempt))  # noqa: S311 -- jitter, no secret


def answers(connection: Connection) -> None:
    """The cheapest statement that needs the server."""
    connection.execute(text("SELECT 1"))
