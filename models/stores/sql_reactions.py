"""Reactions in SQL: folding them exactly once, and reading what was folded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Select, Table, bindparam, func, select, tuple_

from models.stores import sql_upsert
from models.stores.chunks import chunks
from models.stores.port import Advance, Counts, DeadLetter, Kind, Reaction, ReactionReader, ReactionSink
from models.stores.sql_database import Database
from models.stores.sql_deadletters import belonging, keep
from models.stores.sql_positions import SqlPositions, advance
from models.tables import reaction_tables

_OLD_ROWS: Final = 1000
# SQLite takes 32,766 parameters a statement, two a pair.
_PAIRS: Final = 16_000
_IDS: Final = 10_000


class _KindTable:
    """The table of one kind and its statements, built once."""

    def __init__(self, table: Table, target: str) -> None:
        user, aim = table.c.user_id, table.c[target]
        of = tuple_(user, aim).in_(bindparam("pairs", expanding=True))
        self.upsert = sql_upsert.newest(table, ["status", "updated_at"], guard="event_id")
        self._old = f"SELECT user_id, {target}, status, event_id FROM {table.name} WHERE (user_id, {target}) IN ("  # noqa: S608
        self.statuses: Select[*tuple[Any, ...]] = select(user, aim, table.c.status).where(of)

    def old(self, connection: Connection, reactions: list[Reaction]) -> dict[tuple[int, int], tuple[int, str]]:
        """(status, event_id) of the rows that are there, by (user, target)."""
        values = "VALUES " if connection.dialect.tuple_in_values else ""
        pairs = ",".join(f"({r.user_id:d},{r.target_id:d})" for r in reactions)
        # As text for the reason that sql_upsert.many has: the numbers of a pair cost 0.4 µs, as parameters 5.
        rows = connection.exec_driver_sql(f"{self._old}{values}{pairs})")
        return {(user, target): (status, event_id) for user, target, status, event_id in rows}


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
            "collect": _KindTable(tables.collect, "content_id"),
            "follow": _KindTable(tables.follow, "followee_id"),
            "like": _KindTable(tables.like, "content_id"),
        }
        self.add = sql_upsert.add(tables.total, "total")
        count = tables.total.c
        self.counts: Select[*tuple[Any, ...]] = (
            select(count.kind, count.target_id, func.sum(count.total))
            .where(count.kind.in_(("like", "collect")), count.target_id.in_(bindparam("ids", expanding=True)))
            .group_by(count.kind, count.target_id)
        )


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

    def statuses(self, kind: Kind, pairs: Collection[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
        def look(connection: Connection) -> dict[tuple[int, int], int]:
            query = _statements(self._read_lately(connection, _PROJECTION)).kinds[kind].statuses
            rows = (row for piece in chunks(pairs, _PAIRS) for row in connection.execute(query, {"pairs": piece}))
            return {(row[0], row[1]): row[2] for row in rows}

        return self._database.read(look) if pairs else {}

    def counts(self, ids: Collection[int]) -> Mapping[int, Counts]:
        def look(connection: Connection) -> dict[tuple[str, int], int]:
            query = _statements(self._read_lately(connection, _PROJECTION)).counts
            rows = (row for piece in chunks(ids, _IDS) for row in connection.execute(query, {"ids": piece}))
            return {(row[0], row[1]): int(row[2]) for row in rows}

        found = self._database.read(look) if ids else {}
        return {
            target: Counts(found.get(("like", target), 0), found.get(("collect", target), 0))
            for target in {target for (_, target), total in found.items() if total}
        }
