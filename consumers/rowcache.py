"""The rows of one partition that are in memory, with the guard that folds no event into a row twice."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from models.stores.port import PlayStore

_OFFSET_MASK: Final = (1 << 48) - 1

_TIMES, _DURATION, _GUARD = 0, 1, 2


class RowCache:
    """
    Rows by video: [times, duration, guard]; an event is folded into a row only if its offset is not below the guard.

    The guard of a row that an earlier epoch wrote is 0: offsets of another log say nothing about this one.

    Attributes:
        changed: Videos whose rows changed since ``written``.
        ahead: Whether an event since ``written`` was in the store already, written by an owner that was further.
    """

    def __init__(self, store: PlayStore, epoch: int) -> None:
        self._store, self._epoch = store, epoch
        self._rows: dict[int, list[int]] = {}
        self._in_use: set[int] = set()
        self.changed: set[int] = set()
        self.ahead = False

    def load(self, videos: Set[int]) -> Iterable[int]:
        """Read those that are missing, all at once; returns those that the store has."""
        self._in_use |= videos
        missing = sorted(videos - self._rows.keys())
        found = self._store.rows(missing) if missing else {}
        for video_id in missing:
            self._rows[video_id] = [0, 0, 0]
        for video_id, row in found.items():
            self._rows[video_id] = [row.times, row.duration, self._guard(row.stamp)]
        return found

    def add(self, video_id: int, offset: int, plays: int, seconds: int) -> None:
        """Fold one event into its row, unless the row has it."""
        row = self._rows[video_id]
        if offset < row[_GUARD]:
            self.ahead = True
            return
        row[_TIMES] += plays
        row[_DURATION] += seconds
        self.changed.add(video_id)

    def value(self, video_id: int) -> tuple[int, int]:
        """(times, duration) of a loaded row."""
        times, duration, _ = self._rows[video_id]
        return times, duration

    def values(self) -> dict[int, tuple[int, int]]:
        """The rows to write."""
        return {video_id: self.value(video_id) for video_id in sorted(self.changed)}

    def written(self) -> None:
        """The changed rows are durable."""
        self.changed.clear()
        self.ahead = False

    def shrink(self, size: int) -> None:
        """Forget the rows not used for longest until ``size`` are left; only after ``written``."""
        in_use, self._in_use = self._in_use, set()
        if len(self._rows) <= size:
            return
        for video_id in in_use:
            self._rows[video_id] = self._rows.pop(video_id)
        for video_id in list(self._rows)[: len(self._rows) - size]:
            del self._rows[video_id]

    def _guard(self, stamp: int) -> int:
        epoch = stamp >> 48
        if epoch > self._epoch:
            return _OFFSET_MASK
        return stamp & _OFFSET_MASK if epoch == self._epoch else 0
