"""What a SQL server says of itself, and which tables it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, inspect, text

from models.stores.port import About
from models.tables import metadata, reaction_tables

_NOW: Final = text("SELECT VERSION(), CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")


def about(connection: Connection) -> About:
    """The version, and the clock of a server; a file has that of this machine."""
    if connection.dialect.name == "sqlite":
        return About(f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}")
    version, now_ms = connection.execute(_NOW).one()
    return About(version if "MariaDB" in version else f"MySQL {version}", int(now_ms))


def missing(connection: Connection, reactions: int) -> Sequence[str]:
    """Names of tables that are not there; ``reactions`` is the active version of theirs."""
    there = set(inspect(connection).get_table_names())
    wanted = [table.name for table in (*metadata.sorted_tables, *reaction_tables(reactions))]
    return sorted(set(wanted) - there)
