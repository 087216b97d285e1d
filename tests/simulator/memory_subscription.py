"""A member of a group that reads a broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from models.errors import Fenced, LogMismatch, PlaytrailError
from models.eventlog.port import OnAssigned, OnRevoked, Record, Subscription
from tests.simulator.memory_broker import Broker, Group, Topic


class MemorySubscription(Subscription):
    """Compares its partitions with its share whenever it polls, and whenever it is woken in a poll."""

    def __init__(
        self,
        broker: Broker,
        gate: Callable[[str], Awaitable[None]],
        names: tuple[str, str, str],
        callbacks: tuple[OnAssigned, OnRevoked],
    ) -> None:
        self._broker, self._gate = broker, gate
        self._group_name, self._member, self._topic_name = names
        self._on_assigned, self._on_revoked = callbacks
        self._bell = asyncio.Event()
        self._token = object()
        self._assigned: frozenset[int] = frozenset()
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._topic: Topic
        self._group: Group

    async def __aenter__(self) -> MemorySubscription:
        await self._gate("join")
        self._topic = self._broker.topic(self._topic_name)
        self._group = self._broker.group(self._group_name, self._topic_name)
        self._group.join(self._member, self._token, asyncio.get_running_loop().time())
        self._broker.ring()
        self._broker.listen(self._bell)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._broker.unlisten(self._bell)
        with contextlib.suppress(PlaytrailError):
            await self._gate("leave")
            self._group.leave(self._member, self._token)
            self._broker.ring()

    async def poll(self, wait: float, max_records: int) -> Mapping[int, Sequence[Record]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            self._bell.clear()
            await self._gate("poll")
            await self._rebalance(loop.time())
            records = self._fetch(self._broker.at_most(max_records))
            left = deadline - loop.time()
            if records or left <= 0:
                return records
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), left)

    def seek(self, partition: int, offset: int) -> None:
        if partition in self._assigned:
            self._positions[partition] = offset

    def pause(self, partitions: Collection[int]) -> None:
        self._paused.update(self._assigned & frozenset(partitions))

    def resume(self, partitions: Collection[int]) -> None:
        self._paused.difference_update(partitions)

    async def commit(self, positions: Mapping[int, int]) -> None:
        with contextlib.suppress(PlaytrailError):
            await self._gate("commit")
            self._broker.committed.setdefault((self._group_name, self._topic_name), {}).update(positions)

    async def _rebalance(self, now: float) -> None:
        if not self._group.has(self._member, self._token):
            raise Fenced(f"another process is member {self._member} of {self._group_name} now")
        held, quota = self._group.take(self._member, self._token, now)
        kept = frozenset(sorted(held, key=lambda p: (p not in self._assigned, p))[:quota])
        if gone := self._assigned - kept:
            try:
                await self._on_revoked(sorted(gone))
            finally:
                self._forget(gone)
        if excess := held - kept:
            self._group.release(self._member, sorted(excess))
            self._broker.ring()
        if new := kept - self._assigned:
            self._assigned |= new
            try:
                await self._on_assigned(sorted(new))
            except BaseException:
                self._forget(new)  # the next poll gets them again
                raise

    def _forget(self, partitions: Collection[int]) -> None:
        self._assigned -= frozenset(partitions)
        self._paused.difference_update(partitions)
        for partition in partitions:
            self._positions.pop(partition, None)

    def _fetch(self, max_records: int) -> dict[int, Sequence[Record]]:
        if self._broker.topics.get(self._topic_name) is not self._topic:
            raise LogMismatch(f"topic {self._topic_name} was deleted or created again")
        found: dict[int, Sequence[Record]] = {}
        for partition, offset in self._positions.items():
            records = self._topic.read(partition, offset, max_records) if partition not in self._paused else ()
            if records:
                found[partition] = records
                max_records -= len(records)
        for partition, read in found.items():
            # Behind the others, so that a full partition starves none.
            del self._positions[partition]
            self._positions[partition] = read[-1].offset + 1
        return found
