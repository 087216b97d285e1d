"""
Heads: where the plays projection stands, by partition. What both plays stores share, so that they decide alike.

A *head* is a partition's checkpoint and the identity of the log that it was folded from. An adapter reads all heads
of a projection at once and writes heads under its rule of stamps (the largest wins); the decisions are made here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from models.errors import LogMismatch
from models.eventlog.port import Identity
from models.stores.port import Checkpoint, PlayStores


class Head(NamedTuple):
    """What is stored for one partition."""

    checkpoint: Checkpoint
    identity: Identity


def are_of(count: int, heads: Mapping[int, Head]) -> bool:
    """Whether these can be all heads there are: those of a log of ``count`` partitions, and of no other."""
    return all(partition < count and head.identity.partitions == count for partition, head in heads.items())


class PlayHeads(PlayStores):
    """
    Opens, lists and restarts positions.

    A partition seen first joins the newest epoch of its projection (the first is 1), and only on the log of that
    epoch: when partitions were added, an owner of a new one must stop like the owners of the others. Heads of an
    older epoch are remains of partitions that the log no longer has, or of a ``new_epoch`` that was cut short, which
    is then to be run again.
    """

    @abstractmethod
    def _heads(self, projection: str, topic: str) -> Mapping[int, Head]:
        """All heads by partition; one read."""

    @abstractmethod
    def _put_heads(self, projection: str, topic: str, heads: Mapping[int, Head]) -> None:
        """Write heads by partition, with their checkpoints' stamps; a head with a larger stamp stays as it is."""

    def open(self, projection: str, topic: str, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        heads = self._heads(projection, topic)
        epoch = max((head.checkpoint.epoch for head in heads.values()), default=1)
        for number, head in heads.items():
            if head.identity != identity and (number == partition or head.checkpoint.epoch == epoch):
                raise LogMismatch(_difference(projection, topic, number, head.identity, identity))
        if partition not in heads:
            first = Head(Checkpoint(epoch=epoch, next_offset=earliest), identity)
            self._put_heads(projection, topic, {partition: first})
            heads = self._heads(projection, topic)  # another process may have been first, from another offset
        return heads[partition].checkpoint

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        return {partition: head.checkpoint for partition, head in self._heads(projection, topic).items()}

    def new_epoch(self, projection: str, topic: str, identity: Identity, starts: Mapping[int, int]) -> int:
        stored = self._heads(projection, topic).values()
        epoch = max((head.checkpoint.epoch for head in stored), default=0) + 1
        begun = {p: Head(Checkpoint(epoch=epoch, next_offset=start), identity) for p, start in starts.items()}
        self._put_heads(projection, topic, begun)
        return epoch


def _difference(projection: str, topic: str, partition: int, stored: Identity, found: Identity) -> str:
    fields = (("cluster", "cluster"), ("topic", "topic id"), ("partitions", "number of partitions"))
    pairs = ((name, getattr(stored, field), getattr(found, field)) for field, name in fields)
    differences = ", ".join(f"{name} {old!r} stored and {new!r} found" for name, old, new in pairs if old != new)
    return (
        f"{projection} was folded from another {topic} than the log's (partition {partition}: {differences}); "
        f"to fold the log as it is now: playtrail consume {projection} --new-epoch"
    )
