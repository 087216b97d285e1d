"""The process: several projections side by side, its /metrics and /health, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from consumers.service import THREADS, serve
from models import events
from models.errors import InvalidSetting, Refused, Unavailable
from models.eventlog.port import EventWriter
from models.eventlog.sqlite import SqliteLog
from models.stores.plays_sqlite import SqlitePlays
from models.stores.port import PlayRow
from models.stores.sql import SqlStore
from models.stores.sql_database import WRITERS
from models.topics import PROJECTIONS, Topics, load
from tests.consumers.acting import QUICK, until
from tests.consumers.making import append, junk, message

SESSION = "01890000-0000-7000-8000-000000000001"

Start = Callable[..., contextlib.AbstractAsyncContextManager["Service"]]


def test_each_partition_has_a_thread_and_each_thread_a_connection() -> None:
    assert sum(topic.partitions for topic in load().by_name.values() if topic.projections) <= THREADS <= WRITERS


class Service:
    """A service that runs; ``get`` asks one of its pages."""

    def __init__(self, task: asyncio.Task[int], address: asyncio.Future[tuple[str, int]]) -> None:
        self.task, self._address = task, address

    async def get(self, path: str) -> tuple[int, str]:
        host, port = await self._address
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as response:
            return response.status, await response.text()


@pytest.fixture
def start(log: SqliteLog, sql: SqlStore, plays: SqlitePlays, contract: Topics) -> Start:
    @contextlib.asynccontextmanager
    async def started(**changes: Any) -> AsyncIterator[Service]:
        stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
        arguments: dict[str, Any] = {
            "log": log, "topics": contract, "sql": sql, "plays": plays, "projections": PROJECTIONS, "member": "a",
            "metrics": ("127.0.0.1", 0), "stop": stop, "writer": log.writer(), "tuning": QUICK,
            "listening": lambda host, port: address.set_result((host, port)),
        }  # fmt: skip
        task = asyncio.create_task(serve(**{**arguments, **changes}))
        try:
            yield Service(task, address)
        finally:
            stop.set()
            await asyncio.wait([task])

    return started


async def test_all_projections_fold_and_the_end_is_good(
    start: Start, writer: EventWriter, sql: SqlStore, plays: SqlitePlays
) -> None:
    async with start() as service:
        await append(
            writer,
            message(events.Detail, video_id=1),
            message(events.Like, video_id=2),
            message(events.Ping, video_id=3, session=SESSION, seq=0, play_time=12),
            junk(events.PLAYS, 3),
        )
        await until(lambda: 3 in plays.rows([3]) and 2 in sql.counts([2]) and sql.videos([1])[1].clicks == 1)
        await until(lambda: len(sql.dead()) == 1)
        status, text = await service.get("/health")
        while text.count('"running"') < 18:
            await asyncio.sleep(QUICK.wait)
            status, text = await service.get("/health")
        assert status == 200
        status, text = await service.get("/metrics")
        assert status == 200
        assert 'playtrail_dead_letters_total{projection="plays",reason="value"} 1.0' in text
        assert 'playtrail_partition_state{partition="0",projection="views",state="running"} 1.0' in text
    assert service.task.result() == 0
    row = plays.rows([3])[3]
    assert row == PlayRow(1, 12, row.stamp)


async def test_health_is_503_and_names_the_partition_that_stopped(
    start: Start, writer: EventWriter, sql: SqlStore
) -> None:
    await append(writer, *(junk(events.VIEWS, 1) for _ in range(30)))
    async with start(projections=("views",)) as service:
        status, text = await service.get("/health")
        while status == 200:
            status, text = await service.get("/health")
            await asyncio.sleep(QUICK.wait)
        assert status == 503
        assert "more than 20 records in a row are no events of this topic" in text


async def test_it_ends_with_1_when_every_partition_has_stopped(start: Start, log: SqliteLog, sql: SqlStore) -> None:
    async with log.reader() as reader:
        identity = await reader.identity(events.VIEWS)
    for partition in range(identity.partitions):
        sql.open("views", events.VIEWS, partition, identity, 500)
    async with start(projections=("views",)) as service:
        assert await service.task == 1


async def test_it_waits_for_a_server_that_is_away_at_the_start(
    start: Start, writer: EventWriter, sql: SqlStore, plays: SqlitePlays, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, failures = plays.create, iter(range(3))

    def late() -> None:
        if next(failures, None) is not None:
            raise Unavailable("plays", "starting")
        create()

    monkeypatch.setattr(plays, "create", late)
    await append(writer, message(events.Detail, video_id=1))
    async with start() as service:
        await until(lambda: sql.videos([1])[1].clicks == 1)
    assert service.task.result() == 0
    assert next(failures, None) is None


async def test_an_address_in_use_is_refused_in_one_line(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with start(metrics=taken.getsockname()) as service:
            with pytest.raises(InvalidSetting, match=r"PLAYTRAIL_METRICS is '127[.]0[.]0[.]1:"):
                await service.task


async def test_a_topic_that_does_not_exist_is_refused(
    start: Start, sql: SqlStore, contract: Topics, tmp_path: Any
) -> None:
    async with start(log=SqliteLog(tmp_path / "other.db", contract), writer=None, metrics=None) as service:
        with pytest.raises(Refused, match="topic is 'behavior"):
            await service.task


async def test_it_ends_with_1_when_another_process_took_its_name(start: Start, plays: SqlitePlays) -> None:
    async with start(projections=("plays",)) as first:
        await until(lambda: len(plays.positions("plays", events.PLAYS)) == 6)
        async with start(projections=("plays",)):
            assert await first.task == 1
