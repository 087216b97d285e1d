"""What all views of a log in memory share: topics with their records, groups, and who waits for news."""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from models.errors import LogMismatch, Refused
from models.eventlog.port import Headers, Identity, Message, Position, TopicState, partition_for

CLUSTER: Final = "memory"

_offset_of = attrgetter("offset")


class StoredRecord(NamedTuple):
    """A record; see models.eventlog.port.Record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: Headers


class Topic:
    """One creation of a topic. ``first`` and ``end`` are the bounds of each partition."""

    def __init__(self, name: str, number: int, state: TopicState) -> None:
        self.name, self.state = name, state
        self.identity = Identity(CLUSTER, f"{name}-{number}", state.partitions)
        self.records: list[list[StoredRecord]] = [[] for _ in range(state.partitions)]
        self.first, self.end = [0] * state.partitions, [0] * state.partitions

    def read(self, partition: int, offset: int, max_records: int) -> Sequence[StoredRecord]:
        """Records from an offset on; raises LogMismatch outside of the bounds, Refused for a partition not there."""
        if partition not in range(self.state.partitions):
            raise Refused("partition", partition, f"0 to {self.state.partitions - 1} for topic {self.name}")
        if not self.first[partition] <= offset <= self.end[partition]:
            raise LogMismatch(f"{self.name}/{partition} has no offset {offset}")
        records = self.records[partition]
        begin = bisect_left(records, offset, key=_offset_of)
        return records[begin : begin + max_records]

    def trim(self, partition: int, before: int) -> None:
        """Delete the records of a partition below an offset."""
        self.records[partition] = [r for r in self.records[partition] if r.offset >= before]
        self.first[partition] = before


class Broker:
    """
    The log itself; views of it are MemoryLog objects.

    Args:
        gap: Asked at each append how many offsets to leave out before the record.

    Attributes:
        at_most: Asked at each poll how many of the records wanted are returned at most.
        session: Seconds without a poll after which a member has lost its partitions.
    """

    def __init__(self, gap: Callable[[], int] = lambda: 0) -> None:
        self.at_most: Callable[[int], int] = lambda wanted: wanted
        self.session = 30.0
        self.topics: dict[str, Topic] = {}
        self.groups: dict[tuple[str, str], Group] = {}
        self.committed: dict[tuple[str, str], dict[int, int]] = {}
        self._bells: dict[asyncio.Event, None] = {}
        self._gap = gap
        self._numbers = itertools.count(1)

    def create(self, name: str, state: TopicState) -> None:
        """Create a topic; one that exists already is left alone."""
        if name not in self.topics:
            self.topics[name] = Topic(name, next(self._numbers), state)

    def topic(self, name: str) -> Topic:
        """Raises Refused when there is no such topic."""
        if name not in self.topics:
            raise Refused("topic", name, f"one of {', '.join(sorted(self.topics))}")
        return self.topics[name]

    def append(self, message: Message) -> Position:
        """The record is in the log when this returns, and everybody who waits is woken."""
        topic = self.topic(message.topic)
        partition = partition_for(message.key, topic.state.partitions)
        offset = topic.end[partition] + self._gap()
        name, key, value, headers, timestamp = message
        topic.records[partition].append(StoredRecord(name, partition, offset, timestamp, key, value, headers))
        topic.end[partition] = offset + 1
        self.ring()
        return Position(message.topic, partition, offset)

    def group(self, name: str, topic: str) -> Group:
        """The group of this name on a topic."""
        return self.groups.setdefault((name, topic), Group(self, self.topic(topic).state.partitions))

    def listen(self, bell: asyncio.Event) -> None:
        """Ring ``bell`` whenever something was appended or a group has changed."""
        self._bells[bell] = None

    def unlisten(self, bell: asyncio.Event) -> None:
        """Undo ``listen``."""
        self._bells.pop(bell, None)

    def ring(self) -> None:
        """Wake everybody who waits for news."""
        for bell in self._bells:
            bell.set()


class Group:
    """
    A consumer group: who is a member, and who has which partition.

    A member is alive while it polls; it takes only partitions that nobody alive has, and gives back what is above
    its share.
    """

    def __init__(self, broker: Broker, partitions: int) -> None:
        self._broker, self._partitions = broker, partitions
        self._members: dict[str, tuple[object, float]] = {}
        self._leases: dict[int, str] = {}

    def join(self, name: str, token: object, now: float) -> None:
        """Become a member, in the place of an earlier one of the same name, whose partitions are kept."""
        self._members[name] = (token, now)

    def leave(self, name: str, token: object) -> None:
        """Give everything back, unless another has the name now."""
        if self.has(name, token):
            del self._members[name]
            self._leases = {p: member for p, member in self._leases.items() if member != name}

    def has(self, name: str, token: object) -> bool:
        """Whether the member of this name is still the one that joined with ``token``."""
        return self._members.get(name, (None, 0.0))[0] is token

    def take(self, name: str, token: object, now: float) -> tuple[frozenset[int], int]:
        """Stay alive and take free partitions up to the share; returns those held, and the share."""
        self._members[name] = (token, now)
        alive = sorted(n for n, (_, seen) in self._members.items() if now - seen <= self._broker.session)
        quota = self._partitions // len(alive) + (alive.index(name) < self._partitions % len(alive))
        held = [p for p, member in self._leases.items() if member == name]
        free = [p for p in range(self._partitions) if self._leases.get(p) not in alive]
        wanted = free[: max(0, quota - len(held))]
        self._leases.update(dict.fromkeys(wanted, name))
        return frozenset((*held, *wanted)), quota

    def owners(self, now: float) -> dict[int, str]:
        """The living member that has each partition."""
        alive = {name for name, (_, seen) in self._members.items() if now - seen <= self._broker.session}
        return {partition: name for partition, name in self._leases.items() if name in alive}

    def release(self, name: str, partitions: Sequence[int]) -> None:
        """Give partitions back."""
        for partition in partitions:
            if self._leases.get(partition) == name:
                del self._leases[partition]


def state_of(topics: Mapping[str, Topic], name: str) -> TopicState:
    """A topic's state, with a configuration that is the caller's own."""
    state = topics[name].state
    return state._replace(config=dict(state.config))
