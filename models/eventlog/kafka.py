"""The event log on Kafka 3 or 4, by aiokafka."""

from __future__ import annotations

from models.eventlog.kafka_reader import KafkaAdmin, KafkaReader
from models.eventlog.kafka_subscription import KafkaSubscription
from models.eventlog.kafka_writer import KafkaWriter
from models.eventlog.port import EventLog, OnAssigned, OnRevoked
from models.topics import Topics


class KafkaLog(EventLog):
    """
    The log of a Kafka cluster.

    Args:
        servers: ``host:port``, several separated by commas.
        topics: Gives the size limits, and which topics are known before the first append.
        timeout: Seconds after which an append is OutcomeUnknown.
    """

    def __init__(self, servers: str, topics: Topics, timeout: float = 2.0) -> None:
        self._servers, self._topics, self._timeout = servers, topics, timeout

    def writer(self) -> KafkaWriter:
        return KafkaWriter(self._servers, self._topics, self._timeout)

    def subscribe(
        self, group: str, member: str, topic: str, on_assigned: OnAssigned, on_revoked: OnRevoked
    ) -> KafkaSubscription:
        return KafkaSubscription(self._servers, (group, member, topic), (on_assigned, on_revoked))

    def reader(self) -> KafkaReader:
        return KafkaReader(self._servers)

    def admin(self) -> KafkaAdmin:
        return KafkaAdmin(self._servers)
