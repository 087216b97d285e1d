"""What every event log promises; an adapter's test subclasses EventLogContract and says how to make one."""

from __future__ import annotations

import asyncio
import re
import time
import uuid

import pytest

from models.errors import LogMismatch
from models.eventlog.port import EventLog, TopicState, partition_for
from tests.contract.eventlog_appends import EventLogAppends
from tests.contract.eventlog_base import (
    PARTITIONS,
    Join,
    Member,
    group_of,
    message,
    together,
)


class EventLogContract(EventLogAppends):
    """The whole specification; subclasses give ``log``, ``delete_topic`` and ``trim``."""

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

    async def test_owners_are_the_members_by_partition(self, log: EventLog, topic: str, join: Join) -> None:
        async with log.reader() as reader:
            assert not await reader.owners(group_of(topic), topic)
            member = await join(Member(log, topic, "a"))
            await member.until(lambda: len(member.owned) == PARTITIONS)
            owners = await reader.owners(group_of(topic), topic)
            assert set(owners) == set(range(PARTITIONS))
            assert len(set(owners.values())) == 1
            assert owners[0].member.startswith("a")
            assert not await reader.owners(f"other-{topic}", topic)

    async def test_times_are_those_of_the_first_records(self, log: EventLog, topic: str) -> None:
        now = time.time_ns() // 1_000_000
        positions = await self.append(log, [message(topic, i, timestamp=now + i) for i in range(20)])
        first: dict[int, int] = {}
        for number, position in enumerate(positions):
            first.setdefault(position.partition, now + number)
        lasts = {position.partition: (position.offset, now + number) for number, position in enumerate(positions)}
        async with log.reader() as reader:
            assert dict(await reader.times(topic, dict.fromkeys(first, 0))) == first
            assert dict(await reader.times(topic, {p: at for p, (at, _) in lasts.items()})) == {
                p: at for p, (_, at) in lasts.items()
            }
            ends = {p: end for p, (_, end) in (await reader.bounds(topic)).items()}
            assert not await reader.times(topic, ends)
            assert not await reader.times(topic, {})
            with pytest.raises(LogMismatch):
                await reader.times(topic, {positions[0].partition: ends[positions[0].partition] + 1})
            assert await reader.read(topic, positions[0].partition, 0, 1)

    async def test_offsets_at_are_the_first_that_are_not_earlier(self, log: EventLog, topic: str) -> None:
        now = time.time_ns() // 1_000_000
        minutes = [0, 5, 3, 9, 9, 4]
        positions = await self.append(log, [message(topic, 1, timestamp=now + m * 60_000) for m in minutes])
        partition = positions[0].partition
        async with log.reader() as reader:
            for minute, index in {-1: 0, 0: 0, 1: 1, 4: 1, 5: 1, 6: 3, 9: 3}.items():
                found = await reader.offsets_at(topic, now + minute * 60_000)
                assert dict(found) == {partition: positions[index].offset}, minute
            assert not await reader.offsets_at(topic, now + 10 * 60_000)
            assert dict(await reader.offsets_at(topic, -5)) == {partition: positions[0].offset}

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

    async def test_it_says_what_it_is(self, log: EventLog) -> None:
        async with log.admin() as admin:
            assert re.fullmatch(r"(SQLite|Kafka) \d+\.\d.*", await admin.version())

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
