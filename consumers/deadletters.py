"""Records that cannot be folded: the letter that keeps them, and when there are too many to go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from models.errors import PlaytrailError, PoisonRecord
from models.eventlog.port import Message, Record
from models.events import DEAD, Event
from models.lag.probe import is_probe
from models.stores.port import DeadLetter

E = TypeVar("E")
Ev = TypeVar("Ev", bound=Event)

IN_A_ROW: Final = 20
WINDOW: Final = 1_000


class TooManyDead(PlaytrailError):  # noqa: N818 -- the tree of errors is named by decisions
    """So many records are no events that the topic must hold something else: stop until an operator decides."""


class Limits:
    """
    Watches one partition: stops at more than ``in_a_row`` dead letters in a row, or at more than half of ``window``.

    The window is counted by batches and so may reach back a little further than ``window`` records.
    """

    def __init__(self, in_a_row: int = IN_A_ROW, window: int = WINDOW) -> None:
        self._in_a_row, self._window = in_a_row, window
        self._row = self._seen = self._dead = 0
        self._batches: deque[tuple[int, int]] = deque()

    def check(self, size: int, dead: Sequence[int]) -> None:
        """Count a batch of ``size`` records of which those with these indexes are dead; raises TooManyDead."""
        self._check_row(size, dead)
        self._batches.append((size, len(dead)))
        self._seen, self._dead = self._seen + size, self._dead + len(dead)
        while self._seen - self._batches[0][0] >= self._window:
            old_size, old_dead = self._batches.popleft()
            self._seen, self._dead = self._seen - old_size, self._dead - old_dead
        if self._dead * 2 > max(self._seen, self._window):
            raise TooManyDead(f"{self._dead} of the last {self._seen} records are no events of this topic")

    def _check_row(self, size: int, dead: Sequence[int]) -> None:
        previous = -1
        for index in dead:
            self._row = self._row + 1 if index == previous + 1 else 1
            previous = index
            if self._row > self._in_a_row:
                raise TooManyDead(f"more than {self._in_a_row} records in a row are no events of this topic")
        if previous != size - 1:
            self._row = 0


def decoded(
    projection: str, records: Sequence[Record], decode: Callable[[bytes], E], limits: Limits
) -> tuple[list[tuple[Record, E]], list[DeadLetter]]:
    """The events of a batch with their records, and letters for what is none; raises TooManyDead."""
    events: list[tuple[Record, E]] = []
    dead: list[DeadLetter] = []
    at: list[int] = []
    for index, record in enumerate(records):
        try:
            events.append((record, decode(record.value)))
        except PoisonRecord as error:
            if is_probe(record.value):
                continue
            dead.append(letter(projection, record, str(error)))
            at.append(index)
        except TypeError:  # Kafka has records without a value; they mean a deletion, which no topic of ours has
            dead.append(letter(projection, record, "value is None; allowed: an event of this topic"))
            at.append(index)
    limits.check(len(records), at)
    return events, dead


def last_id(last: Record, found: Sequence[tuple[Record, Event]]) -> str:
    """event_id of the last record of a batch, empty when it was no event."""
    return found[-1][1].event_id if found and found[-1][0].offset == last.offset else ""


def checked(event: Ev) -> Ev:
    """
    The event, if its event_id can be stored; raises PoisonRecord.

    Here and not in the decoder, where a pattern would double the cost of decoding.
    """
    if not event.event_id.isascii():
        raise PoisonRecord("event_id", event.event_id, "a UUID")
    return event


def letter(projection: str, record: Record, error: str) -> DeadLetter:
    """The dead letter of a record."""
    headers = [(name, (value or b"").decode("latin-1")) for name, value in record.headers]
    return DeadLetter(
        projection,
        record.topic,
        record.partition,
        record.offset,
        error,
        record.key,
        record.value or b"",
        msgspec.json.encode(headers).decode(),
        record.timestamp,
    )


def message(dead: DeadLetter) -> Message:
    """A letter as a record of behavior.dead: the original bytes, and where they came from in headers."""
    original = [(str(name), str(value).encode("latin-1")) for name, value in msgspec.json.decode(dead.headers)]
    added = [
        ("topic", dead.topic.encode()),
        ("partition", b"%d" % dead.partition),
        ("offset", b"%d" % dead.offset),
        ("error", dead.error.encode()),
        ("projection", dead.projection.encode()),
    ]
    return Message(DEAD, dead.key or b"", dead.value, [*original, *added], dead.at_ms)
