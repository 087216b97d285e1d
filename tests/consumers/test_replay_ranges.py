"""What --from and --to say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from consumers.replay.ranges import Moment, Offsets, Pinned, Span, parse, pin
from models.errors import Refused
from models.eventlog.port import Message, TopicState
from tests.simulator.memory_broker import Broker
from tests.simulator.memory_log import MemoryLog

NOW = 1_764_000_000_000


def at(*parts: int) -> Moment:
    return Moment(round(datetime(*parts, tzinfo=UTC).timestamp() * 1000))  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2026-11-24", at(2026, 11, 24)),
        ("2026-11-24T06:30", at(2026, 11, 24, 6, 30)),
        ("2026-11-24 06:30:15Z", at(2026, 11, 24, 6, 30, 15)),
        ("2026-11-24T06:30:00.250+08:00", Moment(at(2026, 11, 23, 22, 30).ms + 250)),
        ("-48h", Moment(NOW - 48 * 3_600_000)),
        ("-90s", Moment(NOW - 90_000)),
        ("-2w", Moment(NOW - 14 * 86_400_000)),
        ("now", Moment(NOW)),
        ("1764000000", Moment(NOW)),
        ("1764000000123", Moment(NOW + 123)),
        ("@0", Offsets(0, {})),
        (" @120 ", Offsets(120, {})),
        ("@0:120,3:7", Offsets(None, {0: 120, 3: 7})),
    ],
)
def test_every_way_to_say_when(text: str, meaning: Moment | Offsets) -> None:
    assert parse("--from", text, NOW) == meaning


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "-48", "48h", "-1.5h", "20261124", "2026-13-01", "2026-11-24T25:00", "@", "@-1", "@1:", "@1:2,",
     "@1:2,1:3", "@x", "1764", "17640000001234567", "２０２６-11-24"],
)  # fmt: skip
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="--to is "):
        parse("--to", text, NOW)


@pytest.fixture
def broker() -> Broker:
    """Three partitions: one that retention has cut at 2, with times 30, 10, 20; one with the time 5; one empty."""
    broker = Broker()
    broker.create("t", TopicState(3, 1, {}))
    for time, key in ((1, b"0"), (2, b"0"), (30, b"0"), (10, b"0"), (20, b"0"), (5, b"1")):
        broker.append(Message("t", key, b"", [], time))
    broker.topic("t").trim(_partitions(broker)[0], 2)
    return broker


async def pinned(
    broker: Broker, begin: Moment | Offsets | None, end: Moment | Offsets | None, slack: int = 0
) -> Pinned:
    async with MemoryLog(broker).reader() as reader:
        return await pin(reader, "t", begin, end, slack)


def _partitions(broker: Broker) -> tuple[int, int]:
    """The long one, and the one with a single record."""
    ends = broker.topic("t").end
    return ends.index(5), ends.index(1)


async def test_everything_by_default(broker: Broker) -> None:
    long, short = _partitions(broker)
    found = await pinned(broker, None, None)
    assert found.spans == tuple(sorted([Span(long, 2, 5), Span(short, 0, 1)]))
    assert found.bounds[long] == (2, 5)
    assert (found.since, found.until) == (None, None)


async def test_times_become_offsets_and_slack_reaches_further(broker: Broker) -> None:
    long, _ = _partitions(broker)
    found = await pinned(broker, Moment(6), Moment(15))
    assert found.spans == ()  # what is at 2 is not earlier than 15, so nothing later is looked for
    assert (found.since, found.until) == (6, 15)
    assert (await pinned(broker, Moment(6), Moment(15), slack=16)).spans == (Span(long, 2, 5),)


async def test_offsets_are_cut_to_what_there_is(broker: Broker) -> None:
    long, short = _partitions(broker)
    found = await pinned(broker, Offsets(1, {}), Offsets(4, {}))
    assert found.spans == (Span(long, 2, 4),)
    found = await pinned(broker, Offsets(None, {long: 3}), None)
    assert found.spans == tuple(sorted([Span(long, 3, 5), Span(short, 0, 1)]))


async def test_single_offsets_that_are_not_there_are_refused(broker: Broker) -> None:
    long, _ = _partitions(broker)
    for offsets, text in (({long: 1}, "2 to 5"), ({long: 6}, "2 to 5"), ({3: 0}, "a partition, 0 to 2")):
        with pytest.raises(Refused, match=text):
            await pinned(broker, Offsets(None, offsets), None)
