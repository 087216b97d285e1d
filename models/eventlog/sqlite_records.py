"""Topics and records in the SQLite file; every function runs in a session's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from models.errors import LogMismatch, Refused
from models.eventlog.port import Identity, Message, Position, partition_for
from models.eventlog.sqlite_file import transaction

_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]])
_encode = msgspec.msgpack.Encoder().encode


class StoredRecord(NamedTuple):
    """A record as it was appended, and where it stands."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class TopicRow(NamedTuple):
    """A topic of the file; ``id`` is never used again after the topic is gone."""

    id: int
    name: str
    partitions: int


def find_topic(connection: sqlite3.Connection, name: str) -> TopicRow:
    """Raises Refused when there is no such topic."""
    row = connection.execute("SELECT id, name, partitions FROM topic WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise unknown_topic(name)
    return TopicRow(*row)


def unknown_topic(name: str) -> Refused:
    return Refused("topic", name, "a topic of the log; `playtrail topics apply` creates what is missing")


def append_all(connection: sqlite3.Connection, messages: Iterable[Message]) -> list[Position | Refused]:
    """Append in one transaction; a message that is refused does not stop the others."""
    with transaction(connection):
        topics = {row[1]: TopicRow(*row) for row in connection.execute("SELECT id, name, partitions FROM topic")}
        ends = {(t, p): n for t, p, n in connection.execute("SELECT topic_id, partition, next_offset FROM partition")}
        before, rows, results = dict(ends), [], list[Position | Refused]()
        for message in messages:
            topic = topics.get(message.topic)
            if topic is None:
                results.append(unknown_topic(message.topic))
                continue
            place = topic.id, partition_for(message.key, topic.partitions)
            offset = ends[place]
            ends[place] = offset + 1
            headers = _encode(list(message.headers))
            rows.append((*place, offset, message.timestamp, message.key, message.value, headers))
            results.append(Position(topic.name, place[1], offset))
        connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        moved = [(end, *place) for place, end in ends.items() if end != before[place]]
        connection.executemany("UPDATE partition SET next_offset = ? WHERE topic_id = ? AND partition = ?", moved)
    return results


def read_range(
    connection: sqlite3.Connection, topic: TopicRow, partition: int, offset: int, limit: int
) -> list[StoredRecord]:
    """
    Up to ``limit`` records from ``offset`` on: one walk of the primary key.

    Raises LogMismatch when the offset is below the first kept or above the end.
    """
    rows = connection.execute(
        "SELECT offset, timestamp, key, value, headers FROM record"
        " WHERE topic_id = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?",
        (topic.id, partition, offset, limit),
    ).fetchall()
    if not rows or rows[0][0] != offset:
        _check_range(connection, topic, partition, offset)
    return [StoredRecord(topic.name, partition, o, t, k, v, _headers.decode(h)) for o, t, k, v, h in rows]


def _check_range(connection: sqlite3.Connection, topic: TopicRow, partition: int, offset: int) -> None:
    first, end = bounds_of(connection, topic, partition)
    if not first <= offset <= end:
        raise LogMismatch(
            f"offset {offset} of {topic.name}/{partition} is outside of the log, which has {first} to {end}"
        )


def bounds_of(connection: sqlite3.Connection, topic: TopicRow, partition: int) -> tuple[int, int]:
    """First offset kept, and the next one to be given. Raises Refused when there is no such partition."""
    if not 0 <= partition < topic.partitions:
        raise Refused("partition", partition, f"0 to {topic.partitions - 1} for {topic.name}")
    place = (topic.id, partition)
    query = "SELECT min(offset) FROM record WHERE topic_id = ? AND partition = ?"
    first = connection.execute(query, place).fetchone()[0]
    query = "SELECT next_offset FROM partition WHERE topic_id = ? AND partition = ?"
    end = connection.execute(query, place).fetchone()
    if end is None:
        raise LogMismatch(f"topic {topic.name} was deleted or created again")
    return (end[0] if first is None else first), end[0]


def bounds_by_name(connection: sqlite3.Connection, name: str) -> dict[int, tuple[int, int]]:
    topic = find_topic(connection, name)
    return {p: bounds_of(connection, topic, p) for p in range(topic.partitions)}


def read_by_name(
    connection: sqlite3.Connection, name: str, partition: int, offset: int, limit: int
) -> Sequence[StoredRecord]:
    topic = find_topic(connection, name)
    bounds_of(connection, topic, partition)
    return read_range(connection, topic, partition, offset, limit)


def times_of(connection: sqlite3.Connection, name: str, offsets: Mapping[int, int]) -> dict[int, int]:
    """The time of the first record at or after each offset; raises as ``read_range`` does."""
    return {
        partition: found[0].timestamp
        for partition, offset in offsets.items()
        if (found := read_by_name(connection, name, partition, offset, 1))
    }


def offsets_at(connection: sqlite3.Connection, name: str, time_ms: int) -> dict[int, int]:
    """The first offset of each partition whose time is ``time_ms`` or later: a walk, since nobody asks often."""
    topic = find_topic(connection, name)
    query = "SELECT offset FROM record WHERE topic_id = ? AND partition = ? AND timestamp >= ? ORDER BY offset LIMIT 1"
    found = {p: connection.execute(query, (topic.id, p, time_ms)).fetchone() for p in range(topic.partitions)}
    return {partition: row[0] for partition, row in found.items() if row}


def identity_of(connection: sqlite3.Connection, name: str) -> Identity:
    topic = find_topic(connection, name)
    log_id = connection.execute("SELECT id FROM log").fetchone()[0]
    created = connection.execute("SELECT created FROM topic WHERE id = ?", (topic.id,)).fetchone()[0]
    return Identity(log_id, created, topic.partitions)


def committed_of(connection: sqlite3.Connection, group: str, name: str) -> dict[int, int]:
    query = (
        "SELECT partition, next_offset FROM committed JOIN topic ON topic.id = topic_id"
        " WHERE consumer_group = ? AND name = ?"
    )
    return dict(connection.execute(query, (group, name)).fetchall())


def save_committed(connection: sqlite3.Connection, group: str, topic: TopicRow, positions: Mapping[int, int]) -> None:
    rows = [(topic.id, group, partition, offset) for partition, offset in positions.items()]
    with transaction(connection):
        connection.executemany("INSERT OR REPLACE INTO committed VALUES (?, ?, ?, ?)", rows)
