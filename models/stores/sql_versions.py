"""Versions in SQL: the row in read_model, and what switching means for the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update
from sqlalchemy.schema import CreateTable, DropTable

from models.errors import Fenced
from models.stores import sql_upsert
from models.stores.port import Advance
from models.stores.sql_contents import clicks_of, reactions_of
from models.stores.sql_database import Database
from models.stores.versions import Lately, Row, Version, Versions, held, named
from models.tables import (
    consumer_offset,
    content_main,
    dead_letter,
    projection_log,
    reaction_tables,
    read_model,
    video_clicks,
)

VIEWS: Final = "views"
REACTIONS: Final = "reactions"

_c = read_model.c
_READ: Final = select(_c.active, _c.building, _c.kept, _c.switch_until, _c.changes).where(
    _c.projection == bindparam("of")
)
_READ_LOCKED: Final = _READ.with_for_update(read=True)
_CHANGE: Final = (
    update(read_model)
    .where(_c.projection == bindparam("of"), _c.changes == bindparam("seen"))
    .values({name: bindparam(name) for name in Version.__struct_fields__})
)
_KEEP: Final = sql_upsert.keep(read_model)
_VIDEOS: Final = 50_000
"""Videos whose clicks one statement exchanges, so that none takes longer than a driver waits."""


class SqlVersions(Versions):
    """Versions on read_model; a store made by ``at`` works on one version whatever is active."""

    _database: Database
    _pinned: Mapping[str, int] = MappingProxyType({})

    def __init__(self) -> None:
        self._lately: defaultdict[str, Lately] = defaultdict(Lately)

    def version(self, projection: str) -> Version:
        return self._database.read(lambda c: _version(c, projection))

    def change(self, projection: str, seen: Version, to: Version) -> None:
        def put(connection: Connection) -> None:
            connection.execute(_KEEP.on(self._database.is_sqlite), [_first(projection)])
            row = {"of": projection, "seen": seen.changes, **msgspec.structs.asdict(to)}
            if connection.execute(_CHANGE, row).rowcount != 1:
                raise Fenced(f"the versions of {projection} were changed by somebody else")
            if projection == VIEWS and to.active != seen.active:
                _exchange_clicks(connection, seen.active, to.active)

        self._database.write(put)
        self._lately[projection].fresh(lambda: to)

    def make(self, projection: str, version: int) -> None:
        if projection == REACTIONS:
            tables = [CreateTable(table, if_not_exists=True) for table in reaction_tables(version)]
            self._database.write(lambda c: [c.execute(table) for table in tables])

    def remove(self, projection: str, version: int) -> None:
        if version == 1:
            return

        def drop(connection: Connection) -> None:
            for table in reaction_tables(version) if projection == REACTIONS else ():
                connection.execute(DropTable(table, if_exists=True))
            if projection == VIEWS:
                connection.execute(delete(video_clicks).where(video_clicks.c.version == version))
            for table in (consumer_offset, projection_log, dead_letter):
                connection.execute(delete(table).where(table.c.projection == named(projection, version)))

        self._database.write(drop)

    def contents(self, projection: str) -> Iterator[Row]:
        if projection == VIEWS:
            return clicks_of(self._database, self._pinned.get(VIEWS))
        return reactions_of(self._database, reaction_tables(self._database.read(lambda c: self._reading(c, REACTIONS))))

    def _reading(self, connection: Connection, projection: str) -> int:
        """The version that this store reads."""
        return self._pinned.get(projection) or _version(connection, projection).active

    def _read_lately(self, connection: Connection, projection: str) -> int:
        """``_reading`` for what is asked for often."""
        lately = self._lately[projection]
        return self._pinned.get(projection) or lately.get(lambda: _version(connection, projection)).active

    def _step(self, connection: Connection, step: Advance) -> tuple[int, Advance]:
        """
        The version that a step moves on, and the step under its name; raises Unavailable during a switch.

        The row is locked until the transaction ends, so that a switch does not begin in the middle of it.
        """
        version = self._pinned.get(step.projection) or self._moving(connection, step.projection)
        return version, step._replace(projection=named(step.projection, version))

    def _moving(self, connection: Connection, projection: str) -> int:
        row = _version(connection, projection, locked=True)
        if not row.switch_until:
            return row.active
        if self._database.clock.now_ms() < row.switch_until:
            raise held("sql", projection)
        # Who was switching has died. The change makes sure of it: that one finds the row another, if it lives.
        over = {"of": projection, "seen": row.changes, **msgspec.structs.asdict(row.changed(switch_until=0))}
        connection.execute(_CHANGE, over)
        return row.active


def _version(connection: Connection, projection: str, *, locked: bool = False) -> Version:
    found = connection.execute(_READ_LOCKED if locked else _READ, {"of": projection}).first()
    return Version(**found._asdict()) if found else Version()


def first_versions(connection: Connection, is_sqlite: bool) -> None:
    """The rows of projections never built again: a lock needs a row."""
    connection.execute(_KEEP.on(is_sqlite), [_first(REACTIONS), _first(VIEWS)])


def _first(projection: str) -> dict[str, Any]:
    return {"projection": projection, **msgspec.structs.asdict(Version())}


def _exchange_clicks(connection: Connection, old: int, new: int) -> None:
    """content_main shows the clicks of ``new``; those of ``old`` are put aside."""
    main, aside = content_main.c, video_clicks.c
    connection.execute(delete(video_clicks).where(aside.version == old))
    last = connection.execute(select(func.max(main.id))).scalar() or 0
    theirs = select(aside.clicks).where(aside.version == new, aside.content_id == main.id).scalar_subquery()
    for start in range(0, last + 1, _VIDEOS):
        here = main.id.between(start, start + _VIDEOS - 1)
        clicked = select(text(str(old)), main.id, main.clicks).where(here, main.clicks > 0)
        connection.execute(insert(video_clicks).from_select(["version", "content_id", "clicks"], clicked))
        connection.execute(update(content_main).where(here).values(clicks=func.coalesce(theirs, 0)))
    connection.execute(delete(video_clicks).where(aside.version == new))
