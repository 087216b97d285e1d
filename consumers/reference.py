"""
The plainest fold there is of each topic, in memory: what a rebuilt version is compared with before anybody reads it.

It shares with the projections what an event means, and nothing of how they store: no batches, guards or transactions.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from consumers import plays
from consumers.reactions import newest
from consumers.sessions import Sessions
from models import events
from models.errors import PoisonRecord
from models.eventlog.port import Record
from models.stores.port import Kind
from models.stores.versions import Row

_FORGET_EVERY: Final = 100_000


class Digest(NamedTuple):
    """What is compared: how many rows, the sum of their amounts, and a checksum of all, in whatever order."""

    rows: int
    total: int
    checksum: int


def digest(rows: Iterable[Row]) -> Digest:
    """Of the rows of a read model."""
    count = total = checksum = 0
    for key, amount, value in rows:
        count, total = count + 1, total + amount
        text = f"{key}\0{amount}\0{value}".encode()
        checksum += int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return Digest(count, total, checksum & (1 << 64) - 1)


class Reference(ABC):
    """The fold of one topic; partitions may be given in turns, each in its order."""

    @abstractmethod
    def add(self, records: Sequence[Record]) -> None:
        """Fold records of one partition; what is no event is skipped, as a dead letter is."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """What the read model must hold, as Versions.contents gives it."""


class ReactionsReference(Reference):
    """The newest word of each viewer on each target."""

    def __init__(self) -> None:
        self._newest: dict[tuple[Kind, int, int], tuple[str, int]] = {}

    def add(self, records: Sequence[Record]) -> None:
        found = []
        for record in records:
            try:
                found.append((record, events.decode_reaction(record.value)))
            except (PoisonRecord, TypeError):
                continue
        for kind, user, target, status, event_id, _ in newest(found):
            key = (kind, user, target)
            self._newest[key] = max(self._newest.get(key, ("", 0)), (event_id, status))

    def rows(self) -> Iterator[Row]:
        counts: Counter[tuple[str, int]] = Counter()
        for (kind, user, target), (event_id, status) in self._newest.items():
            counts[kind, target] += status
            yield Row(f"{kind}/{user}/{target}", status, event_id)
        yield from (Row(f"{kind}s/{target}", number) for (kind, target), number in counts.items() if number)


class ViewsReference(Reference):
    """Clicks by video."""

    def __init__(self) -> None:
        self._clicks: Counter[int] = Counter()

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                event = events.decode_view(record.value)
            except (PoisonRecord, TypeError):
                continue
            if isinstance(event, events.Detail):
                self._clicks[event.video_id] += 1

    def rows(self) -> Iterator[Row]:
        return (Row(str(video), clicks) for video, clicks in self._clicks.items())


class PlaysReference(Reference):
    """Plays and seconds by video; sessions are forgotten by the time of the records, so by partition."""

    def __init__(self) -> None:
        self._sessions: defaultdict[int, Sessions] = defaultdict(Sessions)
        self._times: Counter[int] = Counter()
        self._seconds: Counter[int] = Counter()
        self._since = 0

    def add(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                event, session = plays.decode(record.value)
            except (PoisonRecord, TypeError):
                continue
            sessions = self._sessions[record.partition]
            sessions.advance(record.offset, record.timestamp)
            times, seconds = sessions.observe(session, event.play_time)
            if times or seconds:
                self._times[event.video_id] += times
                self._seconds[event.video_id] += seconds
        self._since += len(records)
        if self._since > _FORGET_EVERY:
            self._since = 0
            for sessions in self._sessions.values():
                sessions.saved()

    def rows(self) -> Iterator[Row]:
        return (Row(str(video), self._seconds[video], str(times)) for video, times in self._times.items())


REFERENCES: Final[Mapping[str, Callable[[], Reference]]] = {
    "reactions": ReactionsReference,
    "views": ViewsReference,
    "plays": PlaysReference,
}
"""By projection."""
