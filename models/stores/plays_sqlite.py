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
from models.stores.plays_heads import Head, PlayHeads
from models.stores.port import Checkpoint, PlayRow, Top, stamp_of

_TABLES = """
CREATE TABLE IF NOT EXISTS video (
    content_id INTEGER PRIMARY KEY, times INTEGER NOT NULL, duration INTEGER NOT NULL, stamp INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS video_top (
    partition_id INTEGER PRIMARY KEY, list BLOB NOT NULL, stamp INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS plays_head (
    projection TEXT NOT NULL, topic TEXT NOT NULL, partition_id INTEGER NOT NULL,
    checkpoint BLOB NOT NULL, identity BLOB NOT NULL, stamp INTEGER NOT NULL,
    PRIMARY KEY (projection, topic, partition_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plays_part (
    projection TEXT NOT NULL, partition_id INTEGER NOT NULL, part TEXT NOT NULL,
    content BLOB NOT NULL, stamp INTEGER NOT NULL,
    PRIMARY KEY (projection, partition_id, part));
"""
_PUT_ROW = """
INSERT INTO video (content_id, times, duration, stamp) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET times = excluded.times, duration = excluded.duration, stamp = excluded.stamp
WHERE excluded.stamp >= stamp"""
_PUT_TOP = """
INSERT INTO video_top (partition_id, list, stamp) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET list = excluded.list, stamp = excluded.stamp WHERE excluded.stamp >= stamp"""
_PUT_HEAD = """
INSERT INTO plays_head (projection, topic, partition_id, checkpoint, identity, stamp) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint, identity = excluded.identity, stamp = excluded.stamp
WHERE excluded.stamp >= stamp"""
_MOVE_HEAD = """
UPDATE plays_head SET checkpoint = ?, stamp = ?
WHERE projection = ? AND topic = ? AND partition_id = ? AND stamp <= ?"""
_PUT_PART = """
INSERT INTO plays_part (projection, partition_id, part, content, stamp) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET content = excluded.content, stamp = excluded.stamp WHERE excluded.stamp >= stamp"""
_ROWS = "SELECT content_id, times, duration, stamp FROM video WHERE content_id IN (SELECT value FROM json_each(?))"
_HEADS = "SELECT partition_id, checkpoint, identity FROM plays_head WHERE projection = ? AND topic = ?"
_PART = "SELECT content FROM plays_part WHERE projection = ? AND partition_id = ? AND part = ?"


class SqlitePlays(PlayHeads):
    """
    The plays store in one file; see PlayStores for what each method promises.

    ``put`` and ``save`` are one transaction each, which is more than the port asks for.

    Args:
        path: The file; ``create`` makes it and its folder.
        timeout: Seconds to wait for another writer before Unavailable.
    """

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._path, self._timeout = path, timeout
        self._idle: deque[sqlite3.Connection] = deque()

    def create(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable("plays", f"{self._path.parent}: {error.strerror}") from error
        self._switch_to_wal()
        with self._transaction("BEGIN IMMEDIATE") as connection:
            for statement in _TABLES.split(";"):
                connection.execute(statement)

    def ping(self) -> None:
        with self._transaction() as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def close(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def rows(self, ids: Collection[int]) -> Mapping[int, PlayRow]:
        with self._transaction() as connection:
            found = connection.execute(_ROWS, (msgspec.json.encode(list(ids)).decode(),))
            return {video_id: PlayRow(times, duration, stamp) for video_id, times, duration, stamp in found}

    def put(self, partition: int, stamp: int, rows: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            values = ((video_id, times, duration, stamp) for video_id, (times, duration) in sorted(rows.items()))
            connection.executemany(_PUT_ROW, values)
            if top is not None:
                connection.execute(_PUT_TOP, (partition, encode_top(top), stamp))

    def tops(self) -> Mapping[int, Top]:
        with self._transaction() as connection:
            found = connection.execute("SELECT partition_id, list FROM video_top").fetchall()
        return {partition: decode_top(value) for partition, value in found}

    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
        head = (encode_checkpoint(checkpoint), stamp, projection, topic, partition, stamp)
        with self._transaction("BEGIN IMMEDIATE") as connection:
            connection.execute(_PUT_PART, (projection, partition, part, content, stamp))
            if connection.execute(_MOVE_HEAD, head).rowcount == 0:
                raise Fenced(f"{projection}: {topic}/{partition} has a checkpoint beyond {checkpoint.next_offset}")

    def parts(self, projection: str, partition: int, names: Sequence[str]) -> Sequence[bytes]:
        with self._transaction() as connection:
            found = [connection.execute(_PART, (projection, partition, name)).fetchone() for name in names]
        return [bytes(row[0]) if row else b"" for row in found]

    def _heads(self, projection: str, topic: str) -> Mapping[int, Head]:
        with self._transaction() as connection:
            found = connection.execute(_HEADS, (projection, topic)).fetchall()
        return {partition: Head(decode_checkpoint(c), decode_identity(i)) for partition, c, i in found}

    def _put_heads(self, projection: str, topic: str, heads: Mapping[int, Head]) -> None:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            for partition, (checkpoint, identity) in heads.items():
                stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
                values = (encode_checkpoint(checkpoint), encode_identity(identity), stamp)
                connection.execute(_PUT_HEAD, (projection, topic, partition, *values))

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
