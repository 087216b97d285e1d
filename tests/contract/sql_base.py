"""What the suites of the SQL store share: a store, a second owner of its database, and short ways to make input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import TypeAlias

import pytest

from models.errors import Fenced
from models.eventlog.port import Identity
from models.events import REACTIONS, VIEWS, EventIds
from models.stores.port import Advance, DeadLetter, Kind, Reaction, SqlStores

LOG = Identity("cluster-a", "topic-a", 3)
OTHER_LOG = Identity("cluster-a", "topic-b", 4)

Opener: TypeAlias = Callable[[], SqlStores]


class SqlSuite(ABC):
    """``store`` and what ``another()`` makes are two processes' views of one fresh database with its tables."""

    @abstractmethod
    def connect(self, url: str) -> SqlStores:
        """A new store on ``url``."""

    @pytest.fixture
    def another(self, url: str) -> Iterator[Opener]:
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(self.connect(url)))

    @pytest.fixture
    def store(self, another: Opener) -> SqlStores:
        store = another()
        store.create()
        return store


class Ids:
    """event_ids in order: within a process ``ids(5)`` is always the same, and older than ``ids(6)``."""

    def __init__(self) -> None:
        source = EventIds()
        self._ids = [source.next()[0] for _ in range(4000)]

    def __call__(self, number: int) -> str:
        return self._ids[number]


ids = Ids()


def step(expected: int, next_offset: int, partition: int = 0, epoch: int = 1) -> Advance:
    """A step of the projection ``reactions``."""
    return Advance("reactions", REACTIONS, partition, epoch, expected, next_offset, ids(next_offset))


def view_step(expected: int, next_offset: int, partition: int = 0) -> Advance:
    """A step of the projection ``views``."""
    return Advance("views", VIEWS, partition, 1, expected, next_offset, ids(next_offset))


def reaction(number: int, user: int, target: int, status: int = 1, kind: Kind = "like") -> Reaction:
    """The reaction whose event_id is ``ids(number)``."""
    return Reaction(kind, user, target, status, ids(number), 1_700_000_000_000 + number)


def letter(offset: int, partition: int = 0, projection: str = "reactions", error: str = "value is 1") -> DeadLetter:
    """A dead letter of behavior.reactions."""
    value = bytes(range(256))
    return DeadLetter(
        projection, REACTIONS, partition, offset, error, b"7", value, '[["a", "\xe9"]]', 1_700_000_000_123
    )


def opened(store: SqlStores, partitions: int = 1) -> None:
    """Open partitions of both projections at offset 0."""
    for partition in range(partitions):
        store.open("reactions", REACTIONS, partition, LOG, 0)
        store.open("views", VIEWS, partition, LOG, 0)


def position(store: SqlStores, partition: int = 0) -> int:
    """Where ``reactions`` stands."""
    return store.positions("reactions", REACTIONS)[partition].next_offset


def wins(apply: Callable[[], None]) -> bool:
    """Whether a step was taken, and not fenced."""
    try:
        apply()
    except Fenced:
        return False
    return True
