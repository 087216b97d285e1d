"""The specification of what is kept of records that no projection could fold; re-exported by ``port``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from models.eventlog.port import Position


class Place(NamedTuple):
    """What names a letter: who could not fold the record, and where the record stands."""

    projection: str
    topic: str
    partition: int
    offset: int


class DeadLetter(NamedTuple):
    """A record put aside. ``headers`` is JSON text of [name, latin-1 value] pairs; ``at_ms`` the record's time."""

    projection: str
    topic: str
    partition: int
    offset: int
    error: str
    key: bytes | None
    value: bytes
    headers: str
    at_ms: int

    @property
    def place(self) -> Place:
        """What names this letter."""
        return Place(self.projection, self.topic, self.partition, self.offset)

    @property
    def position(self) -> Position:
        """Where the record stands in the log."""
        return Position(self.topic, self.partition, self.offset)


class DeadLetters(ABC):
    """
    Records that were put aside; keyed by projection, topic, partition and offset.

    A letter belongs, as positions do, to the version of the read model that its record is missing from. Those of the
    active version are meant here: a rebuild begins without letters, and puts aside what it cannot fold itself. Letters
    of plays are the same for all versions, which are kept in another store.
    """

    @abstractmethod
    def put_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; one that is there already stays as it is."""

    @abstractmethod
    def dead(self, projection: str | None = None, limit: int = 100, after: Place | None = None) -> Sequence[DeadLetter]:
        """Letters in order of topic, partition, offset and projection; with ``after`` those behind that place."""

    @abstractmethod
    def dead_at(self, position: Position) -> Sequence[DeadLetter]:
        """The letters of one record, by projection; empty when there is none."""

    @abstractmethod
    def drop_dead(self, places: Collection[Place]) -> int:
        """Forget letters; returns how many were there. Of several callers at once, one is told of each letter."""

    @abstractmethod
    def dead_counts(self) -> Mapping[str, int]:
        """How many letters each projection has; one without any is absent."""


class ViewLetters(ABC):
    """Retries dead letters of views, whose clicks add up: a second copy in the log would be a second click."""

    @abstractmethod
    def redeem(self, letter: Place, clicks: Mapping[int, int]) -> bool:
        """
        In one transaction: forget the letter, and add the clicks (by video id) of its record, which can be read now.

        False when the letter is not there; nothing was changed.
        """
