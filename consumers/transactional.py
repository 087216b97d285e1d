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
B = TypeVar("B")
Found: TypeAlias = Sequence[tuple[Record, E]]
"""The events of a batch with their records."""


class Transactional(Projection, Generic[E, S, B]):
    """See Projection; in memory it keeps where each partition stands, and as ``B`` what its next transaction stores."""

    def __init__(self, sink: S) -> None:
        self.sink = sink
        self._open: dict[int, _Open[B]] = {}

    @abstractmethod
    def decode(self, value: bytes) -> E:
        """The event in a record's value; raises PoisonRecord."""

    @abstractmethod
    def begin(self) -> B:
        """What a transaction stores that stores nothing yet."""

    @abstractmethod
    def gather(self, batch: B, found: Found[E]) -> None:
        """Fold events into what the next transaction stores."""

    @abstractmethod
    def store(self, step: Advance, batch: B, dead: Sequence[DeadLetter]) -> None:
        """Store what was gathered together with the step, in one transaction of the sink."""

    def open(self, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        self.drop(partition)
        checkpoint = self.sink.open(self.name, self.topic, partition, identity, earliest)
        self._open[partition] = _Open(checkpoint, self.begin())
        return checkpoint

    def fold(self, partition: int, records: Sequence[Record]) -> None:
        at = self._open[partition]
        found, dead = decoded(self.name, records, self.decode, at.limits)
        self.gather(at.batch, found)
        at.dead += dead
        at.folded = records[-1].offset + 1, last_id(records[-1], found)

    def flush(self, partition: int) -> Applied:
        at = self._open[partition]
        (next_offset, last), stood, dead = at.folded, at.checkpoint, at.dead
        to = Checkpoint(epoch=stood.epoch, next_offset=next_offset, last_event_id=last)
        step = Advance(self.name, self.topic, partition, to.epoch, stood.next_offset, to.next_offset, to.last_event_id)
        self.store(step, at.batch, dead)
        at.checkpoint, at.batch, at.dead = to, self.begin(), []
        return Applied(to.next_offset, dead)

    def drop(self, partition: int) -> None:
        self._open.pop(partition, None)


class _Open(Generic[B]):
    """One partition, from opening to dropping; ``folded`` as PartitionFold has it."""

    def __init__(self, checkpoint: Checkpoint, batch: B) -> None:
        self.checkpoint, self.limits = checkpoint, Limits()
        self.batch = batch
        self.dead: list[DeadLetter] = []
        self.folded = checkpoint.next_offset, checkpoint.last_event_id
