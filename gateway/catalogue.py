"""Which videos exist, in memory: a request never asks the database for that."""

from __future__ import annotations

import asyncio
import random
from array import array
from typing import Final, NamedTuple

from gateway.envelope import HttpError, not_found
from gateway.workers import Workers
from models.errors import Unavailable
from models.stores import port

PAGE: Final = 10_000
FULL_SECONDS: Final = 30.0
FULL_SHARE: Final = 20
"""A full reading may take this part (1/20) of the time at most: a million videos take seconds to read."""
LOOKUPS: Final = 20
"""Unknown ids looked up a second; the rest of them are taken for what they most likely are, invented."""


class Known(NamedTuple):
    """What is kept of a video that viewers may see."""

    category: int
    owner_id: int


class Catalogue:
    """
    The approved videos (audit_status 0), as the last reading found them.

    New ids are read every second; everything, and so what was withdrawn, every 30 seconds.
    """

    def __init__(self, workers: Workers, sql: port.Catalogue) -> None:
        self._workers, self._sql = workers, sql
        self._known: dict[int, Known] = {}
        self._ids = array("q")
        self._highest = 0
        self._kinds: dict[Known, Known] = {}
        self._next_full = float("-inf")
        self._allowance, self._allowed_at = float(LOOKUPS), 0.0
        self.loaded_at: float | None = None

    def __len__(self) -> int:
        return len(self._known)

    async def refresh(self) -> None:
        """One turn: the new ids, or everything when that is due. Raises Unavailable; then all stays as it was."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        full = begun >= self._next_full
        known, ids, highest = await self._read(0 if full else self._highest)
        if full:
            self._known, self._ids = known, ids
            self._next_full = loop.time() + max(FULL_SECONDS, FULL_SHARE * (loop.time() - begun))
        else:
            self._ids.extend(i for i in ids if i not in self._known)
            self._known.update(known)
        self._highest, self.loaded_at = highest, begun

    async def find(self, video_id: int) -> Known:
        """
        The video; raises HttpError 404, or Unavailable before the first reading.

        An unknown id is looked up once, so that a video loaded a moment ago works at once.
        """
        found = self._known.get(video_id)
        if found is not None:
            return found
        if self.loaded_at is None:
            raise Unavailable("sql", "the catalogue has not been read yet")
        if self._may_look_up():
            found = await self._look_up(video_id)
        if found is None:
            raise unknown(video_id)
        return found

    def sample(self, count: int) -> list[int]:
        """``count`` random ids, all when there are fewer."""
        return random.sample(self._ids, min(count, len(self._ids)))

    async def _read(self, after: int) -> tuple[dict[int, Known], array[int], int]:
        known: dict[int, Known] = {}
        ids = array("q")
        while last := await self._workers.run(self._page, after, known, ids):
            after = last
        return known, ids, after

    def _page(self, after: int, known: dict[int, Known], ids: array[int]) -> int:
        """Add the next page; returns its last id, or 0 at the end."""
        page = self._sql.entries(after, PAGE)
        for entry in page:
            if entry.audit_status == 0:
                known[entry.id] = self._kind(Known(entry.category, entry.owner_id))
                ids.append(entry.id)
        return page[-1].id if page else 0

    def _kind(self, kind: Known) -> Known:
        """The same object for the same content: a million videos have few owners."""
        if len(self._kinds) > 100_000:
            self._kinds.clear()
        return self._kinds.setdefault(kind, kind)

    def _may_look_up(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._allowance = min(LOOKUPS, self._allowance + LOOKUPS * (now - self._allowed_at))
        self._allowed_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    async def _look_up(self, video_id: int) -> Known | None:
        try:
            video = (await self._workers.run(self._sql.videos, (video_id,))).get(video_id)
        except Unavailable:
            return None  # an id that was never seen, and nobody to ask
        if video is None or video.audit_status != 0:
            return None
        return self._kind(Known(video.category, video.owner_id))


def unknown(video_id: int) -> HttpError:
    """404 for a video that is not there, or not for viewers."""
    return not_found("视频不存在", "id", video_id)
