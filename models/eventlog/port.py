"""
The specification of the event log.

A topic has a fixed number of partitions; a partition is a sequence of records with ascending offsets, which may have
gaps. An *offset* is a record's own number. A *position* of a reader is the offset that it reads next. Times are
milliseconds since 1970. All methods are coroutines of one event loop; none blocks it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from models.errors import Refused
from models.eventlog.partitioner import partition_for as partition_for  # of the port: writers of every adapter use it

Headers: TypeAlias = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """One record as a reader gets it; aiokafka's own record class fits, so nothing is copied."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970, given by the writer."""
        ...

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Headers: ...


class Position(NamedTuple):
    """Where a record stands; as text ``topic/partition@offset``, which is what the API's X-Position carries."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The opposite of ``str``; raises Refused."""
        topic, _, rest = text.rpartition("/")
        partition, _, offset = rest.partition("@")
        if not (topic and partition.isascii() and partition.isdecimal() and offset.isascii() and offset.isdecimal()):
            raise Refused("position", text[:80], "topic/partition@offset")
        if len(partition) > 6 or len(offset) > 19:
            raise Refused("position", text[:80], "a partition of 6 and an offset of 19 digits at most")
        return cls(topic, int(partition), int(offset))


class Message(NamedTuple):
    """One record to append. ``timestamp`` is the event's own time in milliseconds."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    timestamp: int


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What makes a topic this topic; when it differs from what a projection stored, offsets mean something else.

    Attributes:
        cluster: Id of the cluster (Kafka) or of the file (SQLite).
        topic: Id of this creation of the topic; a topic deleted and made again has another.
        partitions: How many it has.
    """

    cluster: str
    topic: str
    partitions: int


class EventWriter(ABC):
    """
    Appends records durably.

    Use as an async context manager: entering connects (and may return before a broker is there: appends then raise
    Unavailable until it is), leaving flushes and ends within ten seconds.

    Attributes:
        replacements: How many producers were replaced, where there are any.
    """

    replacements = 0

    @abstractmethod
    async def __aenter__(self) -> EventWriter: ...

    @abstractmethod
    async def __aexit__(self, *exc: object) -> None: ...

    @abstractmethod
    async def append(self, message: Message) -> Position:
        """
        Append one record; returns once it is durable (all in-sync replicas; fsync).

        Records of one key that one task appends one after the other keep their order. Concurrent appends share
        round trips and fsyncs.

        Raises:
            Unavailable: The record is not in the log and will not be.
            OutcomeUnknown: It may be in the log, now or later. Also when the time limit passed.
            Refused: The topic is unknown, or the record larger than the topic takes.
        """

    @abstractmethod
    async def ready(self) -> None:
        """Return when an append can be expected to work now; raises Unavailable with the reason."""


OnAssigned: TypeAlias = Callable[[Collection[int]], Awaitable[None]]
"""
Called with partitions that this member has just got; nothing of them is read before ``seek``.

Both are called by ``poll``, never beside it; what they raise comes out of it, and OnAssigned is then called again.
"""
OnRevoked: TypeAlias = Callable[[Collection[int]], Awaitable[None]]
"""Called with partitions that this member is about to lose; what it has not made durable will be read by another."""


class Subscription(ABC):
    """
    One member of a consumer group on one topic; an async context manager.

    Members of a group divide the partitions among them; which member has which may change at any ``poll``. The group's
    committed positions are a copy for tools: a member reads where it *seeks*, never where the group was.

    Entering raises Unavailable, or Refused when there is no such topic. Leaving ends within ten seconds and calls no
    callback.
    """

    @abstractmethod
    async def __aenter__(self) -> Subscription: ...

    @abstractmethod
    async def __aexit__(self, *exc: object) -> None: ...

    @abstractmethod
    async def poll(self, wait: float, max_records: int) -> Mapping[int, Sequence[Record]]:
        """
        Records by partition, in offset order, from each position on; moves the positions behind them.

        Waits up to ``wait`` seconds for the first record. Returns nothing of partitions that were assigned and not
        sought, or that are paused. Polling also keeps the membership alive: call it at least every 30 s.

        Raises:
            Unavailable: The log is away; positions are unchanged.
            LogMismatch: A position is outside of what the log still has.
            Fenced: Another process joined under this member's name.
        """

    @abstractmethod
    def seek(self, partition: int, offset: int) -> None:
        """Set the position of an assigned partition and let it be read; of any other partition: no effect."""

    @abstractmethod
    def pause(self, partitions: Collection[int]) -> None:
        """Stop returning records of these; positions stay. Unknown ones are ignored."""

    @abstractmethod
    def resume(self, partitions: Collection[int]) -> None:
        """Undo ``pause``."""

    @abstractmethod
    async def commit(self, positions: Mapping[int, int]) -> None:
        """Copy positions to the group, for tools. A failure is logged and forgotten: the sink has the truth."""


