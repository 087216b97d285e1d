"""The event log on a real Kafka: the contract, and what only a broker can do."""

from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from models import topics
from models.eventlog.kafka import KafkaLog
from models.eventlog.port import EventLog
from tests.contract.eventlog import EventLogContract

pytestmark = pytest.mark.real


class TestKafkaLog(EventLogContract):
    @pytest.fixture
    def servers(self, kafka_url: str) -> str:
        return kafka_url.removeprefix("kafka://")

    @pytest.fixture
    def log(self, servers: str) -> EventLog:
        return KafkaLog(servers, topics.load(replication=1))

    async def delete_topic(self, log: EventLog, topic: str) -> None:
        assert isinstance(log, KafkaLog)
        async with log.admin() as admin:
            await admin._admin.delete_topics([topic])
            while await admin.describe([topic]):
                pass

    async def trim(self, log: EventLog, topic: str, partition: int, before: int) -> None:
        assert isinstance(log, KafkaLog)
        admin = AIOKafkaAdminClient(bootstrap_servers=log._servers)
        await admin.start()
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)})
        await admin.close()
