"""Reading the SQLite file without a group, and its topics."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Collection, Mapping, Sequence

import msgspec

from models.clock import Clock, SystemClock
from models.eventlog import sqlite_records as records
from models.eventlog.port import Identity, LogReader, Owner, Record, TopicAdmin, TopicState
from models.eventlog.sqlite_file import Session, transaction
from models.eventlog.sqlite_groups import owners_of


class SqliteReader(LogReader):
    """Every call is one read of the file."""

    def __init__(self, session: Session, clock: Clock | None = None) -> None:
        self._session, self._clock = session, clock or SystemClock()

    async def __aenter__(self) -> SqliteReader:
        await self._session.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def identity(self, topic: str) -> Identity:
        return await self._session.run(records.identity_of, topic)

    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        return await self._session.run(records.bounds_by_name, topic)

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        return await self._session.run(records.committed_of, group, topic)

    async def owners(self, group: str, topic: str) -> Mapping[int, Owner]:
        return await self._session.run(owners_of, group, topic, self._clock.now_ms())

    async def times(self, topic: str, offsets: Mapping[int, int]) -> Mapping[int, int]:
        return await self._session.run(records.times_of, topic, offsets)

    async def offsets_at(self, topic: str, time_ms: int) -> Mapping[int, int]:
        return await self._session.run(records.offsets_at, topic, time_ms)

    async def read(self, topic: str, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        return await self._session.run(records.read_by_name, topic, partition, offset, max_records)


class SqliteAdmin(TopicAdmin):
    """
    Topics of the file.

    Replication and configuration are kept as declared, so that they can be compared; one file has one copy, and
    records stay until the file is deleted. To look makes no file: one that is not there has no topics.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def __aenter__(self) -> SqliteAdmin:
        if self._session.is_there:
            await self._session.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def describe(self, names: Collection[str]) -> Mapping[str, TopicState]:
        return await self._session.run(_describe, frozenset(names)) if self._session.is_open else {}

    async def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    async def create(self, name: str, state: TopicState) -> None:
        if not self._session.is_open:
            await self._session.open()
        await self._session.run(_create, name, state)

    async def configure(self, name: str, config: Mapping[str, str]) -> None:
        if not self._session.is_open:
            raise records.unknown_topic(name)
        await self._session.run(_configure, name, config)


def _describe(connection: sqlite3.Connection, names: frozenset[str]) -> dict[str, TopicState]:
    rows = connection.execute("SELECT name, partitions, replication, config FROM topic")
    return {name: TopicState(p, r, _config(text)) for name, p, r, text in rows if name in names}


def _create(connection: sqlite3.Connection, name: str, state: TopicState) -> None:
    with transaction(connection):
        if connection.execute("SELECT 1 FROM topic WHERE name = ?", (name,)).fetchone():
            return
        row = (name, str(uuid.uuid4()), state.partitions, state.replication, _text(state.config))
        query = "INSERT INTO topic (name, created, partitions, replication, config) VALUES (?, ?, ?, ?, ?)"
        topic_id = connection.execute(query, row).lastrowid
        places = [(topic_id, partition, 0) for partition in range(state.partitions)]
        connection.executemany("INSERT INTO partition VALUES (?, ?, ?)", places)


def _configure(connection: sqlite3.Connection, name: str, config: Mapping[str, str]) -> None:
    with transaction(connection):
        topic = records.find_topic(connection, name)
        text = connection.execute("SELECT config FROM topic WHERE id = ?", (topic.id,)).fetchone()[0]
        merged = _text({**_config(text), **config})
        connection.execute("UPDATE topic SET config = ? WHERE id = ?", (merged, topic.id))


def _config(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])


def _text(config: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(config)).decode()
