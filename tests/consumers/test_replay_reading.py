"""Spans of a log that changes while it is read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from consumers.replay import ranges
from consumers.replay.files import chunks
from consumers.replay.ranges import Span
from consumers.replay.reading import Batch, Decoding, walk
from consumers.replay.run import Replay
from consumers.replay.sinks import Sink, Tally
from models import events
from models.errors import LogMismatch
from models.eventlog.port import Message, TopicState
from models.events import VIEWS, Detail
from tests.models.test_events import make
from tests.simulator.memory_broker import Broker
from tests.simulator.memory_log import MemoryLog


class Taken(Sink):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.offsets: list[tuple[int, int]] = []
        self.tallies: dict[Span, Tally] = {}

    def add(self, span: Span, batch: Batch) -> None:
        self.offsets += [(span.partition, record.offset) for record in batch.records]

    async def end(self, span: Span, tally: Tally) -> None:
        self.tallies[span] = tally


def append(broker: Broker, count: int, value: bytes = b"") -> list[tuple[int, int]]:
    value = value or events.encode(make(Detail))
    places = [broker.append(Message(VIEWS, b"%d" % n, value, [], 1_764_000_000_000)) for n in range(count)]
    return sorted((place.partition, place.offset) for place in places)


@pytest.fixture
def gaps() -> Iterator[int]:
    return itertools.cycle([0, 0, 3, 0, 1])


@pytest.fixture
def broker(gaps: Iterator[int]) -> Broker:
    """A log whose offsets have gaps, as those of transactions and of compaction."""
    broker = Broker(gap=lambda: next(gaps))
    broker.create(VIEWS, TopicState(4, 1, {}))
    return broker


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.replay.reading.AT_ONCE", 7)


async def replayed(broker: Broker, sink: Taken, spans: tuple[Span, ...], limit: int | None = None) -> Replay:
    work = Replay(MemoryLog(broker), Decoding(VIEWS), sink, topic=VIEWS, limit=limit)
    await work.run(spans)
    return work


async def pinned(broker: Broker) -> tuple[Span, ...]:
    async with MemoryLog(broker).reader() as reader:
        return (await ranges.pin(reader, VIEWS, None, None, 0)).spans


async def test_ends_are_pinned_for_all_partitions_at_once(broker: Broker) -> None:
    before = append(broker, 100)
    spans = await pinned(broker)
    append(broker, 100)
    sink = Taken()
    work = await replayed(broker, sink, spans)
    assert sorted(sink.offsets) == before
    assert (work.report.records, work.report.events) == (100, 100)
    assert {span.end for span in spans} == {tally.end for tally in sink.tallies.values()}


async def test_chunks_are_the_same_whatever_the_range_begins_with(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.replay.files.CHUNK", 10)
    assert chunks([Span(0, 3, 25), Span(2, 10, 20), Span(3, 5, 6)]) == [
        Span(0, 3, 10), Span(0, 10, 20), Span(0, 20, 25), Span(2, 10, 20), Span(3, 5, 6),
    ]  # fmt: skip
    expected = append(broker, 200)
    sink = Taken()
    await replayed(broker, sink, tuple(chunks(await pinned(broker))))
    assert sorted(sink.offsets) == expected


async def test_what_retention_deletes_meanwhile_is_passed_over(broker: Broker) -> None:
    append(broker, 400)
    span = (await pinned(broker))[0]
    topic, found = broker.topic(VIEWS), list[int]()
    async with MemoryLog(broker).reader() as reader:
        async for records, _ in walk(reader, VIEWS, span):
            found += [record.offset for record in records]
            if len(found) == 7 and topic.first[span.partition] == span.start:
                kept = topic.records[span.partition][15].offset
                topic.trim(span.partition, kept)
    every = [record.offset for record in topic.records[span.partition]]
    assert found[7:] == every


async def test_a_topic_that_was_made_again_is_no_topic_to_go_on_with(broker: Broker) -> None:
    append(broker, 100)
    span = (await pinned(broker))[0]
    async with MemoryLog(broker).reader() as reader:
        steps = walk(reader, VIEWS, span)
        await anext(steps)
        del broker.topics[VIEWS]
        broker.create(VIEWS, TopicState(4, 1, {}))
        with pytest.raises(LogMismatch):
            await anext(steps)


async def test_undecodable_records_are_told_by_span(broker: Broker) -> None:
    append(broker, 30)
    broken = append(broker, 3, b"{}")
    sink = Taken()
    await replayed(broker, sink, await pinned(broker))
    assert len(sink.offsets) == 30
    told = [(span.partition, offset) for span, tally in sink.tallies.items() for offset in tally.undecodable]
    assert sorted(told) == broken


async def test_a_limit_ends_a_span_where_it_was_reached(broker: Broker) -> None:
    places = append(broker, 100)
    sink = Taken()
    work = await replayed(broker, sink, await pinned(broker), limit=10)
    assert sink.offsets == places[:10]
    assert work.report.events == 10
