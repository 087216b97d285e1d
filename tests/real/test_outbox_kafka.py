"""The outbox before a real Kafka that is killed, or frozen, under its clients."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from models import topics
from models.clock import SystemClock
from models.eventlog.kafka import KafkaLog
from models.eventlog.port import LogReader, TopicState
from models.eventlog.spool import Outbox, Receipt
from tests.contract.eventlog_base import PARTITIONS, until_ready
from tests.models.fake_writer import message
from tests.models.outboxes import until
from tests.real.kafka import Kafka

pytestmark = pytest.mark.real

CLIENTS = 32


def kill(kafka: Kafka) -> None:
    kafka.kill9()


def start(kafka: Kafka) -> None:
    kafka.start()


def freeze(kafka: Kafka) -> None:
    for process in kafka.processes:
        process.send(signal.SIGSTOP)


def thaw(kafka: Kafka) -> None:
    for process in kafka.processes:
        process.send(signal.SIGCONT)


@pytest.fixture
def log(kafka: Kafka) -> KafkaLog:
    return KafkaLog(kafka.address, topics.load(replication=1), 1.0)


@pytest.fixture
async def topic(log: KafkaLog) -> str:
    name = f"test.{uuid.uuid4()}"
    async with log.admin() as admin:
        await admin.create(name, TopicState(PARTITIONS, 1, {}))
    return name


@pytest.mark.parametrize(("away", "back"), [(kill, start), (freeze, thaw)])
async def test_clients_are_answered_throughout_and_the_log_has_it_all_in_order(
    away: Callable[[Kafka], None],
    back: Callable[[Kafka], None],
    kafka: Kafka,
    log: KafkaLog,
    topic: str,
    tmp_path: Path,
) -> None:
    answers: defaultdict[int, list[Receipt]] = defaultdict(list)
    leaving = asyncio.Event()

    async def client(key: int) -> None:
        while not leaving.is_set():
            receipt = await outbox.append(message(len(answers[key]), key=b"%d" % key, topic=topic))
            answers[key].append(receipt)
            await asyncio.sleep(0.01)

    def last(durable: str) -> Callable[[], bool]:
        return lambda: (
            len(answers) == CLIENTS and all(found[-1:] and found[-1].durable == durable for found in answers.values())
        )

    writer = log.writer()
    async with Outbox(writer, tmp_path / "spool.db", clock=SystemClock()) as outbox:
        await until_ready(writer.ready)
        clients = [asyncio.create_task(client(key)) for key in range(CLIENTS)]
        await until(last("log"))
        await asyncio.to_thread(away, kafka)
        try:
            await until(last("spool"))
            await until(lambda: outbox.status().events >= 20 * CLIENTS)
        finally:
            await asyncio.to_thread(back, kafka)
        await until(last("log"))
        leaving.set()
        await asyncio.gather(*clients)
    async with log.reader() as reader:
        found = await first_seen(reader, topic)
    assert found == {key: list(range(len(mine))) for key, mine in answers.items()}


async def first_seen(reader: LogReader, topic: str) -> dict[int, list[int]]:
    """Per key, the numbers in the log in the order in which each was first seen."""
    found: defaultdict[int, dict[int, None]] = defaultdict(dict)
    for partition, (start_offset, end) in (await reader.bounds(topic)).items():
        position = start_offset
        while position < end:
            records = await reader.read(topic, partition, position, 5_000)
            for record in records:
                assert record.key is not None
                found[int(record.key)].setdefault(int(record.value))
            position = records[-1].offset + 1
    return {key: list(numbers) for key, numbers in found.items()}
