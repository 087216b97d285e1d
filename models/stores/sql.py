"""The SQL store: SQLite, MySQL and MariaDB, one adapter by URL, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from sqlalchemy import Connection

from models.clock import Clock
from models.stores.port import About, SqlStores
from models.stores.sql_about import about, missing
from models.stores.sql_catalogue import SqlCatalogue
from models.stores.sql_clicks import SqlClicks
from models.stores.sql_database import Database, answers
from models.stores.sql_deadletters import SqlDeadLetters
from models.stores.sql_reactions import SqlReactions
from models.stores.sql_versions import REACTIONS, first_versions


class SqlStore(SqlReactions, SqlClicks, SqlDeadLetters, SqlCatalogue, SqlStores):
    """
    Everything that lives in SQL, by URL.

    Args:
        url: ``sqlite:///FILE`` (``?timeout=SECONDS`` to wait for another process's lock, 5 by default),
            ``mysql+pymysql://…`` or ``mariadb+pymysql://…``. Nothing is connected to until a method is called.
        clock: Stamps ``updated_at`` of positions and ``created_at`` of videos; nothing that is folded uses it.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        super().__init__()
        self._database = Database(url, clock)

    def create(self) -> None:
        self._database.create()
        self._database.write(lambda c: first_versions(c, self._database.is_sqlite))

    def at(self, projection: str, version: int) -> SqlStore:
        pinned = copy(self)
        pinned._pinned = {projection: version}
        return pinned

    def missing(self) -> Sequence[str]:
        def look(connection: Connection) -> Sequence[str]:
            first = missing(connection, 1)
            # Without the table that names it there is no other version than the first.
            return first or missing(connection, self._reading(connection, REACTIONS))

        return self._database.read(look)

    def ping(self) -> None:
        self._database.read(answers)

    def about(self) -> About:
        return self._database.read(about)

    def close(self) -> None:
        self._database.close()
