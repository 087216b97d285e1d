"""What every event log promises; an adapter's test subclasses EventLogContract and says how to make one."""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack

import pytest

from models.errors import LogMismatch, Refused, Unavailable
from models.eventlog.port import EventLog, Message, Position, Record, Subscription, TopicState, partition_for

PARTITIONS = 4
HEADERS = [("ce_type", b"playtrail.like"), ("empty", b""), ("b\u00fcyte", bytes(range(256)))]


def message(topic: str, key: object, value: bytes = b"{}", timestamp: int = 1_700_000_000_123) -> Message:
    return Message(topic, str(key).encode(), value, HEADERS, timestamp)


def group_of(topic: str) -> str:
    """A group of the topic's own: members that an earlier test has left behind do not delay this one."""
    return f"readers-{topic}"


class Member:
    """A subscription that starts every partition at ``start``, and notes what it was told and given."""

    def __init__(self, log: EventLog, topic: str, name: str = "a", group: str = "", start: int | None = 0) -> None:
        self.start = start
        self.failure: Exception | None = None
        self.owned: set[int] = set()
        self.revoked: set[int] = set()
        self.got: dict[int, list[Record]] = defaultdict(list)
        self.subscription: Subscription = log.subscribe(
            group or group_of(topic), name, topic, self._assigned, self._revoked
        )

    async def _assigned(self, partitions: Collection[int]) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.owned.update(partitions)
        for partition in partitions:
            if self.start is not None:
                self.subscription.seek(partition, self.start)

    async def _revoked(self, partitions: Collection[int]) -> None:
        self.owned.difference_update(partitions)
        self.revoked.update(partitions)

    async def poll(self, wait: float = 0.2, max_records: int = 1000) -> Mapping[int, Sequence[Record]]:
        found = await self.subscription.poll(wait, max_records)
        for partition, records in found.items():
            self.got[partition] += records
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.poll()

    async def until_count(self, count: int) -> None:
        await self.until(lambda: self.count() >= count)

    def count(self) -> int:
        return sum(map(len, self.got.values()))


Join = Callable[[Member], Awaitable[Member]]


