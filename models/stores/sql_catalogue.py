"""The videos in SQL: content_main and video_data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, func, insert, select

from models.events import rfc3339
from models.stores import sql_upsert
from models.stores.chunks import chunks
from models.stores.port import Catalogue, Entry, Film, Video
from models.stores.sql_database import Database
from models.tables import FACTS, content_main, video_data

_FILMS: Final = 500
_IDS: Final = 10_000

_c = content_main.c
_SHOWN: Final = ("title", "category", "cover_url", "video_url", "duration", "owner_id", "status", "audit_status")
"""What a film brings; ``clicks`` and ``created_at`` belong to the row."""

_Key: TypeAlias = tuple[str, int, int]
"""Title, category, and which of several films with both: remakes share a title."""

_ENTRIES: Final = (
    select(_c.id, _c.category, _c.owner_id, _c.status, _c.audit_status)
    .where(_c.id > bindparam("after_id"))
    .order_by(_c.id)
    .limit(bindparam("at_most"))
)
_VIDEOS: Final = select(*(_c[name] for name in Video._fields)).where(_c.id.in_(bindparam("ids", expanding=True)))
# In the order of the index content_main_rank, so that it reads ``at_most`` rows however many there are.
_RANK: Final = (
    select(_c.id, _c.title).where(_c.status == 0).order_by(_c.clicks.desc(), _c.id).limit(bindparam("at_most"))
)
_BY_TITLE: Final = (
    select(_c.id, _c.title, _c.category).where(_c.title.in_(bindparam("titles", expanding=True))).order_by(_c.id)
)
_LAST_ID: Final = select(func.max(_c.id))
_UPSERT: Final = sql_upsert.replace(content_main, _SHOWN)
_INSERT: Final = insert(content_main)
_FACTS: Final = sql_upsert.replace(video_data, FACTS)


class SqlCatalogue(Catalogue):
    """Catalogue on content_main and video_data."""

    _database: Database

    def entries(self, after_id: int, limit: int) -> Sequence[Entry]:
        at = {"after_id": after_id, "at_most": limit}
        return [Entry(*row) for row in self._database.read(lambda c: c.execute(_ENTRIES, at).all())]

    def videos(self, ids: Collection[int]) -> Mapping[int, Video]:
        def look(connection: Connection) -> dict[int, Video]:
            rows = (row for piece in chunks(ids, _IDS) for row in connection.execute(_VIDEOS, {"ids": piece}))
            return {row.id: Video(*row)._replace(created_at=rfc3339(row.created_at)) for row in rows}

        return self._database.read(look) if ids else {}

    def rank(self, limit: int) -> Sequence[tuple[int, str]]:
        rows = self._database.read(lambda c: c.execute(_RANK, {"at_most": limit}).all())
        return [(row.id, row.title) for row in rows]

    def load(self, films: Iterable[Film]) -> int:
        count, seen = 0, Counter[tuple[str, int]]()
        for piece in chunks(films, _FILMS):
            self._load(piece, seen)
            count += len(piece)
        return count

    def _load(self, films: list[Film], seen: Counter[tuple[str, int]]) -> None:
        named = {film.id: film for film in films if film.id is not None}
        titled = {}
        for film in films:
            if film.id is None:
                seen[film.title, film.category] += 1
                titled[film.title, film.category, seen[film.title, film.category]] = film

        def write(connection: Connection) -> None:
            # Before anything else is read: whoever adds films from here on takes the ids that this transaction will
            # take, one of the two inserts fails as a duplicate, and that transaction is run again and sees the other's.
            last = max(connection.execute(_LAST_ID).scalar() or 0, *named, 0)
            self._put(connection, named)
            there = _ids_by_title(connection, titled)
            self._put(connection, {there[key]: titled[key] for key in there})
            new = dict(enumerate((film for key, film in titled.items() if key not in there), start=last + 1))
            if new:
                connection.execute(_INSERT, self._rows(new))
            self._put_facts(connection, named | {there[key]: titled[key] for key in there} | new)

        self._database.write(write)

    def _rows(self, films: Mapping[int, Film]) -> list[sql_upsert.Row]:
        now_ms = self._database.clock.now_ms()
        return [_row(video, films[video], now_ms) for video in sorted(films)]

    def _put_facts(self, connection: Connection, films: Mapping[int, Film]) -> None:
        """Write video_data of films that bring facts; the others' stay as they are."""
        rows = [_facts(video, films[video]) for video in sorted(films) if films[video].facts]
        if rows:
            connection.execute(_FACTS.on(self._database.is_sqlite), rows)

    def _put(self, connection: Connection, films: Mapping[int, Film]) -> None:
        if films:
            connection.execute(_UPSERT.on(self._database.is_sqlite), self._rows(films))


def _ids_by_title(connection: Connection, titled: Collection[_Key]) -> dict[_Key, int]:
    """The ids of films that are there already: of several with one title and category, the n-th by id is the n-th."""
    if not titled:
        return {}
    titles = sorted({title for title, _, _ in titled})
    there, count = dict[_Key, int](), Counter[tuple[str, int]]()
    for row in connection.execute(_BY_TITLE, {"titles": titles}):
        count[row.title, row.category] += 1
        there[row.title, row.category, count[row.title, row.category]] = row.id
    return {key: there[key] for key in titled if key in there}


def _row(video: int, film: Film, now_ms: int) -> dict[str, Any]:
    row = {name: getattr(film, name) for name in _SHOWN}
    return {"id": video, **row, "clicks": 0, "created_at": now_ms}


def _facts(video: int, film: Film) -> dict[str, Any]:
    return {"content_id": video, **{name: film.facts.get(name, "") for name in FACTS}}
