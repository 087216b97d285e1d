"""Likes, collections and follows, folded into SQL: the newest word of a viewer on a target counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from consumers.deadletters import checked
from consumers.transactional import Found, Transactional
from models import events
from models.eventlog.port import Record
from models.stores.port import Advance, DeadLetter, Kind, Reaction, ReactionSink

_WORDS: Final[dict[type[events.Event], tuple[Kind, int]]] = {
    events.Like: ("like", 1),
    events.NoLike: ("like", 0),
    events.Collect: ("collect", 1),
    events.NoCollect: ("collect", 0),
    events.Follow: ("follow", 1),
    events.NoFollow: ("follow", 0),
}


Newest: TypeAlias = dict[tuple[Kind, int, int], Reaction]
"""The reaction with the largest event_id for each (kind, user, target)."""


class Reactions(Transactional[events.AnyReaction, ReactionSink, Newest]):
    """See Transactional."""

    name = "reactions"
    topic = events.REACTIONS

    def decode(self, value: bytes) -> events.AnyReaction:
        return checked(events.decode_reaction(value))

    def begin(self) -> Newest:
        return {}

    def gather(self, batch: Newest, found: Found[events.AnyReaction]) -> None:
        keep_newest(batch, found)

    def store(self, step: Advance, batch: Newest, dead: Sequence[DeadLetter]) -> None:
        self.sink.apply_reactions(step, list(batch.values()), dead)


def newest(found: Iterable[tuple[Record, events.AnyReaction]]) -> Sequence[Reaction]:
    """The event with the largest event_id for each (kind, user, target)."""
    best: Newest = {}
    keep_newest(best, found)
    return list(best.values())


def keep_newest(best: Newest, found: Iterable[tuple[Record, events.AnyReaction]]) -> None:
    """Put events in the place of older ones."""
    for record, event in found:
        kind, status = _WORDS[type(event)]
        target = event.followee_id if isinstance(event, events.Follow | events.NoFollow) else event.video_id
        key = (kind, event.user_id, target)
        known = best.get(key)
        if known is None or event.event_id > known.event_id:
            best[key] = Reaction(kind, event.user_id, target, status, event.event_id, record.timestamp)
