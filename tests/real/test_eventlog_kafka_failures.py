"""What the Kafka log does while its broker is away, slow, or refuses a batch."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import signal
import uuid
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from models import topics
from models.errors import OutcomeUnknown, Unavailable
from models.eventlog.kafka import KafkaLog
from models.eventlog.kafka_writer import KafkaWriter
from models.eventlog.port import EventWriter, LogReader, Position, TopicState
from tests.contract.eventlog_base import PARTITIONS, Member, group_of, message, until_ready
from tests.real.kafka import Kafka
from tests.real.processes import free_port

pytestmark = pytest.mark.real

TIMEOUT = 1.0


@pytest.fixture
def log(kafka: Kafka) -> KafkaLog:
    return KafkaLog(kafka.address, topics.load(replication=1), TIMEOUT)


@pytest.fixture
async def topic(log: KafkaLog) -> str:
    name = f"test.{uuid.uuid4()}"
    async with log.admin() as admin:
        await admin.create(name, TopicState(PARTITIONS, 1, {}))
    return name


@asynccontextmanager
async def stopped(kafka: Kafka) -> AsyncIterator[None]:
    """Kafka is killed, and starts again on the same data."""
    await asyncio.to_thread(kafka.kill9)
    try:
        yield
    finally:
        await asyncio.to_thread(kafka.start)


@asynccontextmanager
async def frozen(kafka: Kafka) -> AsyncIterator[None]:
    """Kafka holds its connections and answers nothing."""
    for process in kafka.processes:
        process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in kafka.processes:
            process.send(signal.SIGCONT)


async def append_at_last(writer: EventWriter, topic: str, key: object) -> Position:
    """Append again, as the spool does, until the log has it."""
    while True:
        try:
            return await writer.append(message(topic, key))
        except (Unavailable, OutcomeUnknown):
            await asyncio.sleep(0.1)


async def records_in(reader: LogReader, topic: str) -> int:
    return sum(end for _, end in (await reader.bounds(topic)).values())


async def test_nobody_there_is_unavailable_and_delays_nobody() -> None:
    log = KafkaLog(f"127.0.0.1:{free_port()}", topics.load(), TIMEOUT)
    async with log.writer() as writer:
        with pytest.raises(Unavailable):
            await writer.append(message("behavior.plays", 1))
        with pytest.raises(Unavailable):
            await writer.ready()
    for role in (log.reader(), log.admin(), Member(log, "behavior.plays").subscription):
        with pytest.raises(Unavailable):
            await role.__aenter__()


async def test_a_start_that_is_cancelled_leaves_no_socket(log: KafkaLog, topic: str) -> None:
    warned = list[str]()
    with pytest.MonkeyPatch.context() as patch:  # a warning in __del__ would be an error there, and close nothing
        patch.setattr(warnings, "warn", lambda message, *_, **__: warned.append(str(message)))
        for step in range(40):
            for role in (log.reader(), log.admin(), Member(log, topic).subscription):
                starting = asyncio.create_task(role.__aenter__())
                await asyncio.sleep(step * 0.0003)
                starting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await starting
                    await role.__aexit__()
        gc.collect()
    assert warned == []


async def test_a_writer_that_came_first_finds_the_broker(log: KafkaLog, topic: str, kafka: Kafka) -> None:
    async with stopped(kafka):
        writer = await log.writer().__aenter__()
        with pytest.raises(Unavailable):
            await writer.append(message(topic, 1))
    await until_ready(writer.ready)
    assert (await append_at_last(writer, topic, 1)).offset == 0
    await writer.__aexit__()


async def test_a_broker_that_dies_leaves_the_outcome_unknown_in_time(log: KafkaLog, topic: str, kafka: Kafka) -> None:
    async with log.writer() as writer, log.reader() as reader:
        await until_ready(writer.ready)
        before = [await writer.append(message(topic, i)) for i in range(20)]
        async with stopped(kafka):
            async with asyncio.timeout(20 * TIMEOUT):
                with pytest.raises(OutcomeUnknown, match="did not answer"):
                    await writer.append(message(topic, 1))
                with pytest.raises(Unavailable):
                    await writer.ready()
        position = await append_at_last(writer, topic, 1)
        for kept in before:
            assert [r.key for r in await reader.read(topic, kept.partition, kept.offset, 1)]
        assert position not in before


async def test_a_frozen_broker_gets_every_record_once_it_goes_on(log: KafkaLog, topic: str, kafka: Kafka) -> None:
    async with log.writer() as writer, log.reader() as reader:
        await until_ready(writer.ready)
        await writer.append(message(topic, 1))
        async with frozen(kafka):
            results = await asyncio.gather(
                *(writer.append(message(topic, i)) for i in range(100)), return_exceptions=True
            )
            assert {type(result) for result in results} == {OutcomeUnknown}
        await append_at_last(writer, topic, 1)
        # aiokafka still had them: unknown is not lost.
        while await records_in(reader, topic) < 102:  # noqa: ASYNC110 -- the broker tells nobody
            await asyncio.sleep(0.05)


async def test_a_full_buffer_is_unavailable_in_time(log: KafkaLog, topic: str, kafka: Kafka) -> None:
    async with log.writer() as writer:
        await until_ready(writer.ready)
        await writer.append(message(topic, 1))
        async with frozen(kafka), asyncio.timeout(20 * TIMEOUT):
            big = b"x" * 50_000
            results = await asyncio.gather(
                *(writer.append(message(topic, 1, big)) for _ in range(40)), return_exceptions=True
            )
        assert {type(result) for result in results} == {OutcomeUnknown, Unavailable}


async def test_leaving_is_bounded_while_the_broker_is_frozen(log: KafkaLog, topic: str, kafka: Kafka) -> None:
    writer = await log.writer().__aenter__()
    await until_ready(writer.ready)
    await writer.append(message(topic, 1))
    member = Member(log, topic)
    await member.subscription.__aenter__()
    await member.until(lambda: len(member.owned) == PARTITIONS)
    async with frozen(kafka):
        appending = asyncio.create_task(writer.append(message(topic, 1)))
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await writer.__aexit__()
        with pytest.raises(OutcomeUnknown):
            await appending
        with pytest.raises(Unavailable, match="closed"):
            await writer.append(message(topic, 1))
        async with asyncio.timeout(10):
            await member.subscription.__aexit__()


async def test_a_poisoned_producer_is_replaced(log: KafkaLog, topic: str) -> None:
    async with log.writer() as writer, log.admin() as admin:
        await until_ready(writer.ready)
        await writer.append(message(topic, 1))
        await admin.configure(topic, {"max.message.bytes": "1000"})
        with pytest.raises(OutcomeUnknown, match="MessageSizeTooLarge"):
            await writer.append(message(topic, 1, random.randbytes(5000)))
        assert (await append_at_last(writer, topic, 1)).offset == 1
        assert isinstance(writer, KafkaWriter)
        assert writer.replacements == 1


async def test_a_record_larger_than_a_batch_is_taken(log: KafkaLog, topic: str) -> None:
    async with log.writer() as writer:
        await until_ready(writer.ready)
        assert (await writer.append(message(topic, 1, b"x" * 600_000))).offset == 0


async def test_a_member_reports_and_survives_a_broker_that_dies(log: KafkaLog, topic: str, kafka: Kafka) -> None:
    member = Member(log, topic)
    async with log.writer() as writer, member.subscription:
        await append_at_last(writer, topic, 1)
        await member.until_count(1)
        async with stopped(kafka):
            with pytest.raises(Unavailable):
                await member.until_count(2)
        await append_at_last(writer, topic, 1)
        while member.count() < 2:
            try:
                await member.poll()
            except Unavailable:
                await asyncio.sleep(0.1)


async def test_a_partition_without_a_leader_is_asked_for_now_and_then(log: KafkaLog, topic: str) -> None:
    async with log.writer() as writer:
        await append_at_last(writer, topic, 1)
        client, asked = writer._producer.client, 0
        cluster, ask = client.cluster, client._metadata_update

        async def counted(*arguments: object) -> object:
            nonlocal asked
            asked += 1
            return await ask(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "_metadata_update", counted)
            patch.setattr(cluster, "leader_for_partition", lambda _: -1)
            with pytest.raises(OutcomeUnknown):
                await writer.append(message(topic, 1))
        assert 1 <= asked < 20 * TIMEOUT  # aiokafka alone: thousands
        await append_at_last(writer, topic, 1)
        assert writer.replacements == 0


async def test_a_consumer_that_has_died_is_made_again(log: KafkaLog, topic: str) -> None:
    member = Member(log, topic)
    subscription = log.subscribe(group_of(topic), "a", topic, member._assigned, member._revoked)
    member.subscription = subscription
    async with log.writer() as writer, subscription:
        await append_at_last(writer, topic, 1)
        await member.until_count(1)
        coordinator = subscription._consumer._coordinator

        async def fail(*_: object) -> None:
            raise RuntimeError("a bug of the driver")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(coordinator, "ensure_active_group", fail)
            coordinator.request_rejoin()
            with pytest.raises(Unavailable, match="a bug of the driver"):
                await member.until_count(2)
        await member.until(lambda: member.count() >= 2 and len(member.owned) == PARTITIONS)
        assert member.revoked == set(range(PARTITIONS))
