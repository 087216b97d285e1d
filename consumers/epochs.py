"""Begins a new epoch: what an operator does when the log is not the one that was folded, and what was folded stays."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from models.errors import LogMismatch
from models.eventlog.port import EventLog, Identity
from models.stores.port import Checkpoint, PositionStore


async def new_epoch(log: EventLog, store: PositionStore, projection: str, topic: str) -> Mapping[int, int]:
    """
    Tie a projection to the log as it is now; returns where each partition goes on.

    The read model is kept and continued. On a log with another cluster or topic id every partition begins at its first
    record, since its old offsets mean nothing there. On the same topic each goes on where it stood, moved into what
    the log still has, and an added partition begins at its first record.

    No consumer of the projection may run meanwhile: it would be fenced. Sessions that are playing now are forgotten by
    plays: one that goes on counts as another play. What the log lost stays counted, and what it lost before it was
    folded is missing: a rebuild from a complete log is what is exact.

    Raises Unavailable when the log or the store is away.
    """
    async with log.reader() as reader:
        identity, bounds = await reader.identity(topic), await reader.bounds(topic)
    known = await asyncio.to_thread(store.positions, projection, topic)
    same = await asyncio.to_thread(_same_topic, store, projection, topic, identity, known)
    starts = {}
    for partition, (first, end) in bounds.items():
        stood = known[partition].next_offset if same and partition in known else first
        starts[partition] = min(max(stood, first), end)
    await asyncio.to_thread(store.new_epoch, projection, topic, identity, starts)
    return starts


def _same_topic(
    store: PositionStore, projection: str, topic: str, identity: Identity, known: Mapping[int, Checkpoint]
) -> bool:
    """Whether the stored offsets are offsets of this topic; opening one that is known tells."""
    if not known:
        return False
    try:
        store.open(projection, topic, min(known), replace(identity, partitions=len(known)), 0)
    except LogMismatch:
        return False
    return True
