"""The rows of the read models in SQL, page by page, for comparing one version with what the log says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Select, Table, and_, func, or_, select

from models.stores.sql_database import Database
from models.stores.versions import Row
from models.tables import ReactionTables, content_main, video_clicks

PAGE: Final = 20_000


def reactions_of(database: Database, tables: ReactionTables) -> Iterator[Row]:
    """``like/USER/VIDEO`` with the status and its event_id, and ``likes/VIDEO`` with the count that is not zero."""
    for kind, table, target in (
        ("like", tables.like, "content_id"),
        ("collect", tables.collect, "content_id"),
        ("follow", tables.follow, "followee_id"),
    ):
        for user, aim, status, event_id in _pages(database, table, "user_id", target, "status", "event_id"):
            yield Row(f"{kind}/{user}/{aim}", status, event_id)
    count = tables.total.c
    total = func.sum(count.total)
    query = select(count.kind, count.target_id, total).group_by(count.kind, count.target_id).having(total != 0)
    for kind, aim, number in database.read(lambda c: c.execute(query).all()):
        yield Row(f"{kind}s/{aim}", int(number))


def clicks_of(database: Database, version: int | None) -> Iterator[Row]:
    """``VIDEO`` with its clicks: of a version put aside, or without one those that are shown."""
    if version is None:
        main = content_main.c
        query = select(main.id, main.clicks).where(main.clicks != 0)
    else:
        aside = video_clicks.c
        query = select(aside.content_id, aside.clicks).where(aside.version == version, aside.clicks != 0)
    for video, clicks in database.read(lambda c: c.execute(query).all()):
        yield Row(str(video), clicks)


def _pages(database: Database, table: Table, first: str, second: str, *others: str) -> Iterator[Any]:
    """All rows by primary key, a page at a time: no transaction is held while they are looked at."""
    one, two = table.c[first], table.c[second]
    query: Select[*tuple[Any, ...]] = select(*(table.c[name] for name in (first, second, *others)))
    query = query.order_by(one, two).limit(PAGE)
    page = query
    while True:
        wanted = page
        rows = database.read(lambda c, wanted=wanted: c.execute(wanted).all())  # type: ignore[misc]
        yield from rows
        if len(rows) < PAGE:
            return
        last = rows[-1]
        page = query.where(or_(one > last[0], and_(one == last[0], two > last[1])))
