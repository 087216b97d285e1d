"""Dead letters in SQL: kept in the transaction that passes the record, so that none is lost and none is kept twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from models.stores import sql_upsert
from models.stores.port import DeadLetter, DeadLetters
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
_DEAD: Final = select(*_COLUMNS).order_by(_c.topic, _c.partition_id, _c.record_offset, _c.projection)


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

    def dead(self, projection: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        query = _DEAD.limit(limit) if projection is None else _DEAD.where(_c.projection == projection).limit(limit)
        return [DeadLetter(*row) for row in self._database.read(lambda c: c.execute(query).all())]
