"""An event log in memory behind the port of the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from models.errors import Refused
from models.eventlog.limits import DEFAULT_MAX_BYTES, size_of
from models.eventlog.port import (
    EventLog,
    EventWriter,
    Identity,
    LogReader,
    Message,
    OnAssigned,
    OnRevoked,
    Owner,
    Position,
    Record,
    Subscription,
    TopicAdmin,
    TopicState,
)
from tests.simulator.memory_broker import Broker, state_of
from tests.simulator.memory_subscription import MemorySubscription

Gate: TypeAlias = Callable[[str], Awaitable[None]]
"""Called with the name of each step towards the log; it may take time, or raise what the port allows there."""


async def open_gate(step: str) -> None:
    """Nothing is in the way."""
    await asyncio.sleep(0)


class MemoryLog(EventLog):
    """One process's view of a broker."""

    def __init__(self, broker: Broker, gate: Gate = open_gate) -> None:
        self.broker, self._gate = broker, gate

    def writer(self) -> EventWriter:
        return MemoryWriter(self.broker, self._gate)

    def subscribe(
        self, group: str, member: str, topic: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Subscription:
        return MemorySubscription(self.broker, self._gate, (group, member, topic), (on_assigned, on_revoked))

    def reader(self) -> LogReader:
        return MemoryReader(self.broker, self._gate)

    def admin(self) -> TopicAdmin:
        return MemoryAdmin(self.broker, self._gate)


class MemoryWriter(EventWriter):
    """Appends at once; ``append`` and ``appended`` are its steps."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker, self._gate = broker, gate

    async def __aenter__(self) -> MemoryWriter:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def append(self, message: Message) -> Position:
        if size_of(message) > DEFAULT_MAX_BYTES:
            raise Refused("record", f"{size_of(message)} bytes", f"at most {DEFAULT_MAX_BYTES} bytes")
        await self._gate("append")
        position = self._broker.append(message)
        await self._gate("appended")
        return position

    async def ready(self) -> None:
        await self._gate("ready")


class MemoryReader(LogReader):
    """Reads the broker's lists."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker, self._gate = broker, gate

    async def __aenter__(self) -> MemoryReader:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def identity(self, topic: str) -> Identity:
        await self._gate("identity")
        return self._broker.topic(topic).identity

    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        await self._gate("bounds")
        found = self._broker.topic(topic)
        return dict(enumerate(zip(found.first, found.end, strict=True)))

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        await self._gate("committed")
        return dict(self._broker.committed.get((group, topic), {}))

    async def owners(self, group: str, topic: str) -> Mapping[int, Owner]:
        await self._gate("owners")
        now = asyncio.get_running_loop().time()
        return {p: Owner(name) for p, name in self._broker.group(group, topic).owners(now).items()}

    async def times(self, topic: str, offsets: Mapping[int, int]) -> Mapping[int, int]:
        await self._gate("times")
        read = self._broker.topic(topic).read
        return {p: first[0].timestamp for p, offset in offsets.items() if (first := read(p, offset, 1))}

    async def offsets_at(self, topic: str, time_ms: int) -> Mapping[int, int]:
        await self._gate("offsets_at")
        late = (
            (p, r.offset)
            for p, rs in enumerate(self._broker.topic(topic).records)
            for r in rs
            if r.timestamp >= time_ms
        )
        return dict(reversed(list(late)))

    async def read(self, topic: str, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        await self._gate("read")
        return self._broker.topic(topic).read(partition, offset, max_records)


class MemoryAdmin(TopicAdmin):
    """Topics of the broker."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker, self._gate = broker, gate

    async def __aenter__(self) -> MemoryAdmin:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def describe(self, names: Collection[str]) -> Mapping[str, TopicState]:
        await self._gate("describe")
        return {name: state_of(self._broker.topics, name) for name in names if name in self._broker.topics}

    async def create(self, name: str, state: TopicState) -> None:
        await self._gate("create")
        self._broker.create(name, state)

    async def configure(self, name: str, config: Mapping[str, str]) -> None:
        await self._gate("configure")
        topic = self._broker.topic(name)
        topic.state = topic.state._replace(config={**topic.state.config, **config})
