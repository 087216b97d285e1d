"""Dead letters in SQL: kept in the transaction that passes the record, so that none is lost and none is kept twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, func, select, tuple_

from models.eventlog.port import Position
from models.stores import sql_upsert
from models.stores.port import DeadLetter, DeadLetters, Place
from models.stores.sql_database import Database
from models.tables import dead_letter

_c = dead_letter.c
_COLUMNS: Final = (
    _c.projection,
    _c.topic,
    _c.partition_id,
    _c.record_offset,
    _c.error,
    _c.record_key,
    _c.record_value,
    _c.record_headers,
    _c.record_at,
)
"""The table's columns in the order of DeadLetter's fields."""

_KEEP: Final = sql_upsert.keep(dead_letter)
_ORDER: Final = (_c.topic, _c.partition_id, _c.record_offset, _c.projection)
_DEAD: Final = select(*_COLUMNS).order_by(*_ORDER)
_COUNTS: Final = select(_c.projection, func.count()).group_by(_c.projection)
_DROP: Final = delete(dead_letter).where(
    _c.projection == bindparam("of_projection"),
    _c.topic == bindparam("of_topic"),
    _c.partition_id == bindparam("of_partition"),
    _c.record_offset == bindparam("of_offset"),
)


def keep(connection: Connection, is_sqlite: bool, letters: Sequence[DeadLetter]) -> None:
    """Insert letters within a transaction; one that is there stays as it is."""
    names = [column.name for column in _COLUMNS]
    rows: list[dict[str, Any]] = [dict(zip(names, letter, strict=True)) for letter in sorted(letters, key=_key)]
    if rows:
        connection.execute(_KEEP.on(is_sqlite), rows)


def _key(letter: DeadLetter) -> tuple[str, str, int, int]:
    return letter.projection, letter.topic, letter.partition, letter.offset


class SqlDeadLetters(DeadLetters):
    """DeadLetters on dead_letter."""

    _database: Database

    def put_dead(self, letters: Sequence[DeadLetter]) -> None:
        self._database.write(lambda c: keep(c, self._database.is_sqlite, letters))

    def dead(self, projection: str | None = None, limit: int = 100, after: Place | None = None) -> Sequence[DeadLetter]:
        query = _DEAD.limit(limit)
        if projection is not None:
            query = query.where(_c.projection == projection)
        if after is not None:
            query = query.where(tuple_(*_ORDER) > (after.topic, after.partition, after.offset, after.projection))
        return self._letters(query)

    def dead_at(self, position: Position) -> Sequence[DeadLetter]:
        return self._letters(_DEAD.where(tuple_(*_ORDER[:3]) == tuple(position)))

    def drop_dead(self, places: Collection[Place]) -> int:
        names = ("of_projection", "of_topic", "of_partition", "of_offset")
        rows = [dict(zip(names, place, strict=True)) for place in sorted(places)]
        # One by one: not every driver tells how many rows a list of parameters has changed.
        return self._database.write(lambda c: sum(c.execute(_DROP, row).rowcount for row in rows))

    def dead_counts(self) -> Mapping[str, int]:
        return {name: count for name, count in self._database.read(lambda c: c.execute(_COUNTS).all())}

    def _letters(self, query: Select[Any]) -> Sequence[DeadLetter]:
        return [DeadLetter(*row) for row in self._database.read(lambda c: c.execute(query).all())]
