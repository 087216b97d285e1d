"""What every adapter of the event log has in common for its tests: messages, members of a group, fixtures."""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack

import pytest

from models.errors import Unavailable
from models.eventlog.port import EventLog, Message, Position, Record, Subscription, TopicState

PARTITIONS = 4
HEADERS = [("ce_type", b"playtrail.like"), ("empty", b""), ("b\u00fcyte", bytes(range(256)))]


def message(topic: str, key: object, value: bytes = b"{}", timestamp: int = 1_700_000_000_123) -> Message:
    return Message(topic, str(key).encode(), value, HEADERS, timestamp)


def group_of(topic: str) -> str:
    """A group of the topic's own: members that an earlier test has left behind do not delay this one."""
    return f"readers-{topic}"


class Member:
    """A subscription that starts every partition at ``start``, and notes what it was told and given."""

    def __init__(self, log: EventLog, topic: str, name: str = "a", group: str = "", start: int | None = 0) -> None:
        self.start = start
        self.failure: Exception | None = None
        self.owned: set[int] = set()
        self.revoked: set[int] = set()
        self.got: dict[int, list[Record]] = defaultdict(list)
        self.subscription: Subscription = log.subscribe(
            group or group_of(topic), name, topic, self._assigned, self._revoked
        )

    async def _assigned(self, partitions: Collection[int]) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.owned.update(partitions)
        for partition in partitions:
            if self.start is not None:
                self.subscription.seek(partition, self.start)

    async def _revoked(self, partitions: Collection[int]) -> None:
        self.owned.difference_update(partitions)
        self.revoked.update(partitions)

    async def poll(self, wait: float = 0.2, max_records: int = 1000) -> Mapping[int, Sequence[Record]]:
        found = await self.subscription.poll(wait, max_records)
        for partition, records in found.items():
            self.got[partition] += records
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.poll()

    async def until_count(self, count: int) -> None:
        await self.until(lambda: self.count() >= count)

    def count(self) -> int:
        return sum(map(len, self.got.values()))


Join = Callable[[Member], Awaitable[Member]]


class EventLogBase(ABC):
    """Subclasses give the fixture ``log`` and two ways to damage a topic from outside."""

    @pytest.fixture
    @abstractmethod
    def log(self) -> EventLog:
        """A log; topics of other tests may be in it."""

    @abstractmethod
    async def delete_topic(self, log: EventLog, topic: str) -> None:
        """Make the topic not exist."""

    @abstractmethod
    async def trim(self, log: EventLog, topic: str, partition: int, before: int) -> None:
        """Delete the records of a partition below an offset."""

    @pytest.fixture
    async def topic(self, log: EventLog) -> str:
        name = f"test.{uuid.uuid4()}"
        async with log.admin() as admin:
            await admin.create(name, TopicState(PARTITIONS, 1, {}))
        return name

    @pytest.fixture
    async def join(self) -> AsyncIterator[Join]:
        async with AsyncExitStack() as stack:

            async def enter(member: Member) -> Member:
                await stack.enter_async_context(member.subscription)
                return member

            yield enter

    async def append(self, log: EventLog, messages: Sequence[Message]) -> list[Position]:
        async with log.writer() as writer:
            await until_ready(writer.ready)
            return [await writer.append(m) for m in messages]


async def until_ready(ready: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await ready()
        except Unavailable:
            await asyncio.sleep(0.02)


async def together(first: Member, second: Member, condition: Callable[[], bool]) -> None:
    """Poll both at once, since a rebalance needs every member to poll."""
    while not condition():
        await asyncio.gather(first.poll(), second.poll())
