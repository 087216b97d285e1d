"""Likes, collections and follows, folded into SQL: the newest word of a viewer on a target counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from consumers.deadletters import Limits, checked, decoded
from consumers.port import Applied, Projection
from models import events
from models.eventlog.port import Identity, Record
from models.stores.port import Advance, Checkpoint, Kind, Reaction, ReactionSink

_WORDS: Final[dict[type[events.Event], tuple[Kind, int]]] = {
    events.Like: ("like", 1),
    events.NoLike: ("like", 0),
    events.Collect: ("collect", 1),
    events.NoCollect: ("collect", 0),
    events.Follow: ("follow", 1),
    events.NoFollow: ("follow", 0),
}


class Reactions(Projection):
    """See Projection; one transaction of the sink per batch."""

    name = "reactions"
    topic = events.REACTIONS

    def __init__(self, sink: ReactionSink) -> None:
        self._sink = sink
        self._open: dict[int, tuple[Checkpoint, Limits]] = {}

    def open(self, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        self.drop(partition)
        checkpoint = self._sink.open(self.name, self.topic, partition, identity, earliest)
        self._open[partition] = (checkpoint, Limits())
        return checkpoint

    def apply(self, partition: int, records: Sequence[Record]) -> Applied:
        checkpoint, limits = self._open[partition]
        found, dead = decoded(self.name, records, decode, limits)
        step = advance(self, partition, checkpoint, records[-1], found)
        self._sink.apply_reactions(step, newest(found), dead)
        self._open[partition] = (moved(step), limits)
        return Applied(step.next_offset, dead)

    def drop(self, partition: int) -> None:
        self._open.pop(partition, None)


def newest(found: Iterable[tuple[Record, events.AnyReaction]]) -> Sequence[Reaction]:
    """The event with the largest event_id for each (kind, user, target)."""
    best: dict[tuple[Kind, int, int], Reaction] = {}
    for record, event in found:
        kind, status = _WORDS[type(event)]
        target = event.followee_id if isinstance(event, events.Follow | events.NoFollow) else event.video_id
        key = (kind, event.user_id, target)
        known = best.get(key)
        if known is None or event.event_id > known.event_id:
            best[key] = Reaction(kind, event.user_id, target, status, event.event_id, record.timestamp)
    return list(best.values())


def advance(
    projection: Projection,
    partition: int,
    checkpoint: Checkpoint,
    last: Record,
    found: Sequence[tuple[Record, events.Event]],
) -> Advance:
    """The step from a checkpoint to behind the last record of a batch."""
    last_event_id = last_id(last, found)
    return Advance(
        projection.name,
        projection.topic,
        partition,
        checkpoint.epoch,
        checkpoint.next_offset,
        last.offset + 1,
        last_event_id,
    )


def last_id(last: Record, found: Sequence[tuple[Record, events.Event]]) -> str:
    """event_id of the last record of a batch, empty when it was no event."""
    return found[-1][1].event_id if found and found[-1][0].offset == last.offset else ""


def moved(step: Advance) -> Checkpoint:
    """Where a step leads."""
    return Checkpoint(epoch=step.epoch, next_offset=step.next_offset, last_event_id=step.last_event_id)


def decode(value: bytes) -> events.AnyReaction:
    """The event in a record of behavior.reactions; raises PoisonRecord."""
    return checked(events.decode_reaction(value))
