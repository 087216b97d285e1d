"""
Versions of the plays: what both plays stores share.

A version has tables of its own. The row that names the active one is a small value in a table without a version, and
is changed by compare-and-swap. Without transactions, what holds the consumers during a switch is that they look at the
row before every write: a write that begins before the look is too old holds records that were in the log by then, and
the new version is brought past those before it is read.
"""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import Final, Self

import msgspec

from models.clock import Clock, SystemClock
from models.errors import Fenced
from models.stores.plays_heads import PlayHeads
from models.stores.versions import Lately, Version, Versions, held

PROJECTION: Final = "plays"
_decoder = msgspec.json.Decoder(Version)


class PlayVersions(PlayHeads, Versions):
    """
    A store that works on the active version; ``at`` on a given one, ``pinned`` on the one that is active now.

    Adapters call ``_reading`` for the version to read and ``_writing`` for the one to write.
    """

    _at: int | None = None
    _watching = False
    _clock: Clock = SystemClock()

    def __init__(self) -> None:
        self._lately = Lately()  # one for a store and all that are pinned from it

    @abstractmethod
    def _version_value(self) -> bytes | None:
        """The stored row; None when there is none."""

    @abstractmethod
    def _swap_version_value(self, seen: bytes | None, to: bytes) -> bool:
        """Store ``to`` if the row is ``seen``; whether it was."""

    def at(self, projection: str, version: int) -> Self:  # noqa: ARG002 -- there is one projection here
        pinned = copy(self)
        pinned._at, pinned._watching = version, False
        return pinned

    def pinned(self) -> Self:
        if self._at is not None:
            return self
        store = self.at(PROJECTION, self._lately.fresh(self._row).active)
        store._watching = True
        return store

    def version(self, projection: str) -> Version:  # noqa: ARG002
        return _decode(self._version_value())

    def change(self, projection: str, seen: Version, to: Version) -> None:
        stored = self._version_value()
        if _decode(stored) != seen or not self._swap_version_value(stored, msgspec.json.encode(to)):
            raise Fenced(f"the versions of {projection} were changed by somebody else")
        self._lately.fresh(lambda: to)

    def _row(self) -> Version:
        return self.version(PROJECTION)

    def _reading(self) -> int:
        return self._at or self._lately.get(self._row).active

    def _writing(self) -> int:
        """Raises Fenced when the active version is no longer the pinned one, and Unavailable during a switch."""
        if self._at is not None and not self._watching:
            return self._at
        row = self._lately.get(self._row)
        if row.switch_until or row.active != self._at:  # worth a question whether it still is so
            row = self._lately.fresh(self._row)
        if self._at is not None and row.active != self._at:
            raise Fenced(f"plays are read from version {row.active} now, not from {self._at}")
        if row.switch_until:
            self._end_or_wait(row)
        return row.active

    def _end_or_wait(self, row: Version) -> None:
        """A switch that took too long has died; ending it tells the one who began it, should it live."""
        if self._clock.now_ms() < row.switch_until:
            raise held("plays", PROJECTION)
        self.change(PROJECTION, row, row.changed(switch_until=0))


def _decode(value: bytes | None) -> Version:
    return _decoder.decode(value) if value else Version()
