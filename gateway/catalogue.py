"""Which videos exist, in memory: a request never asks the database for that."""

from __future__ import annotations

import asyncio
import random
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.envelope import HttpError, not_found
from gateway.workers import Workers
from models.errors import Unavailable
from models.stores import port

PAGE: Final = 2_000
"""Small: while a thread makes rows of a page, requests are answered more slowly."""
FULL_SECONDS: Final = 30.0
TURN_SECONDS: Final = 0.05
"""How much of a turn (of a second or so) goes into reading everything again: a million videos take minutes."""
LOOKUPS: Final = 20
"""Unknown ids looked up a second; the rest of them are taken for what they most likely are, invented."""


class Known(NamedTuple):
    """What is kept of a video that viewers may see."""

    category: int
    owner_id: int


class _Reading:
    """
    The approved videos up to the id ``last``.

    Two arrays in the order of ids, twelve bytes a video: a dict of a million takes ten times that.
    """

    def __init__(self) -> None:
        self.ids = array("q")
        self._kinds = array("I")
        self._known: list[Known] = []
        self._places: dict[Known, int] = {}
        self.last = 0

    def add(self, page: Sequence[port.Entry]) -> None:
        """Take the next videos."""
        for entry in page:
            if entry.audit_status == 0:
                self.ids.append(entry.id)
                self._kinds.append(self._place(Known(entry.category, entry.owner_id)))
        self.last = page[-1].id

    def _place(self, known: Known) -> int:
        """Where the same content stands: a million videos have few owners."""
        place = self._places.get(known)
        if place is None:
            place = self._places[known] = len(self._known)
            self._known.append(known)
        return place

    def get(self, video_id: int) -> Known | None:
        place = bisect_left(self.ids, video_id)
        found = place < len(self.ids) and self.ids[place] == video_id
        return self._known[self._kinds[place]] if found else None


class Catalogue:
    """
    The approved videos (audit_status 0), as the last reading found them.

    New ids are read every second; everything, and so what was withdrawn, every 30 seconds, or as often as a twentieth
    of the time allows.
    """

    def __init__(self, workers: Workers, sql: port.Catalogue) -> None:
        self._workers, self._sql = workers, sql
        self._reading = _Reading()
        self._again: _Reading | None = None
        self._next_full = float("inf")
        self._allowance, self._allowed_at = float(LOOKUPS), 0.0
        self.loaded_at: float | None = None

    def __len__(self) -> int:
        return len(self._reading.ids)

    async def refresh(self) -> None:
        """
        One turn: the new ids, and a piece of reading everything again when that is due.

        Raises Unavailable; then the videos known are those that were known before.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while await self._read_on(self._reading):
            pass
        if self.loaded_at is None:
            self._next_full = loop.time() + FULL_SECONDS
        self.loaded_at = begun
        if self._again is None and begun >= self._next_full:
            self._again, self._next_full = _Reading(), begun + FULL_SECONDS
        if self._again is not None:
            await self._read_again(self._again, loop.time() + TURN_SECONDS)

    async def find(self, video_id: int) -> Known:
        """
        The video; raises HttpError 404, or Unavailable before the first reading.

        An unknown id is looked up once, so that a video loaded a moment ago works at once.
        """
        found = self._reading.get(video_id)
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
        """``count`` random ids in random order, all when there are fewer."""
        return random.sample(self._reading.ids, min(count, len(self)))

    async def _read_on(self, reading: _Reading) -> bool:
        """Add the next page; returns whether there was one."""
        page = await self._workers.run(self._sql.entries, reading.last, PAGE)
        if page:
            reading.add(page)
        return bool(page)

    async def _read_again(self, reading: _Reading, until: float) -> None:
        """Go on with a reading until that time (of the loop); when it is whole it takes the place of the last one."""
        while await self._read_on(reading):
            if asyncio.get_running_loop().time() >= until:
                return
        self._reading, self._again = reading, None

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
        return Known(video.category, video.owner_id)


def unknown(video_id: int) -> HttpError:
    """404 for a video that is not there, or not for viewers."""
    return not_found("视频不存在", "id", video_id)
