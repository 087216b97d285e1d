"""The embedded system, fresh for each test: a log with all topics, and both stores with their tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from models import topics
from models.eventlog.port import EventWriter, TopicState
from models.eventlog.sqlite import SqliteLog
from models.stores.plays_sqlite import SqlitePlays
from models.stores.port import Film
from models.stores.sql import SqlStore
from models.topics import Topics


@pytest.fixture(scope="session")
def contract() -> Topics:
    return topics.load(replication=1)


@pytest.fixture
async def log(tmp_path: Path, contract: Topics) -> SqliteLog:
    made = SqliteLog(tmp_path / "events.db", contract)
    async with made.admin() as admin:
        for name, topic in contract.by_name.items():
            await admin.create(name, TopicState(topic.partitions, 1, topic.config))
    return made


@pytest.fixture
async def writer(log: SqliteLog) -> AsyncIterator[EventWriter]:
    async with log.writer() as entered:
        yield entered


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'playtrail.db'}")) as store:
        store.create()
        store.load(Film(id=number, title=f"film {number}") for number in range(1, 10))
        yield store


@pytest.fixture
def plays(tmp_path: Path) -> Iterator[SqlitePlays]:
    with closing(SqlitePlays(tmp_path / "plays.db")) as store:
        store.create()
        yield store
