"""The specification of a projection: what the runner needs in order to fold a topic into a read model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from models.eventlog.port import Identity, Record
from models.stores.port import Checkpoint, DeadLetter


class Applied(NamedTuple):
    """What became durable: all records below ``next_offset``; ``dead`` are those of them that were put aside."""

    next_offset: int
    dead: Sequence[DeadLetter] = ()


class Projection(ABC):
    """
    Folds one topic; keeps its position in its own sink, so that read model and position cannot disagree.

    The methods block and are called in worker threads, several partitions at once, but one partition by one thread
    at a time. The fold depends on the log alone: no clock, no randomness; nor on where a flush ends a batch.

    After any exception the partition is unusable until it is opened again; the sink is as before, or holds what opening
    and folding the same records again completes to the same content.

    Attributes:
        name: The projection, as in topics.yaml.
        topic: What it folds.
    """

    name: str
    topic: str

    @abstractmethod
    def open(self, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        """
        Load the partition from the sink, in place of whatever was in memory; a new one begins at ``earliest``.

        Raises:
            Unavailable: The sink is away.
            LogMismatch: The sink was folded from another log.
        """

    @abstractmethod
    def fold(self, partition: int, records: Sequence[Record]) -> None:
        """
        Fold records, at least one, that follow those folded before, in memory.

        Raises:
            Unavailable: The sink is away.
            TooManyDead: The records are not what this projection folds.
        """

    @abstractmethod
    def flush(self, partition: int) -> Applied:
        """
        Make durable what was folded since the last flush, at least one record, together with the new position.

        Raises:
            Unavailable: The sink is away.
            Fenced: Another owner moved the partition on.
        """

    def apply(self, partition: int, records: Sequence[Record]) -> Applied:
        """Fold, and flush."""
        self.fold(partition, records)
        return self.flush(partition)

    @abstractmethod
    def drop(self, partition: int) -> None:
        """Forget what is in memory of the partition; no effect on one that is not open."""
