"""What appending to the event log promises."""

from __future__ import annotations

import asyncio

import pytest

from models.errors import Refused
from models.eventlog.port import EventLog, Position, partition_for
from tests.contract.eventlog_base import (
    HEADERS,
    PARTITIONS,
    EventLogBase,
    Join,
    Member,
    message,
    until_ready,
)


class EventLogAppends(EventLogBase):
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
