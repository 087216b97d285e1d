"""
Upserts that SQLite, MySQL and MariaDB understand; SQLAlchemy has no common construct.

Each function builds a statement once, to be executed with a list of rows: the driver then sends many rows at a time.
Rows are sorted by primary key by the caller, so that two transactions meet in the same order and do not deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from sqlalchemy import Executable, Table, func
from sqlalchemy.dialects import mysql, sqlite

Row: TypeAlias = dict[str, Any]


class Upsert:
    """One upsert in both dialects; ``for_sqlite`` and ``for_server`` are the statements."""

    def __init__(self, for_sqlite: Executable, for_server: Executable) -> None:
        self.for_sqlite, self.for_server = for_sqlite, for_server

    def on(self, is_sqlite: bool) -> Executable:
        """The statement for a database."""
        return self.for_sqlite if is_sqlite else self.for_server


def _keys(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def replace(table: Table, columns: Iterable[str]) -> Upsert:
    """Insert, or set ``columns`` of the row that is there."""
    names = list(columns)
    lite, server = sqlite.insert(table), mysql.insert(table)
    return Upsert(
        lite.on_conflict_do_update(index_elements=_keys(table), set_={n: lite.excluded[n] for n in names}),
        server.on_duplicate_key_update([(n, server.inserted[n]) for n in names]),
    )


def newest(table: Table, columns: Iterable[str], guard: str) -> Upsert:
    """
    Insert, or set ``columns`` and ``guard`` where the new ``guard`` is larger than the stored one.

    MySQL assigns from left to right and reads what it has just assigned, so the guard comes last.
    """
    names = list(columns)
    lite, server = sqlite.insert(table), mysql.insert(table)
    newer = server.inserted[guard] > table.c[guard]
    return Upsert(
        lite.on_conflict_do_update(
            index_elements=_keys(table),
            set_={n: lite.excluded[n] for n in [*names, guard]},
            where=lite.excluded[guard] > table.c[guard],
        ),
        server.on_duplicate_key_update(
            [(n, func.if_(newer, server.inserted[n], table.c[n])) for n in [*names, guard]],
        ),
    )


def add(table: Table, column: str) -> Upsert:
    """Insert, or add to ``column`` of the row that is there."""
    lite, server = sqlite.insert(table), mysql.insert(table)
    return Upsert(
        lite.on_conflict_do_update(index_elements=_keys(table), set_={column: table.c[column] + lite.excluded[column]}),
        server.on_duplicate_key_update([(column, table.c[column] + server.inserted[column])]),
    )


def keep(table: Table) -> Upsert:
    """
    Insert, or leave the row that is there.

    INSERT IGNORE would also swallow values that do not fit; this assigns a key column to itself.
    """
    lite, server, key = sqlite.insert(table), mysql.insert(table), _keys(table)[0]
    return Upsert(
        lite.on_conflict_do_nothing(index_elements=_keys(table)),
        server.on_duplicate_key_update([(key, table.c[key])]),
    )
