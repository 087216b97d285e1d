"""Page views, folded into SQL: clicks per video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from consumers.deadletters import checked
from consumers.transactional import Found, Transactional
from models import events
from models.stores.port import Advance, DeadLetter, ViewSink


class Views(Transactional[events.AnyView, ViewSink, Counter[int]]):
    """See Transactional. ``hot`` is kept in the log for analysts only."""

    name = "views"
    topic = events.VIEWS

    def decode(self, value: bytes) -> events.AnyView:
        return checked(events.decode_view(value))

    def begin(self) -> Counter[int]:
        return Counter()

    def gather(self, batch: Counter[int], found: Found[events.AnyView]) -> None:
        batch.update(event.video_id for _, event in found if isinstance(event, events.Detail))

    def store(self, step: Advance, batch: Counter[int], dead: Sequence[DeadLetter]) -> None:
        self.sink.apply_clicks(step, batch, dead)
