"""Records of one topic, read without a group, decoded, and counted when they cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import compress
from typing import Any, Final, NamedTuple

from consumers.replay.expression import Predicate
from consumers.replay.fields import Letter, text_of
from consumers.replay.ranges import Span
from models import events
from models.errors import LogMismatch, PoisonRecord
from models.eventlog.port import LogReader, Position, Record
from models.upcast import upcast

AT_ONCE: Final = 1_000
"""
Records asked for at once. What is decoded, filtered and written before the processor's cache forgets it costs half: of
a million records on a shared machine 2.4 s of processor time in thousands, and 3.3 s in ten thousands.
"""

LISTED: Final = 1_000
"""Positions of undecodable records that are kept; all are counted."""


class Batch(NamedTuple):
    """
    Records that follow each other in a partition, the event in each, and its JSON by the newest schema.

    ``bad`` has the offsets of those between them that are no events.
    """

    records: Sequence[Record]
    events: Sequence[Any]
    values: Sequence[bytes]
    bad: Sequence[int] = ()

    @classmethod
    def of(cls, rows: Sequence[tuple[Record, Any, bytes]], bad: Sequence[int] = ()) -> Batch:
        """A batch of rows."""
        return cls([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], bad)

    def where(self, wanted: Predicate) -> Batch:
        """The part of it that is wanted."""
        chosen = list(map(wanted, self.records, self.events))
        if all(chosen):
            return self
        records, found, values = (list(compress(column, chosen)) for column in self[:3])
        return Batch(records, found, values, self.bad)

    def first(self, count: int) -> Batch:
        """Its first ``count`` at most."""
        return Batch(self.records[:count], self.events[:count], self.values[:count], self.bad)


class Decoding:
    """
    Decodes records of one topic.

    Args:
        topic: One without events of its own (behavior.dead) gives ``Letter`` objects.
        strict: Raise PoisonRecord, with the position, for the first record that is no event.

    Attributes:
        bad: How many records were no events.
        places: Where the first of them stand.
    """

    def __init__(self, topic: str, strict: bool = False) -> None:
        self._topic, self._strict = topic, strict
        self._newest = events.NEWEST.get(topic)
        self.bad = 0
        self.places: list[Position] = []

    def batch(self, records: Sequence[Record]) -> Batch:
        """The events among the records."""
        values = [record.value for record in records]
        if self._newest is None:
            return Batch(records, [Letter(text_of(value)) for value in values], values)
        try:
            found = list(map(self._newest.decode, values))
        except (ValueError, TypeError, RecursionError):
            return self._one_by_one(records)
        if events.SCHEMA > 1 and any(event.schema < events.SCHEMA for event in found):
            return self._one_by_one(records)
        return Batch(records, found, values)

    def _one_by_one(self, records: Sequence[Record]) -> Batch:
        """There are undecodable or old records among these."""
        rows, bad = list[tuple[Record, Any, bytes]](), list[int]()
        for record in records:
            try:
                event = events.decode(self._topic, record.value)
            except PoisonRecord as error:
                self._count(record, error)
                bad.append(record.offset)
            else:
                rows.append((record, event, _json(event, record.value)))
        return Batch.of(rows, bad)

    def _count(self, record: Record, error: PoisonRecord) -> None:
        place = Position(record.topic, record.partition, record.offset)
        if self._strict:
            raise PoisonRecord(error.field, error.value, error.allowed, str(place)) from error
        self.bad += 1
        if len(self.places) < LISTED:
            self.places.append(place)


def _json(event: Any, value: bytes) -> bytes:
    """The value as it is, unless it is of an older version."""
    return events.encode(event) if upcast(value, events.SCHEMA) else value


async def walk(reader: LogReader, topic: str, span: Span) -> AsyncIterator[tuple[Sequence[Record], int]]:
    """
    The records of a span, and how many offsets each step has passed.

    What retention deletes meanwhile is passed over: it is not there any more for anybody.
    """
    offset = span.start
    while offset < span.end:
        try:
            records = await reader.read(topic, span.partition, offset, min(AT_ONCE, span.end - offset))
        except LogMismatch:
            first, end = (await reader.bounds(topic))[span.partition]
            if not offset < first <= end:
                raise
            records, following = [], min(first, span.end)
        else:
            records = [r for r in records if r.offset < span.end] if _beyond(records, span.end) else records
            following = records[-1].offset + 1 if records else span.end
        yield records, following - offset
        offset = following


def _beyond(records: Sequence[Record], end: int) -> bool:
    return bool(records) and records[-1].offset >= end
