"""Page views, folded into SQL: clicks per video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from consumers.deadletters import Limits, checked, decoded
from consumers.port import Applied, Projection
from consumers.reactions import advance, moved
from models import events
from models.eventlog.port import Identity, Record
from models.stores.port import Checkpoint, ViewSink


class Views(Projection):
    """See Projection; one transaction of the sink per batch. ``hot`` is kept in the log for analysts only."""

    name = "views"
    topic = events.VIEWS

    def __init__(self, sink: ViewSink) -> None:
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
        clicks = Counter(event.video_id for _, event in found if isinstance(event, events.Detail))
        self._sink.apply_clicks(step, clicks, dead)
        self._open[partition] = (moved(step), limits)
        return Applied(step.next_offset, dead)

    def drop(self, partition: int) -> None:
        self._open.pop(partition, None)


def decode(value: bytes) -> events.AnyView:
    """The event in a record of behavior.views; raises PoisonRecord."""
    return checked(events.decode_view(value))
