"""
Plays in a SQLite file, in the place of HBase.

Every row has a ``stamp``, and an upsert changes it only when its own stamp is not smaller: what HBase does with cell
timestamps. WAL, so that readers and the writer do not wait for each other; synchronous=FULL, so that what returned
is on disk. Several threads and processes may share the file.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from models.errors import Fenced, Unavailable
from models.rows import (
    decode_checkpoint,
    decode_identity,
    decode_top,
    encode_checkpoint,
    encode_identity,
    encode_top,
)
from models.stores.plays_heads import Head
from models.stores.plays_sqlite_sql import VERSIONS, Sql, sql
from models.stores.plays_versions import PROJECTION, PlayVersions
from models.stores.port import About, Checkpoint, PlayRow, Top, stamp_of
from models.stores.versions import Row

PAGE = 20_000


class SqlitePlays(PlayVersions):
    """
    The plays store in one file; see PlayStores for what each method promises.

    ``put`` and ``save`` are one transaction each, which is more than the port asks for.

    Args:
        path: The file; ``create`` makes it and its folder.
        timeout: Seconds to wait for another writer before Unavailable.
    """

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        super().__init__()
        self._path, self._timeout = path, timeout
        self._idle: deque[sqlite3.Connection] = deque()

    def create(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable("plays", f"{self._path.parent}: {error.strerror}") from error
        self._switch_to_wal()
        self._create(VERSIONS + ";" + sql(1).tables)

    def _create(self, tables: str) -> None:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            for statement in tables.split(";"):
                connection.execute(statement)

    def make(self, projection: str, version: int) -> None:  # noqa: ARG002 -- there is one projection here
        self._create(sql(version).tables)

    def remove(self, projection: str, version: int) -> None:  # noqa: ARG002
        with self._transaction("BEGIN IMMEDIATE") as connection:
            for name in sql(version).names if version > 1 else ():
                connection.execute(f"DROP TABLE IF EXISTS {name}")  # a name of our own

    def contents(self, projection: str) -> Iterator[Row]:  # noqa: ARG002
        read, last = self._to_read, -1
        while True:
            with self._transaction() as connection:
                page = connection.execute(read.page, (last, PAGE)).fetchall()
            yield from (Row(str(video), duration, str(times)) for video, times, duration in page)
            if len(page) < PAGE:
                return
            last = page[-1][0]

    @property
    def _to_read(self) -> Sql:
        return sql(self._reading())

    def missing(self) -> Sequence[str]:
        with self._transaction() as connection:
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        active = self._reading() if "plays_version" in there else 1
        return sorted({"plays_version", *sql(1).names, *sql(active).names} - there)

    def about(self) -> About:
        return About(f"SQLite {sqlite3.sqlite_version}")

    def ping(self) -> None:
        with self._transaction() as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def close(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def rows(self, ids: Collection[int]) -> Mapping[int, PlayRow]:
        read = self._to_read
        with self._transaction() as connection:
            found = connection.execute(read.rows, (msgspec.json.encode(list(ids)).decode(),))
            return {video_id: PlayRow(times, duration, stamp) for video_id, times, duration, stamp in found}

    def put(self, partition: int, stamp: int, rows: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        write = sql(self._writing())
        with self._transaction("BEGIN IMMEDIATE") as connection:
            values = ((video_id, times, duration, stamp) for video_id, (times, duration) in sorted(rows.items()))
            connection.executemany(write.put_row, values)
            if top is not None:
                connection.execute(write.put_top, (partition, encode_top(top), stamp))

    def tops(self) -> Mapping[int, Top]:
        read = self._to_read
        with self._transaction() as connection:
            found = connection.execute(read.tops).fetchall()
        return {partition: decode_top(value) for partition, value in found}

    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
        head = (encode_checkpoint(checkpoint), stamp, projection, topic, partition, stamp)
        write = sql(self._writing())
        with self._transaction("BEGIN IMMEDIATE") as connection:
            connection.execute(write.put_part, (projection, partition, part, content, stamp))
            if connection.execute(write.move_head, head).rowcount == 0:
                raise Fenced(f"{projection}: {topic}/{partition} has a checkpoint beyond {checkpoint.next_offset}")

    def parts(self, projection: str, partition: int, names: Sequence[str]) -> Sequence[bytes]:
        read = self._to_read
        with self._transaction() as connection:
            found = [connection.execute(read.part, (projection, partition, name)).fetchone() for name in names]
        return [bytes(row[0]) if row else b"" for row in found]

    def _heads(self, projection: str, topic: str) -> Mapping[int, Head]:
        read = self._to_read
        with self._transaction() as connection:
            found = connection.execute(read.heads, (projection, topic)).fetchall()
        return {partition: Head(decode_checkpoint(c), decode_identity(i)) for partition, c, i in found}

    def _put_heads(self, projection: str, topic: str, heads: Mapping[int, Head]) -> None:
        write = sql(self._reading())  # not held by a switch: to open is not to move on
        with self._transaction("BEGIN IMMEDIATE") as connection:
            for partition, (checkpoint, identity) in heads.items():
                stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
                values = (encode_checkpoint(checkpoint), encode_identity(identity), stamp)
                connection.execute(write.put_head, (projection, topic, partition, *values))

    def _version_value(self) -> bytes | None:
        with self._transaction() as connection:
            found = connection.execute("SELECT row FROM plays_version WHERE projection = ?", (PROJECTION,)).fetchone()
        return found[0] if found else None

    def _swap_version_value(self, seen: bytes | None, to: bytes) -> bool:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            if seen is None:
                done = connection.execute("INSERT OR IGNORE INTO plays_version VALUES (?, ?)", (PROJECTION, to))
            else:
                swap = "UPDATE plays_version SET row = ? WHERE projection = ? AND row = ?"
                done = connection.execute(swap, (to, PROJECTION, seen))
            return done.rowcount == 1

    def _switch_to_wal(self) -> None:
        """SQLite does not wait for its lock here when two processes switch at once, so this does."""
        give_up = time.monotonic() + self._timeout
        while True:
            try:
                with closing(sqlite3.connect(self._path, self._timeout)) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.Error as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise self._unavailable(error) from error
            time.sleep(0.02)

    @contextmanager
    def _transaction(self, begin: str = "BEGIN") -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses, in a transaction, which an exception rolls back."""
        try:
            connection = self._take()
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()  # which also rolls back
                raise
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        self._idle.append(connection)

    def _take(self) -> sqlite3.Connection:
        with suppress(IndexError):
            return self._idle.pop()
        connection = sqlite3.connect(self._path, self._timeout, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _unavailable(self, error: sqlite3.Error) -> Unavailable:
        hint = "; `playtrail consume plays` creates the tables" if "no such table" in str(error) else ""
        return Unavailable("plays", f"{self._path}: {error}{hint}")
