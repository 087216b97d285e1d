"""Where a projection stands, in SQL: consumer_offset is the position, projection_log the log that it counts in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from models.errors import Fenced, LogMismatch
from models.eventlog.port import Identity
from models.stores import sql_upsert
from models.stores.port import Advance, Checkpoint, PositionStore
from models.stores.sql_database import Database
from models.stores.sql_versions import SqlVersions
from models.stores.versions import named
from models.tables import consumer_offset, projection_log

_offset, _log = consumer_offset.c, projection_log.c

# The compare-and-swap: no row matches when another owner has moved the position, or an operator the epoch.
_ADVANCE: Final = (
    update(consumer_offset)
    .where(
        _offset.projection == bindparam("of_projection"),
        _offset.topic == bindparam("of_topic"),
        _offset.partition_id == bindparam("of_partition"),
        _offset.epoch == bindparam("of_epoch"),
        _offset.next_offset == bindparam("expected"),
    )
    .values(
        next_offset=bindparam("next_offset"),
        last_event_id=bindparam("last_event_id"),
        updated_at=bindparam("updated_at"),
    )
)
_POSITIONS: Final = (
    select(_offset.partition_id, _offset.epoch, _offset.next_offset, _offset.last_event_id)
    .where(_offset.projection == bindparam("of_projection"), _offset.topic == bindparam("of_topic"))
    .order_by(_offset.partition_id)
)
_POSITION: Final = _POSITIONS.where(_offset.partition_id == bindparam("of_partition"))
_EPOCH: Final = (
    select(_log.epoch, _log.cluster, _log.topic_id, _log.partitions)
    .where(_log.projection == bindparam("of_projection"), _log.topic == bindparam("of_topic"))
    .order_by(_log.epoch.desc())
    .limit(1)
)
_FORGET: Final = delete(consumer_offset).where(
    _offset.projection == bindparam("of_projection"), _offset.topic == bindparam("of_topic")
)
_KEEP_LOG: Final = sql_upsert.keep(projection_log)
_KEEP_POSITION: Final = sql_upsert.keep(consumer_offset)


def advance(connection: Connection, step: Advance, now_ms: int) -> None:
    """
    Move the position; the first statement of every transaction that folds, since it also locks out other owners.

    Raises Fenced when the position is elsewhere. A step to where it is already matches its row, and is no fence.
    """
    found = connection.execute(
        _ADVANCE,
        {
            "of_projection": step.projection,
            "of_topic": step.topic,
            "of_partition": step.partition,
            "of_epoch": step.epoch,
            "expected": step.expected,
            "next_offset": step.next_offset,
            "last_event_id": step.last_event_id,
            "updated_at": now_ms,
        },
    )
    if found.rowcount != 1:
        raise Fenced(
            f"{step.projection} is no longer at {step.topic}/{step.partition}@{step.expected} in epoch {step.epoch}"
        )


class SqlPositions(SqlVersions, PositionStore):
    """PositionStore on consumer_offset and projection_log, of the version that is active."""

    _database: Database

    def open(self, projection: str, topic: str, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        projection = self._named(projection)
        of = {"of_projection": projection, "of_topic": topic, "of_partition": partition}

        def stored(connection: Connection) -> Checkpoint | None:
            log = connection.execute(_EPOCH, of).first()
            if log is not None:
                _compare(projection, topic, log, identity)
            row = connection.execute(_POSITION, of).first()
            return None if log is None or row is None else _checkpoint(row)

        found = self._database.read(stored)
        if found is None:
            self._database.write(lambda c: self._first(c, of, identity, earliest))
            # Read again and not returned from the insert: another process may have been first.
            found = self._database.read(stored)
        if found is None:
            raise Fenced(f"{projection} lost {topic}/{partition} to a new epoch while it was opened")
        return found

    def _first(self, connection: Connection, of: Mapping[str, Any], identity: Identity, earliest: int) -> None:
        key = {"projection": of["of_projection"], "topic": of["of_topic"]}
        lite = self._database.is_sqlite
        connection.execute(_KEEP_LOG.on(lite), [{**key, "epoch": 1, **_columns(identity)}])
        # Locked: a new epoch that begins now waits, so that no position of the old one is left behind.
        epoch = connection.execute(_EPOCH.with_for_update(), of).one().epoch
        row = {**key, "partition_id": of["of_partition"], **self._at(epoch, earliest)}
        connection.execute(_KEEP_POSITION.on(lite), [row])

    def _at(self, epoch: int, next_offset: int) -> dict[str, Any]:
        now_ms = self._database.clock.now_ms()
        return {"epoch": epoch, "next_offset": next_offset, "last_event_id": "", "updated_at": now_ms}

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        def look(connection: Connection) -> Mapping[int, Checkpoint]:
            name = named(projection, self._read_lately(connection, projection))
            rows = connection.execute(_POSITIONS, {"of_projection": name, "of_topic": topic})
            return {row.partition_id: _checkpoint(row) for row in rows}

        return self._database.read(look)

    def _named(self, projection: str) -> str:
        return named(projection, self._database.read(lambda c: self._reading(c, projection)))

    def new_epoch(self, projection: str, topic: str, identity: Identity, starts: Mapping[int, int]) -> int:
        projection = self._named(projection)
        of = {"of_projection": projection, "of_topic": topic}
        key = {"projection": projection, "topic": topic}

        def begin(connection: Connection) -> int:
            last = connection.execute(_EPOCH.with_for_update(), of).first()
            epoch = last.epoch + 1 if last else 1
            connection.execute(insert(projection_log), [{**key, "epoch": epoch, **_columns(identity)}])
            # Partitions of the old log that have no start go too: they may not exist any more.
            connection.execute(_FORGET, of)
            rows = [{**key, "partition_id": p, **self._at(epoch, starts[p])} for p in sorted(starts)]
            if rows:
                connection.execute(insert(consumer_offset), rows)
            return epoch

        return self._database.write(begin)


def _columns(identity: Identity) -> dict[str, Any]:
    return {"cluster": identity.cluster, "topic_id": identity.topic, "partitions": identity.partitions}


def _checkpoint(row: Row[*tuple[Any, ...]]) -> Checkpoint:
    return Checkpoint(epoch=row.epoch, next_offset=row.next_offset, last_event_id=row.last_event_id)


def _compare(projection: str, topic: str, log: Row[*tuple[Any, ...]], found: Identity) -> None:
    pairs = [
        ("cluster", log.cluster, found.cluster),
        ("topic id", log.topic_id, found.topic),
        ("partitions", log.partitions, found.partitions),
    ]
    differing = [f"{name} stored {stored}, found {here}" for name, stored, here in pairs if stored != here]
    if differing:
        raise LogMismatch(
            f"{projection} was folded from another log of {topic}: {'; '.join(differing)}; "
            f"to begin with this one: playtrail consume {projection} --new-epoch"
        )
