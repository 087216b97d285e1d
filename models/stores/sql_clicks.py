"""Clicks in SQL: added to content_main in the transaction that moves the position, so that none counts twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, TextClause, text

from models.stores import sql_upsert
from models.stores.chunks import chunks
from models.stores.port import Advance, DeadLetter, Place, ViewLetters, ViewSink
from models.stores.sql_database import Database
from models.stores.sql_deadletters import belonging, forget, keep
from models.stores.sql_positions import SqlPositions, advance
from models.stores.versions import named
from models.tables import video_clicks

_VIDEOS: Final = 200
_ADD_ASIDE: Final = sql_upsert.add(video_clicks, "clicks")


class SqlClicks(SqlPositions, ViewSink, ViewLetters):
    """
    ViewSink and ViewLetters on content_main; clicks on a video that is not there are dropped: nothing would show them.

    A version that is built beside the active one counts in video_clicks.
    """

    _database: Database

    def apply_clicks(self, step: Advance, clicks: Mapping[int, int], dead: Sequence[DeadLetter] = ()) -> None:
        # Sorted, so that two partitions lock the same videos in the same order.
        counted = sorted((video, count) for video, count in clicks.items() if count)

        def fold(connection: Connection) -> None:
            version, named_step = self._step(connection, step)
            advance(connection, named_step, self._database.clock.now_ms())
            self._add(connection, step.projection, version, counted)
            keep(connection, self._database.is_sqlite, belonging(dead, named_step))

        self._database.write(fold)

    def redeem(self, letter: Place, clicks: Mapping[int, int]) -> bool:
        def fold(connection: Connection) -> bool:
            version = self._pinned.get(letter.projection) or self._moving(connection, letter.projection)
            there = forget(connection, letter._replace(projection=named(letter.projection, version)))
            if there:
                self._add(connection, letter.projection, version, sorted(clicks.items()))
            return there

        return self._database.write(fold)

    def _add(self, connection: Connection, projection: str, version: int, counted: Sequence[tuple[int, int]]) -> None:
        for piece in chunks(counted, _VIDEOS):
            if projection in self._pinned:
                rows = [{"version": version, "content_id": video, "clicks": count} for video, count in piece]
                connection.execute(_ADD_ASIDE.on(self._database.is_sqlite), rows)
            else:
                connection.execute(_add_clicks(len(piece)), _parameters(piece))


@lru_cache(maxsize=_VIDEOS)
def _add_clicks(videos: int) -> TextClause:
    """One statement for many videos: drivers send an UPDATE with a list of parameters row by row."""
    cases = " ".join(f"WHEN :id{n} THEN :count{n}" for n in range(videos))
    ids = ", ".join(f":id{n}" for n in range(videos))
    # Only numbers of our own are put into the text.
    return text(f"UPDATE content_main SET clicks = clicks + CASE id {cases} ELSE 0 END WHERE id IN ({ids})")  # noqa: S608


def _parameters(piece: list[tuple[int, int]]) -> dict[str, int]:
    ids = {f"id{n}": video for n, (video, _) in enumerate(piece)}
    return ids | {f"count{n}": count for n, (_, count) in enumerate(piece)}
