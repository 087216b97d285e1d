"""Reactions in SQL: folding them exactly once, and reading what was folded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, Dialect, Table

from models.stores import sql_upsert
from models.stores.chunks import chunks
from models.stores.port import (
    Advance,
    Counts,
    DeadLetter,
    Kind,
    Pair,
    Reaction,
    ReactionReader,
    ReactionSink,
    States,
)
from models.stores.sql_database import Database
from models.stores.sql_deadletters import belonging, keep
from models.stores.sql_positions import SqlPositions, advance
from models.tables import reaction_tables

_OLD_ROWS: Final = 1000
_COUNTED: Final = ("like", "collect")
# SQLite unites 500 queries at most.
_UNITED: Final = 16


class _KindTable:
    """
    The table of one kind and its statements, built once.

    Pairs are text for the reason that sql_upsert.many has: the numbers of one cost 0.4 µs, as parameters 5.
    """

    def __init__(self, kind: Kind, table: Table, target: str) -> None:
        self.upsert = sql_upsert.newest(table, ["status", "updated_at"], guard="event_id")
        these = f"FROM {table.name} WHERE (user_id, {target}) IN ("
        self._old = f"SELECT user_id, {target}, status, event_id {these}"
        self._status = f"SELECT '{kind}', user_id, {target}, status {these}"

    def old(self, connection: Connection, reactions: list[Reaction]) -> dict[Pair, tuple[int, str]]:
        """(status, event_id) of the rows that are there, by (user, target)."""
        pairs = _pairs(connection.dialect, ((r.user_id, r.target_id) for r in reactions))
        rows = connection.exec_driver_sql(f"{self._old}{pairs})")
        return {(user, target): (status, event_id) for user, target, status, event_id in rows}

    def status(self, dialect: Dialect, pairs: Iterable[Pair]) -> str:
        """A query of rows (kind, user, target, status)."""
        return f"{self._status}{_pairs(dialect, pairs)})"


def _pairs(dialect: Dialect, pairs: Iterable[Pair]) -> str:
    values = "VALUES " if dialect.tuple_in_values else ""
    return values + ",".join(f"({user:d},{target:d})" for user, target in pairs)


def _row(dialect: Dialect, of: Reaction) -> str:
    """A row for ``upsert``."""
    event_id = sql_upsert.quoted(dialect, of.event_id)
    return f"({of.user_id:d},{of.target_id:d},{of.status:d},{event_id},{of.at_ms:d})"


class _Statements:
    """The statements of one version."""

    def __init__(self, version: int) -> None:
        tables = reaction_tables(version)
        # In the order in which every transaction goes through them.
        self.kinds: Mapping[Kind, _KindTable] = {
            "collect": _KindTable("collect", tables.collect, "content_id"),
            "follow": _KindTable("follow", tables.follow, "followee_id"),
            "like": _KindTable("like", tables.like, "content_id"),
        }
        self.add = sql_upsert.add(tables.total, "total")
        self._totals = tables.total.name

    def states(self, dialect: Dialect, pairs: Mapping[Kind, Collection[Pair]], ids: Collection[int]) -> Iterator[str]:
        """
        Queries of rows (kind, user, target, status) and (``likes`` or ``collects``, 0, target, count).

        One, unless there are thousands of pairs or ids.
        """
        asked = [
            self.kinds[kind].status(dialect, piece) for kind, of in pairs.items() for piece in chunks(of, _OLD_ROWS)
        ]
        for piece in chunks(ids, _OLD_ROWS):
            here = ",".join(f"{target:d}" for target in piece)
            asked += [
                f"SELECT '{kind}s', 0, target_id, SUM(total) FROM {self._totals} "  # noqa: S608 -- our names and numbers
                f"WHERE kind = '{kind}' AND target_id IN ({here}) GROUP BY target_id"
                for kind in _COUNTED
            ]
        return (" UNION ALL ".join(some) for some in chunks(asked, _UNITED))


_statements = lru_cache(maxsize=8)(_Statements)
_PROJECTION: Final = "reactions"


class SqlReactions(SqlPositions, ReactionSink, ReactionReader):
    """ReactionSink and ReactionReader on content_like, content_collect, user_follow and reaction_count."""

    _database: Database

    def apply_reactions(self, step: Advance, reactions: Sequence[Reaction], dead: Sequence[DeadLetter] = ()) -> None:
        by_kind: dict[Kind, list[Reaction]] = defaultdict(list)
        for reaction in sorted(reactions):
            by_kind[reaction.kind].append(reaction)

        def fold(connection: Connection) -> None:
            version, named_step = self._step(connection, step)
            advance(connection, named_step, self._database.clock.now_ms())
            statements = _statements(version)
            changed: Counter[tuple[str, int]] = Counter()
            for kind, table in statements.kinds.items():
                for piece in chunks(by_kind.get(kind, ()), _OLD_ROWS):
                    self._newest(connection, table, piece, changed)
            self._count(connection, statements, step.partition, changed)
            keep(connection, self._database.is_sqlite, belonging(dead, named_step))

        self._database.write(fold)

    def _newest(
        self, connection: Connection, table: _KindTable, reactions: list[Reaction], changed: Counter[tuple[str, int]]
    ) -> None:
        """Write those that are newer than the stored row, and add each change of a status to ``changed``."""
        old, dialect = table.old(connection, reactions), connection.dialect
        rows: list[str] = []
        for reaction in reactions:
            was, was_by = old.get((reaction.user_id, reaction.target_id), (0, ""))
            if reaction.event_id > was_by:
                rows.append(_row(dialect, reaction))
                changed[reaction.kind, reaction.target_id] += reaction.status - was
        table.upsert.many(connection, rows)

    def _count(
        self, connection: Connection, statements: _Statements, partition: int, changed: Counter[tuple[str, int]]
    ) -> None:
        totals = ((kind, target, change) for (kind, target), change in sorted(changed.items()) if change)
        rows = (f"('{kind}',{target:d},{partition:d},{change:d})" for kind, target, change in totals)
        statements.add.many(connection, rows)

    def states(self, pairs: Mapping[Kind, Collection[Pair]], ids: Collection[int]) -> States:
        def look(connection: Connection) -> dict[str, dict[Pair, int]]:
            statements = _statements(self._read_lately(connection, _PROJECTION))
            found: dict[str, dict[Pair, int]] = defaultdict(dict)
            for query in statements.states(connection.dialect, pairs, ids):
                for kind, user, target, value in connection.exec_driver_sql(query):
                    found[kind][user, target] = int(value)
            return found

        found = self._database.read(look) if ids or any(pairs.values()) else {}
        likes, collects = found.get("likes", {}), found.get("collects", {})
        counted = {place for of in (likes, collects) for place, total in of.items() if total}
        counts = {place[1]: Counts(likes.get(place, 0), collects.get(place, 0)) for place in counted}
        return States({kind: found.get(kind, {}) for kind in pairs}, counts)
