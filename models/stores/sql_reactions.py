"""Reactions in SQL: folding them exactly once, and reading what was folded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, bindparam, func, select, tuple_

from models.stores import sql_upsert
from models.stores.chunks import chunks
from models.stores.port import Advance, Counts, DeadLetter, Kind, Reaction, ReactionReader, ReactionSink
from models.stores.sql_database import Database
from models.stores.sql_deadletters import keep
from models.stores.sql_positions import SqlPositions, advance
from models.tables import content_collect, content_like, reaction_count, user_follow

_OLD_ROWS: Final = 1000
# SQLite takes 32,766 parameters a statement, two a pair.
_PAIRS: Final = 16_000
_IDS: Final = 10_000


class _KindTable:
    """The table of one kind and its statements, built once."""

    def __init__(self, table: Table, target: str) -> None:
        user, aim = table.c.user_id, table.c[target]
        of = tuple_(user, aim).in_(bindparam("pairs", expanding=True))
        self.target = target
        self.upsert = sql_upsert.newest(table, ["status", "updated_at"], guard="event_id")
        self.old: Select[*tuple[Any, ...]] = select(user, aim, table.c.status, table.c.event_id).where(of)
        self.statuses: Select[*tuple[Any, ...]] = select(user, aim, table.c.status).where(of)

    def row(self, reaction: Reaction) -> sql_upsert.Row:
        """A row for ``upsert``."""
        return {
            "user_id": reaction.user_id,
            self.target: reaction.target_id,
            "status": reaction.status,
            "event_id": reaction.event_id,
            "updated_at": reaction.at_ms,
        }


# In the order in which every transaction goes through them.
_TABLES: Final[Mapping[Kind, _KindTable]] = {
    "collect": _KindTable(content_collect, "content_id"),
    "follow": _KindTable(user_follow, "followee_id"),
    "like": _KindTable(content_like, "content_id"),
}
_ADD: Final = sql_upsert.add(reaction_count, "total")
_count = reaction_count.c
_COUNTS: Final = (
    select(_count.kind, _count.target_id, func.sum(_count.total))
    .where(_count.kind.in_(("like", "collect")), _count.target_id.in_(bindparam("ids", expanding=True)))
    .group_by(_count.kind, _count.target_id)
)


class SqlReactions(SqlPositions, ReactionSink, ReactionReader):
    """ReactionSink and ReactionReader on content_like, content_collect, user_follow and reaction_count."""

    _database: Database

    def apply_reactions(self, step: Advance, reactions: Sequence[Reaction], dead: Sequence[DeadLetter] = ()) -> None:
        by_kind: dict[Kind, list[Reaction]] = defaultdict(list)
        for reaction in sorted(reactions):
            by_kind[reaction.kind].append(reaction)

        def fold(connection: Connection) -> None:
            advance(connection, step, self._database.clock.now_ms())
            changed: Counter[tuple[str, int]] = Counter()
            for kind, table in _TABLES.items():
                for piece in chunks(by_kind.get(kind, ()), _OLD_ROWS):
                    self._newest(connection, table, piece, changed)
            self._count(connection, step.partition, changed)
            keep(connection, self._database.is_sqlite, dead)

        self._database.write(fold)

    def _newest(
        self, connection: Connection, table: _KindTable, reactions: list[Reaction], changed: Counter[tuple[str, int]]
    ) -> None:
        """Write those that are newer than the stored row, and add each change of a status to ``changed``."""
        pairs = [(r.user_id, r.target_id) for r in reactions]
        old = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(table.old, {"pairs": pairs})}
        rows: list[sql_upsert.Row] = []
        for reaction in reactions:
            was, was_by = old.get((reaction.user_id, reaction.target_id), (0, ""))
            if reaction.event_id > was_by:
                rows.append(table.row(reaction))
                changed[reaction.kind, reaction.target_id] += reaction.status - was
        if rows:
            connection.execute(table.upsert.on(self._database.is_sqlite), rows)

    def _count(self, connection: Connection, partition: int, changed: Counter[tuple[str, int]]) -> None:
        rows: list[sql_upsert.Row] = [
            {"kind": kind, "target_id": target, "partition_id": partition, "total": change}
            for (kind, target), change in sorted(changed.items())
            if change
        ]
        if rows:
            connection.execute(_ADD.on(self._database.is_sqlite), rows)

    def statuses(self, kind: Kind, pairs: Collection[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
        query = _TABLES[kind].statuses

        def look(connection: Connection) -> dict[tuple[int, int], int]:
            rows = (row for piece in chunks(pairs, _PAIRS) for row in connection.execute(query, {"pairs": piece}))
            return {(row[0], row[1]): row[2] for row in rows}

        return self._database.read(look) if pairs else {}

    def counts(self, ids: Collection[int]) -> Mapping[int, Counts]:
        def look(connection: Connection) -> dict[tuple[str, int], int]:
            rows = (row for piece in chunks(ids, _IDS) for row in connection.execute(_COUNTS, {"ids": piece}))
            return {(row[0], row[1]): int(row[2]) for row in rows}

        found = self._database.read(look) if ids else {}
        return {
            target: Counts(found.get(("like", target), 0), found.get(("collect", target), 0))
            for target in {target for (_, target), total in found.items() if total}
        }
