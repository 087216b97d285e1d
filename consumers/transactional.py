"""Projections whose sink has transactions: rows, position and dead letters of a batch are stored in one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeAlias, TypeVar

from consumers.deadletters import Limits, decoded, last_id
from consumers.port import Applied, Projection
from models import events
from models.eventlog.port import Identity, Record
from models.stores.port import Advance, Checkpoint, DeadLetter, PositionStore

E = TypeVar("E", bound=events.Event)
S = TypeVar("S", bound=PositionStore)
Found: TypeAlias = Sequence[tuple[Record, E]]
"""The events of a batch with their records."""


class Transactional(Projection, Generic[E, S]):
    """See Projection; in memory it keeps nothing but where each partition stands."""

    def __init__(self, sink: S) -> None:
        self.sink = sink
        self._open: dict[int, tuple[Checkpoint, Limits]] = {}

    @abstractmethod
    def decode(self, value: bytes) -> E:
        """The event in a record's value; raises PoisonRecord."""

    @abstractmethod
    def store(self, step: Advance, found: Found[E], dead: Sequence[DeadLetter]) -> None:
        """Fold the batch and store it with the step, in one transaction of the sink."""

    def open(self, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        self.drop(partition)
        checkpoint = self.sink.open(self.name, self.topic, partition, identity, earliest)
        self._open[partition] = (checkpoint, Limits())
        return checkpoint

    def apply(self, partition: int, records: Sequence[Record]) -> Applied:
        at, limits = self._open[partition]
        found, dead = decoded(self.name, records, self.decode, limits)
        to = Checkpoint(epoch=at.epoch, next_offset=records[-1].offset + 1, last_event_id=last_id(records[-1], found))
        step = Advance(self.name, self.topic, partition, at.epoch, at.next_offset, to.next_offset, to.last_event_id)
        self.store(step, found, dead)
        self._open[partition] = (to, limits)
        return Applied(to.next_offset, dead)

    def drop(self, partition: int) -> None:
        self._open.pop(partition, None)
