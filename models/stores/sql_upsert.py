"""
Upserts that SQLite, MySQL and MariaDB understand; SQLAlchemy has no common construct.

Each function builds a statement once, to be executed with a list of rows: the driver then sends many rows at a time.
``many`` is for the rows of the fold: it writes their values into the statement's text.
Rows are sorted by primary key by the caller, so that two transactions meet in the same order and do not deadlock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Dialect, Insert, String, Table, func
from sqlalchemy.dialects import mysql, sqlite

from models.stores.chunks import chunks

Row: TypeAlias = dict[str, Any]
ROWS: Final = 5000
"""Rows of one text, some 100 bytes each: a server takes 16 MB and more."""

_PARAMETERS: Final = re.compile(r"(?<= VALUES )\(.*?\)(?= ON | AS )")
_plain = re.compile(r"[0-9A-Za-z_-]*").fullmatch


class Upsert:
    """One upsert in both dialects; ``for_sqlite`` and ``for_server`` are the statements."""

    def __init__(self, for_sqlite: Insert, for_server: Insert) -> None:
        self.for_sqlite, self.for_server = for_sqlite, for_server

    def on(self, is_sqlite: bool) -> Insert:
        """The statement for a database."""
        return self.for_sqlite if is_sqlite else self.for_server

    def many(self, connection: Connection, rows: Iterable[str]) -> None:
        """
        Execute with rows that are texts: ``(1,2,'three')``, values in the order of the table's columns.

        A row costs 0.7 µs so, and 8 µs with parameters, which SQLAlchemy and then PyMySQL handle one by one. Numbers
        are written with ``:d``, words by ``quoted``.
        """
        before, after = _around_rows(self.on(connection.dialect.name == "sqlite"), connection.dialect)
        for piece in chunks(rows, ROWS):
            connection.exec_driver_sql(f"{before}{','.join(piece)}{after}")


def quoted(dialect: Dialect, word: str) -> str:
    """A word as it stands in a statement's text."""
    if _plain(word):
        return f"'{word}'"
    return str(dialect.statement_compiler(dialect, None).render_literal_value(word, String()))


@lru_cache(maxsize=64)
def _around_rows(statement: Insert, dialect: Dialect) -> tuple[str, str]:
    """The text of an INSERT before its row and after it."""
    before, after = _PARAMETERS.split(str(statement.compile(dialect=dialect)), maxsplit=1)
    return before, after


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
