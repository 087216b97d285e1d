"""Fixtures of the real servers: each starts once per run, when a test first asks for it, and stops at the end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TypeVar

import pytest

from tests.real.hbase import HBase
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB
from tests.real.processes import Server

_S = TypeVar("_S", bound=Server)


def _served(server: _S) -> Iterator[_S]:
    try:
        server.start()
        yield server
    finally:
        server.kill9()  # the folder is temporary: nothing is worth the seconds of an orderly stop


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The run's Kafka. A test that stops it starts it again before it ends."""
    yield from _served(Kafka(tmp_path_factory.mktemp("kafka"), quick=True))


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """The run's MariaDB. A test that stops it starts it again before it ends."""
    yield from _served(MariaDB(tmp_path_factory.mktemp("mariadb"), quick=True))


@pytest.fixture(scope="session")
def hbase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HBase]:
    """The run's HBase. A test that stops it starts it again before it ends."""
    yield from _served(HBase(tmp_path_factory.mktemp("hbase"), quick=True))


@pytest.fixture
def kafka_url(kafka: Kafka) -> str:
    """``kafka://127.0.0.1:PORT``; the topics of earlier tests are still there, so use names of your own."""
    return kafka.url


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty database, dropped after the test."""
    with mariadb.database(f"pt_{secrets.token_hex(4)}") as url:
        yield url


@pytest.fixture
def hbase_url(hbase: HBase) -> str:
    """``hbase://127.0.0.1:PORT?prefix=X`` with a prefix that no other test has."""
    return f"{hbase.url}?prefix=t{secrets.token_hex(4)}"
