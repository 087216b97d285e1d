"""
The specification of versions: how a read model is built again beside the one that is read, and put in its place.

A projection has one *active* version, which every read and every consumer uses without knowing its number. Another is
*built* beside it in tables of its own, and one *kept* after a switch, to go back to. The row that names them is kept in
the store itself; changing its ``active`` is the switch. While a switch is under way no consumer moves the active
version on, so that the new one can be brought to where the old one stands, or further, before anybody reads it.

Reading that row for each read and each write would cost a question of its own each time, so what was seen of it serves
for LEASE_SECONDS. Whoever changes it waits as long before going by the change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from threading import Lock
from time import monotonic
from typing import Final, NamedTuple, Self

import msgspec
from msgspec import Struct

from models.errors import Unavailable

LEASE_SECONDS: Final = 0.1


class Version(Struct, frozen=True, kw_only=True):
    """
    The row of a projection.

    Attributes:
        active: What is read; the first version is 1, and stands in the tables without a suffix.
        building: What is being folded beside it; 0 is none.
        kept: What was active before; 0 is none.
        switch_until: Until when (milliseconds since 1970) a switch may hold the consumers; 0 when there is none. One
            that died is over then.
        changes: How often the row was changed, so that a change is made to what was seen.
    """

    active: int = 1
    building: int = 0
    kept: int = 0
    switch_until: int = 0
    changes: int = 0

    def changed(self, **fields: int) -> Version:
        """The next row, with other values in ``fields``."""
        return msgspec.structs.replace(self, changes=self.changes + 1, **fields)

    @property
    def free(self) -> int:
        """A number that no version has had."""
        return max(self.active, self.building, self.kept) + 1


class Lately:
    """A row as it was at most LEASE_SECONDS ago. Safe to use from several threads."""

    def __init__(self) -> None:
        self._seen: tuple[float, Version] = (0.0, Version())
        self._lock = Lock()

    def get(self, read: Callable[[], Version]) -> Version:
        """The row, read anew when it is older."""
        until, row = self._seen
        return row if monotonic() < until else self.fresh(read)

    def fresh(self, read: Callable[[], Version]) -> Version:
        """The row, read now."""
        until = monotonic() + LEASE_SECONDS  # from before the question: the answer may be as old as that
        row = read()
        with self._lock:
            if row.changes >= self._seen[1].changes:  # else another thread has seen what came after it
                self._seen = until, row
        return row


class Row(NamedTuple):
    """One row of a read model, for comparing: what it is about, and its value as text. ``amount`` adds up."""

    key: str
    amount: int
    value: str = ""


class Versions(ABC):
    """The versions of the projections that a store holds. Methods block, and raise Unavailable as the stores do."""

    @abstractmethod
    def at(self, projection: str, version: int) -> Self:
        """The same store with one version of a projection in the place of the active one; shares connections."""

    @abstractmethod
    def version(self, projection: str) -> Version:
        """The row; of a projection never built again: Version()."""

    @abstractmethod
    def change(self, projection: str, seen: Version, to: Version) -> None:
        """
        Put ``to`` in the place of ``seen``, atomically. What a change of ``active`` needs happens together with it.

        Raises Fenced when the row is not ``seen``; nothing was changed.
        """

    @abstractmethod
    def make(self, projection: str, version: int) -> None:
        """Create the tables of a version; there they are left alone."""

    @abstractmethod
    def remove(self, projection: str, version: int) -> None:
        """Drop tables and positions of a version that is not active; those of version 1 are left as they are."""

    @abstractmethod
    def contents(self, projection: str) -> Iterator[Row]:
        """Every row of the read model that is not empty, in no order; several reads."""


def named(projection: str, version: int) -> str:
    """The name that the positions of a version are kept under: ``plays``, ``plays-v2``."""
    return projection if version == 1 else f"{projection}-v{version}"


def held(part: str, projection: str) -> Unavailable:
    """What a consumer gets that would move the active version on during a switch."""
    return Unavailable(part, f"{projection} is being switched to another version", retry_after=0.5)