class EventLogContract(ABC):
    """Subclasses give the fixture ``log`` and two ways to damage a topic from outside."""

    @pytest.fixture
    @abstractmethod
    def log(self) -> EventLog:
        """A log; topics of other tests may be in it."""

    @abstractmethod
    async def delete_topic(self, log: EventLog, topic: str) -> None:
        """Make the topic not exist."""

    @abstractmethod
    async def trim(self, log: EventLog, topic: str, partition: int, before: int) -> None:
        """Delete the records of a partition below an offset."""

    @pytest.fixture
    async def topic(self, log: EventLog) -> str:
        name = f"test.{uuid.uuid4()}"
        async with log.admin() as admin:
            await admin.create(name, TopicState(PARTITIONS, 1, {}))
        return name

    @pytest.fixture
    async def join(self) -> AsyncIterator[Join]:
        async with AsyncExitStack() as stack:

            async def enter(member: Member) -> Member:
                await stack.enter_async_context(member.subscription)
                return member

            yield enter

    async def append(self, log: EventLog, messages: Sequence[Message]) -> list[Position]:
        async with log.writer() as writer:
            await until_ready(writer.ready)
            return [await writer.append(m) for m in messages]

    async def test_offsets_of_one_key_ascend_in_one_partition(self, log: EventLog, topic: str) -> None:
        positions = await self.append(log, [message(topic, 7) for _ in range(5)])
        assert {(p.topic, p.partition) for p in positions} == {(topic, partition_for(b"7", PARTITIONS))}
        offsets = [p.offset for p in positions]
        assert offsets == sorted(set(offsets))

    async def test_the_partition_is_the_one_of_the_key(self, log: EventLog, topic: str) -> None:
        keys = range(20)
        positions = await self.append(log, [message(topic, key) for key in keys])
        assert [p.partition for p in positions] == [partition_for(b"%d" % key, PARTITIONS) for key in keys]

    async def test_a_record_is_read_as_it_was_written(self, log: EventLog, topic: str, join: Join) -> None:
        sent = message(topic, "key", b'{"a": "\xe7\x82\xb9"}', 1_234_567_890_123)
        (position,) = await self.append(log, [sent])
        member = await join(Member(log, topic))
        await member.until_count(1)
        async with log.reader() as reader:
            (read,) = await reader.read(topic, position.partition, position.offset, 10)
        for record in (member.got[position.partition][0], read):
            assert Position(record.topic, record.partition, record.offset) == position
            assert (record.key, record.value, record.timestamp) == (sent.key, sent.value, sent.timestamp)
            assert list(record.headers) == HEADERS

    async def test_concurrent_appends_are_all_there_once(self, log: EventLog, topic: str, join: Join) -> None:
        count = 2000
        async with log.writer() as writer:
            await until_ready(writer.ready)
            positions = await asyncio.gather(
                *(writer.append(message(topic, i % 50, str(i).encode())) for i in range(count))
            )
        assert len(set(positions)) == count
        member = await join(Member(log, topic))
        await member.until_count(count)
        got = {Position(r.topic, r.partition, r.offset): r.value for records in member.got.values() for r in records}
        assert got == {position: str(i).encode() for i, position in enumerate(positions)}

    async def test_one_task_keeps_the_order_of_a_key(self, log: EventLog, topic: str, join: Join) -> None:
        async with log.writer() as writer:
            await until_ready(writer.ready)

            async def task(key: int) -> None:
                for i in range(20):
                    await writer.append(message(topic, key, b"%d %d" % (key, i)))

            await asyncio.gather(*(task(key) for key in range(10)))
        member = await join(Member(log, topic))
        await member.until_count(200)
        values = [r.value for records in member.got.values() for r in records]
        for key in range(10):
            of_key = [v for v in values if v.startswith(b"%d " % key)]
            assert of_key == [b"%d %d" % (key, i) for i in range(20)]

    async def test_a_cancelled_append_disturbs_no_other(self, log: EventLog, topic: str) -> None:
        async with log.writer() as writer:
            await until_ready(writer.ready)
            tasks = [asyncio.create_task(writer.append(message(topic, i))) for i in range(20)]
            await asyncio.sleep(0)
            tasks[3].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[3], asyncio.CancelledError)
            assert all(isinstance(r, Position) for i, r in enumerate(results) if i != 3)
            assert isinstance(await writer.append(message(topic, 3)), Position)

    async def test_an_unknown_topic_is_refused(self, log: EventLog) -> None:
        async with log.writer() as writer, log.reader() as reader:
            await until_ready(writer.ready)
            for call in (
                writer.append(message("test.missing", 1)),
                reader.identity("test.missing"),
                reader.bounds("test.missing"),
                reader.read("test.missing", 0, 0, 1),
            ):
                with pytest.raises(Refused, match=r"test\.missing"):
                    await call

    async def test_an_unknown_partition_is_refused(self, log: EventLog, topic: str) -> None:
        async with log.reader() as reader:
            with pytest.raises(Refused, match="partition is 99"):
                await reader.read(topic, 99, 0, 1)

    async def test_a_record_too_large_is_refused_and_the_next_one_taken(self, log: EventLog, topic: str) -> None:
        async with log.writer() as writer:
            await until_ready(writer.ready)
            with pytest.raises(Refused, match="bytes"):
                await writer.append(message(topic, 1, b"x" * 2_000_000))
            assert isinstance(await writer.append(message(topic, 1)), Position)

    async def test_a_partition_is_silent_until_it_is_sought(self, log: EventLog, topic: str, join: Join) -> None:
        await self.append(log, [message(topic, i) for i in range(20)])
        member = await join(Member(log, topic, start=None))
        await member.until(lambda: len(member.owned) == PARTITIONS)
        assert not await member.poll()
        partition = partition_for(b"0", PARTITIONS)
        member.subscription.seek(partition, 0)
        await member.until_count(1)
        assert set(member.got) == {partition}

    async def test_seek_reads_again_from_there(self, log: EventLog, topic: str, join: Join) -> None:
        positions = await self.append(log, [message(topic, 1, b"%d" % i) for i in range(10)])
        member = await join(Member(log, topic))
        await member.until_count(10)
        member.got.clear()
        member.subscription.seek(positions[0].partition, positions[4].offset)
        await member.until_count(6)
        assert [r.value for r in member.got[positions[0].partition]] == [b"%d" % i for i in range(4, 10)]

    async def test_seek_of_a_partition_of_another_has_no_effect(self, log: EventLog, topic: str, join: Join) -> None:
        await self.append(log, [message(topic, 1)])
        member = await join(Member(log, topic))
        member.subscription.seek(99, 0)
        member.subscription.pause([99])
        member.subscription.resume([99])
        await member.until_count(1)

    async def test_no_more_than_max_records(self, log: EventLog, topic: str, join: Join) -> None:
        await self.append(log, [message(topic, i) for i in range(50)])
        member = await join(Member(log, topic))
        while member.count() < 50:
            found = await member.poll(max_records=7)
            assert sum(map(len, found.values())) <= 7
        for records in member.got.values():
            offsets = [r.offset for r in records]
            assert offsets == sorted(set(offsets))

    async def test_poll_wakes_for_what_is_appended_later(self, log: EventLog, topic: str, join: Join) -> None:
        member = await join(Member(log, topic))
        await member.until(lambda: len(member.owned) == PARTITIONS)
        polling = asyncio.create_task(member.poll(wait=60))
        await self.append(log, [message(topic, 1)])
        await polling
        assert member.count() == 1

    async def test_a_paused_partition_is_silent_and_keeps_its_position(
        self, log: EventLog, topic: str, join: Join
    ) -> None:
        partition = partition_for(b"1", PARTITIONS)
        await self.append(log, [message(topic, 1, b"first")])
        member = await join(Member(log, topic))
        await member.until_count(1)
        member.subscription.pause([partition])
        await self.append(log, [message(topic, 1, b"second")])
        assert not await member.poll()
        member.subscription.resume([partition])
        await member.until_count(2)
        assert [r.value for r in member.got[partition]] == [b"first", b"second"]

    async def test_committed_positions_are_a_copy_for_tools(self, log: EventLog, topic: str, join: Join) -> None:
        group = f"group-{uuid.uuid4()}"
        await self.append(log, [message(topic, i) for i in range(20)])
        member = await join(Member(log, topic, group=group))
        await member.until_count(20)
        async with log.reader() as reader:
            assert not await reader.committed(group, topic)
            await member.subscription.commit({1: 2, 3: 1})
            assert dict(await reader.committed(group, topic)) == {1: 2, 3: 1}
        member.got.clear()
        member.subscription.seek(1, 0)
        await member.until_count(1)
        assert member.got[1][0].offset == 0

    async def test_bounds_are_first_kept_and_next_given(self, log: EventLog, topic: str) -> None:
        async with log.reader() as reader:
            assert dict(await reader.bounds(topic)) == dict.fromkeys(range(PARTITIONS), (0, 0))
            positions = await self.append(log, [message(topic, 1) for _ in range(5)])
            bounds = await reader.bounds(topic)
        assert bounds[positions[0].partition] == (0, positions[-1].offset + 1)

    async def test_read_walks_a_partition_in_pieces(self, log: EventLog, topic: str) -> None:
        positions = await self.append(log, [message(topic, 1, b"%d" % i) for i in range(10)])
        partition, offset, values = positions[0].partition, 0, list[bytes]()
        async with log.reader() as reader:
            while records := await reader.read(topic, partition, offset, 4):
                assert len(records) <= 4
                values += [r.value for r in records]
                offset = records[-1].offset + 1
        assert values == [b"%d" % i for i in range(10)]

    async def test_a_reader_may_be_left_without_a_call(self, log: EventLog) -> None:
        async with log.reader():
            pass

    async def test_a_position_outside_of_the_log_is_a_mismatch(self, log: EventLog, topic: str, join: Join) -> None:
        (first, *_, last) = await self.append(log, [message(topic, 1) for _ in range(5)])
        await self.trim(log, topic, first.partition, 3)
        async with log.reader() as reader:
            assert (await reader.bounds(topic))[first.partition] == (3, last.offset + 1)
            assert [r.offset for r in await reader.read(topic, first.partition, 3, 10)] == [3, 4]
            for offset in (2, last.offset + 2):
                with pytest.raises(LogMismatch):
                    await reader.read(topic, first.partition, offset, 1)
        member = await join(Member(log, topic, start=None))
        await member.until(lambda: len(member.owned) == PARTITIONS)
        for offset in (2, last.offset + 2):
            member.subscription.seek(first.partition, offset)
            with pytest.raises(LogMismatch):
                await member.until_count(1)
        member.subscription.seek(first.partition, 3)
        await member.until_count(2)

    async def test_identity_is_another_after_the_topic_was_made_again(self, log: EventLog, topic: str) -> None:
        async with log.reader() as reader, log.admin() as admin:
            before = await reader.identity(topic)
            assert before == await reader.identity(topic)
            assert before.partitions == PARTITIONS
            await self.delete_topic(log, topic)
            await admin.create(topic, TopicState(PARTITIONS, 1, {}))
            after = await reader.identity(topic)
        assert after.topic != before.topic
        assert after.cluster == before.cluster != ""

    async def test_two_members_divide_the_partitions(self, log: EventLog, topic: str, join: Join) -> None:
        first = await join(Member(log, topic, "a"))
        await first.until(lambda: len(first.owned) == PARTITIONS)
        second = await join(Member(log, topic, "b"))
        await together(first, second, lambda: len(first.owned) == len(second.owned) == PARTITIONS // 2)
        assert first.owned | second.owned == set(range(PARTITIONS))
        assert first.revoked >= second.owned
        await self.append(log, [message(topic, i) for i in range(20)])
        await together(first, second, lambda: first.count() + second.count() == 20)
        assert set(first.got) <= first.owned
        assert set(second.got) <= second.owned

    async def test_groups_do_not_divide_with_each_other(self, log: EventLog, topic: str, join: Join) -> None:
        await self.append(log, [message(topic, i) for i in range(20)])
        first = await join(Member(log, topic, group=f"one-{topic}"))
        second = await join(Member(log, topic, group=f"two-{topic}"))
        await together(first, second, lambda: first.count() == second.count() == 20)

    async def test_a_member_that_comes_back_gets_its_partitions_back(
        self, log: EventLog, topic: str, join: Join
    ) -> None:
        async with Member(log, topic, "a").subscription as first:
            await first.poll(1.0, 10)
        again = await join(Member(log, topic, "a"))
        await again.until(lambda: len(again.owned) == PARTITIONS)

    async def test_a_failure_of_on_assigned_comes_out_of_poll_and_is_tried_again(
        self, log: EventLog, topic: str, join: Join
    ) -> None:
        await self.append(log, [message(topic, 1)])
        member = Member(log, topic)
        member.failure = OSError("the sink is away")
        await join(member)
        with pytest.raises(OSError, match="the sink is away"):
            await member.until_count(1)
        await member.until_count(1)
        assert member.owned == set(range(PARTITIONS))

    async def test_admin_creates_once_and_configures_key_by_key(self, log: EventLog) -> None:
        name = f"test.{uuid.uuid4()}"
        async with log.admin() as admin:
            assert not await admin.describe([name])
            await admin.create(name, TopicState(3, 1, {"retention.ms": "1000000"}))
            await admin.create(name, TopicState(5, 1, {}))
            assert await admin.describe([name, "test.missing"]) == {name: TopicState(3, 1, {"retention.ms": "1000000"})}
            await admin.configure(name, {"max.message.bytes": "2000000"})
            state = (await admin.describe([name]))[name]
        assert state.config == {"retention.ms": "1000000", "max.message.bytes": "2000000"}


async def until_ready(ready: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await ready()
        except Unavailable:
            await asyncio.sleep(0.02)


async def together(first: Member, second: Member, condition: Callable[[], bool]) -> None:
    """Poll both at once, since a rebalance needs every member to poll."""
    while not condition():
        await asyncio.gather(first.poll(), second.poll())
