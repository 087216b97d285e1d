"""The log and the stores of the simulator keep the promises of the real ones: the contract suites."""

from __future__ import annotations

import pytest

from models.eventlog.port import EventLog
from models.stores.port import PlayStores, SqlStores
from tests.contract.eventlog import EventLogContract
from tests.contract.play_stores import Make, PlayStoresContract
from tests.contract.sql_positions import SqlPositionsContract
from tests.contract.sql_reactions import SqlReactionsContract
from tests.simulator.memory_broker import Broker
from tests.simulator.memory_catalogue import MemoryStores
from tests.simulator.memory_log import MemoryLog
from tests.simulator.memory_plays import MemoryPlays, PlayData
from tests.simulator.memory_sql import SqlData


class TestMemoryLog(EventLogContract):
    """All but what a server says of itself: this one has no version."""

    test_it_says_what_it_is = None  # type: ignore[assignment]  # does not apply, see above

    @pytest.fixture
    def log(self) -> EventLog:
        return MemoryLog(Broker())

    async def delete_topic(self, log: EventLog, topic: str) -> None:
        assert isinstance(log, MemoryLog)
        del log.broker.topics[topic]

    async def trim(self, log: EventLog, topic: str, partition: int, before: int) -> None:
        assert isinstance(log, MemoryLog)
        log.broker.topics[topic].trim(partition, before)


class TestMemorySql(SqlPositionsContract, SqlReactionsContract):
    """Positions, reactions and clicks; not what looks at SQL statements or needs a second process."""

    test_statuses_are_one_query = None  # type: ignore[assignment]  # does not apply, see above
    test_a_killed_process_leaves_whole_steps = None  # type: ignore[assignment]  # does not apply, see above

    @pytest.fixture
    def url(self, request: pytest.FixtureRequest) -> str:
        self._data = SqlData()
        return "memory:"

    def connect(self, url: str) -> SqlStores:
        return MemoryStores(self._data)


class TestMemoryPlays(PlayStoresContract):
    @pytest.fixture
    def make(self) -> Make:
        data = PlayData()

        def another() -> PlayStores:
            return MemoryPlays(data)

        return another
