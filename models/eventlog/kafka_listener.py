"""What the group has said and the caller was not told yet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener
from aiokafka.structs import TopicPartition

GIVE_BACK_SECONDS: Final = 40.0
"""How long a rebalance waits for the next poll; a caller polls every 30 s, the group waits for 60 s."""


class Assignments(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """
    Listens to aiokafka and notes.

    Attributes:
        granted: The partitions that the group has given.
        revoked: Those that it has taken since ``give_back``; their owner may be another already when no poll came.
        changed: Set while there is something to tell.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._consumer: Any = None
        self._told = asyncio.Event()
        self.granted: frozenset[int] = frozenset()
        self.revoked: frozenset[int] = frozenset()
        self.changed = asyncio.Event()

    def attach(self, consumer: Any) -> None:
        """Listen for another consumer, which has nothing yet."""
        self._consumer = consumer
        self._told.clear()
        self.granted = frozenset()

    def lose_all(self) -> None:
        """The consumer has died, and its partitions with it."""
        self.revoked, self.granted = self.revoked | self.granted, frozenset()

    def give_back(self, *, closing: bool = False) -> None:
        """The caller knows what was revoked: the rebalance may go on."""
        if not closing:
            self.revoked = frozenset()
        self.changed.clear()
        self._told.set()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if not revoked:
            return
        self._told.clear()
        self.lose_all()
        self.changed.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), GIVE_BACK_SECONDS)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        for place in assigned:
            self._consumer.seek(place, 0)
            self._consumer.pause(place)
        self.granted = frozenset(place.partition for place in assigned)
        self.changed.set()
