"""A bounded list of the largest values, exact as long as values only grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

KEPT: Final = 16
"""Entries kept; readers show ten."""


class TopList:
    """
    The best ids by value, ties by id.

    Every change of a value must be offered. Then the list is exact: an id outside can only come in by growing.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]] = (), kept: int = KEPT) -> None:
        self._kept = kept
        self._values: dict[int, int] = {}
        self._worst: tuple[int, int] | None = None  # (-value, id) of the last entry, when the list is full
        for item, value in pairs:
            self.offer(item, value)

    def offer(self, item: int, value: int) -> None:
        """Take ``value`` as the value of ``item``, unless a larger one is known."""
        if self._worst is not None and (-value, item) >= self._worst:
            return
        if value <= self._values.get(item, -1):
            return
        self._values[item] = value
        if len(self._values) > self._kept:
            del self._values[max(self._ranks())[1]]
        self._worst = max(self._ranks()) if len(self._values) == self._kept else None

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(id, value), largest first, ties by id."""
        return tuple((item, -rank) for rank, item in sorted(self._ranks()))

    def _ranks(self) -> Iterable[tuple[int, int]]:
        return ((-value, item) for item, value in self._values.items())