class Owner(NamedTuple):
    """Who has a partition: the id of the group's member, the client's name for itself, its host; empty: not known."""

    member: str
    client: str = ""
    host: str = ""


class LogReader(ABC):
    """Reads the log without a group: replay, lag, checks. An async context manager."""

    @abstractmethod
    async def __aenter__(self) -> LogReader: ...

    @abstractmethod
    async def __aexit__(self, *exc: object) -> None: ...

    @abstractmethod
    async def identity(self, topic: str) -> Identity:
        """Raises Unavailable, or Refused when there is no such topic."""

    @abstractmethod
    async def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        """Per partition: the offset of the first record still kept, and the offset the next append will get."""

    @abstractmethod
    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """The group's committed positions, as tools see them; partitions without one are absent."""

    @abstractmethod
    async def owners(self, group: str, topic: str) -> Mapping[int, Owner]:
        """The group's members by partition; partitions that nobody has now are absent."""

    @abstractmethod
    async def times(self, topic: str, offsets: Mapping[int, int]) -> Mapping[int, int]:
        """
        Per partition, the time of the first record at its offset or after it.

        A partition is absent when there is no such record, or when it could not be read within two seconds. Raises
        LogMismatch when an offset is below the first kept or above the end.
        """

    @abstractmethod
    async def offsets_at(self, topic: str, time_ms: int) -> Mapping[int, int]:
        """
        Per partition, the offset of the first record whose time is ``time_ms`` or later; absent when there is none.

        Every record before it is earlier; after it there may be earlier ones too, since a record carries its
        writer's time.
        """

    @abstractmethod
    async def read(self, topic: str, partition: int, offset: int, max_records: int) -> Sequence[Record]:
        """
        Up to ``max_records`` records from ``offset`` on; empty at the end of the partition.

        Raises LogMismatch when ``offset`` is below the first kept or above the end.
        """


class TopicState(NamedTuple):
    """A topic as the cluster has it: partitions, replication, and the configuration that was set on it."""

    partitions: int
    replication: int
    config: Mapping[str, str]


class TopicAdmin(ABC):
    """Looks at and creates topics. An async context manager; to look creates nothing."""

    @abstractmethod
    async def __aenter__(self) -> TopicAdmin: ...

    @abstractmethod
    async def __aexit__(self, *exc: object) -> None: ...

    @abstractmethod
    async def describe(self, names: Collection[str]) -> Mapping[str, TopicState]:
        """The topics among ``names`` that exist. Raises Unavailable."""

    async def version(self) -> str:
        """What the log is, for a person; empty when it does not say. Raises Unavailable."""
        return ""

    @abstractmethod
    async def create(self, name: str, state: TopicState) -> None:
        """Create a topic and wait until it can be written; one that exists already is left alone."""

    @abstractmethod
    async def configure(self, name: str, config: Mapping[str, str]) -> None:
        """Set configuration keys of a topic; the keys not named keep their values."""


class EventLog(ABC):
    """A log by its URL: hands out the four roles. Cheap to make; connects to nothing."""

    @abstractmethod
    def writer(self) -> EventWriter: ...

    @abstractmethod
    def subscribe(
        self, group: str, member: str, topic: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> Subscription:
        """``member`` is a stable name of this process: one that comes back soon gets its partitions back."""

    @abstractmethod
    def reader(self) -> LogReader: ...

    @abstractmethod
    def admin(self) -> TopicAdmin: ...
