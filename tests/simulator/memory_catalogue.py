"""The videos in memory, and all of the SQL store's port together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from models.events import rfc3339
from models.stores.port import Entry, Film, SqlStores, Video
from tests.simulator.memory_sql import MemorySql

_CREATED = rfc3339(1_700_000_000_000)


class MemoryStores(MemorySql, SqlStores):
    """MemorySql with a catalogue and tables that are always there."""

    def create(self) -> None:
        with self._step("create"):
            pass

    def ping(self) -> None:
        with self._step("ping"):
            pass

    def close(self) -> None:
        pass

    def entries(self, after_id: int, limit: int) -> Sequence[Entry]:
        with self._step("entries"), self.data.lock:
            found = [self.data.films[number] for number in sorted(self.data.films) if number > after_id][:limit]
            return [Entry(f.id or 0, f.category, f.owner_id, f.status, f.audit_status) for f in found]

    def videos(self, ids: Collection[int]) -> Mapping[int, Video]:
        with self._step("videos"), self.data.lock:
            return {number: self._video(number) for number in ids if number in self.data.films}

    def _video(self, number: int) -> Video:
        f = self.data.films[number]
        shown = (f.title, f.category, f.cover_url, f.video_url, f.duration, f.owner_id, f.status, f.audit_status)
        return Video(number, *shown, self.data.clicks[number], _CREATED)

    def rank(self, limit: int) -> Sequence[tuple[int, str]]:
        with self._step("rank"), self.data.lock:
            shown = [number for number, film in self.data.films.items() if film.status == 0]
            best = sorted(shown, key=lambda number: (-self.data.clicks[number], number))[:limit]
            return [(number, self.data.films[number].title) for number in best]

    def load(self, films: Iterable[Film]) -> int:
        count = 0
        with self._step("load"), self.data.lock:
            for count, film in enumerate(films, start=1):  # noqa: B007 -- counted whatever the loop does
                number = film.id or self._number_of(film)
                self.data.films[number] = msgspec.structs.replace(film, id=number)
        return count

    def _number_of(self, film: Film) -> int:
        same = (n for n, f in self.data.films.items() if (f.title, f.category) == (film.title, film.category))
        return min(same, default=max(self.data.films, default=0) + 1)
