"""Dead letters in SQL: kept in the transaction that passes the record, so that none is lost and none is kept twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, func, select, tuple_

from models.eventlog.port import Position
from models.stores import sql_upsert
from models.stores.port import Advance, DeadLetter, DeadLetters, Place
from models.stores.sql_database import Database
from models.stores.sql_versions import SqlVersions
from models.stores.versions import named
from models.tables import dead_letter
from models.topics import PROJECTIONS

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

_PLACE: Final = ("of_projection", "of_topic", "of_partition", "of_offset")
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


def belonging(letters: Iterable[DeadLetter], step: Advance) -> Sequence[DeadLetter]:
    """Letters as those of the version that a step moves on; see ``SqlVersions._step``."""
    return [letter._replace(projection=step.projection) for letter in letters]


def forget(connection: Connection, place: Place) -> bool:
    """Delete a letter within a transaction; whether it was there."""
    return connection.execute(_DROP, dict(zip(_PLACE, place, strict=True))).rowcount == 1


def _key(letter: DeadLetter) -> tuple[str, str, int, int]:
    return letter.projection, letter.topic, letter.partition, letter.offset


class SqlDeadLetters(SqlVersions, DeadLetters):
    """DeadLetters on dead_letter, where a letter has the name of the version that it belongs to."""

    _database: Database

    def put_dead(self, letters: Sequence[DeadLetter]) -> None:
        def put(connection: Connection) -> None:
            names = self._names(connection)
            stored = [letter._replace(projection=names[letter.projection]) for letter in letters]
            keep(connection, self._database.is_sqlite, stored)

        self._database.write(put)

    def dead(self, projection: str | None = None, limit: int = 100, after: Place | None = None) -> Sequence[DeadLetter]:
        def look(connection: Connection) -> Sequence[DeadLetter]:
            names = self._names(connection)
            query = _DEAD.limit(limit)
            if projection is not None:
                query = query.where(_c.projection == names[projection])
            if after is not None:
                behind = after.topic, after.partition, after.offset, names[after.projection]
                query = query.where(tuple_(*_ORDER) > behind)
            return _letters(connection, query, names)

        return self._database.read(look)

    def dead_at(self, position: Position) -> Sequence[DeadLetter]:
        query = _DEAD.where(tuple_(*_ORDER[:3]) == tuple(position))
        return self._database.read(lambda c: _letters(c, query, self._names(c)))

    def drop_dead(self, places: Collection[Place]) -> int:
        def drop(connection: Connection) -> int:
            names = self._names(connection)
            stored = sorted(place._replace(projection=names[place.projection]) for place in places)
            # One by one: not every driver tells how many rows a list of parameters has changed.
            return sum(forget(connection, place) for place in stored)

        return self._database.write(drop)

    def dead_counts(self) -> Mapping[str, int]:
        def count(connection: Connection) -> Mapping[str, int]:
            found = {name: total for name, total in connection.execute(_COUNTS)}
            return {name: found[kept] for name, kept in self._names(connection).items() if kept in found}

        return self._database.read(count)

    def _names(self, connection: Connection) -> Mapping[str, str]:
        """By projection, the name that the letters of its active version are kept under."""
        return {name: named(name, self._reading(connection, name)) for name in PROJECTIONS}


def _letters(connection: Connection, query: Select[Any], names: Mapping[str, str]) -> Sequence[DeadLetter]:
    """The letters of a query that belong to active versions."""
    projections = {kept: name for name, kept in names.items()}
    rows = connection.execute(query.where(_c.projection.in_(projections)))
    return [DeadLetter(projections[kept], *rest) for kept, *rest in rows]
