"""The three servers answer, and MariaDB and Kafka keep what they acknowledged over stop, kill and start."""

from __future__ import annotations

import secrets

import happybase
import pymysql
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.real.hbase import HBase
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB

pytestmark = pytest.mark.real


async def _create(kafka: Kafka, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name=topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def _append(kafka: Kafka, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.address, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def _values(kafka: Kafka, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.address, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_kafka_keeps_records_over_stop_and_kill(kafka: Kafka) -> None:
    topic = f"servers-{secrets.token_hex(4)}"
    await _create(kafka, topic)
    await _append(kafka, topic, b"before the stop")
    kafka.stop()
    kafka.start()
    await _append(kafka, topic, b"before the kill")
    kafka.kill9()
    kafka.start()
    assert await _values(kafka, topic, 2) == [b"before the stop", b"before the kill"]


def _select(mariadb: MariaDB, database: str) -> list[int]:
    connection = mariadb.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT n FROM `{database}`.kept ORDER BY n")
            return [n for (n,) in cursor.fetchall()]
    finally:
        connection.close()


def test_mariadb_keeps_rows_over_stop_and_kill(mariadb: MariaDB, mariadb_url: str) -> None:
    database = mariadb_url.rpartition("/")[2]
    mariadb.execute(f"CREATE TABLE `{database}`.kept (n INT PRIMARY KEY) ENGINE=InnoDB")
    mariadb.execute(f"INSERT INTO `{database}`.kept VALUES (1)")
    mariadb.stop()
    mariadb.start()
    mariadb.execute(f"INSERT INTO `{database}`.kept VALUES (2)")
    mariadb.kill9()
    with pytest.raises(pymysql.OperationalError):
        mariadb.execute("SELECT 1")
    mariadb.start()
    assert _select(mariadb, database) == [1, 2]


def test_every_test_has_a_database_of_its_own(mariadb: MariaDB, mariadb_url: str) -> None:
    with mariadb.database("pt_other") as other:
        assert other != mariadb_url
    with pytest.raises(pymysql.OperationalError, match="Unknown database"):
        mariadb.execute("USE pt_other")


def test_hbase_keeps_the_largest_timestamp(hbase: HBase) -> None:
    connection = happybase.Connection("127.0.0.1", hbase.port, timeout=30_000)
    try:
        connection.create_table(name := f"t{secrets.token_hex(4)}", {"play": {"max_versions": 1}})
        table = connection.table(name)
        table.put(b"row", {b"play:times": b"new"}, timestamp=2)
        table.put(b"row", {b"play:times": b"old"}, timestamp=1)
        assert table.row(b"row") == {b"play:times": b"new"}
    finally:
        connection.close()


def test_hbase_answers_again_when_thrift_was_killed(hbase: HBase) -> None:
    hbase.thrift.kill9()
    hbase.start()
    hbase.ping()
