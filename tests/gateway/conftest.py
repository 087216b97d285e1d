"""A real gateway on the embedded adapters, in a folder of its own, with a small catalogue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from consumers.service import serve as consume
from gateway.app import Parts, make_app
from gateway.auth import issue
from models import settings, topics
from models.clock import SystemClock
from models.errors import Unavailable
from models.eventlog.plan import carry_out
from models.eventlog.port import EventWriter, Record
from models.eventlog.spool import Outbox
from models.eventlog.sqlite import SqliteLog
from models.stores.plays_sqlite import SqlitePlays
from models.stores.port import Checkpoint, Film, Kind, Pair, PlayRow, States, Top, Video
from models.stores.sql import SqlStore

SECRET = "a secret of the tests, 32 bytes or more"
ORIGIN = "https://pages.example"
Json = dict[str, Any]


class BreakableSql(SqlStore):
    """The real store, behind a switch: ``away`` makes its reads fail as a server that is away does."""

    away = False

    def _there(self) -> None:
        if self.away:
            raise Unavailable("sql", "switched off by the test")

    def states(self, pairs: Mapping[Kind, Collection[Pair]], ids: Collection[int]) -> States:
        self._there()
        return super().states(pairs, ids)

    def videos(self, ids: Collection[int]) -> Mapping[int, Video]:
        self._there()
        return super().videos(ids)

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        self._there()
        return super().positions(projection, topic)

    def ping(self) -> None:
        self._there()
        super().ping()


class BreakablePlays(SqlitePlays):
    """The same for plays."""

    away = False

    def _there(self) -> None:
        if self.away:
            raise Unavailable("plays", "switched off by the test")

    def tops(self) -> Mapping[int, Top]:
        self._there()
        return super().tops()

    def rows(self, ids: Collection[int]) -> Mapping[int, PlayRow]:
        self._there()
        return super().rows(ids)

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        self._there()
        return super().positions(projection, topic)

    def ping(self) -> None:
        self._there()
        super().ping()


@dataclass
class Gateway:
    """A running gateway and what a test needs to look behind it."""

    client: TestClient[web.Request, web.Application]
    parts: Parts
    log: SqliteLog
    sql: BreakableSql
    plays: BreakablePlays

    def token(self, user: int = 7, seconds: int = 600) -> str:
        return issue(SECRET, user, seconds, self.parts.clock.now_ms())

    def bearer(self, user: int = 7) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user)}"}

    async def events(self, topic: str) -> list[Json]:
        """Every event of a topic, in order of event_id."""
        async with self.log.reader() as reader:
            found: list[Record] = []
            for partition, (first, end) in (await reader.bounds(topic)).items():
                if end > first:
                    found += await reader.read(topic, partition, first, 10_000)
        return sorted((msgspec.json.decode(r.value) for r in found), key=lambda e: str(e["event_id"]))

    async def metric(self, line: str) -> float:
        """The value of one line of /metrics, 0 when it is not there."""
        text = await (await self.client.get("/metrics")).text()
        return next((float(t.rpartition(" ")[2]) for t in text.splitlines() if t.startswith(line + " ")), 0.0)


FILMS = [
    Film(id=i, title=f"影片 {i}", owner_id=100 + i % 3, video_url=f"https://v.example/{i}.mp4") for i in range(1, 13)
]
HIDDEN = Film(id=13, title="未过审", audit_status=1)
OFF = Film(id=14, title="下架", status=1)

Start = Callable[..., Awaitable[Gateway]]
Make = Callable[..., Awaitable[Parts]]


@pytest.fixture
def make_parts(tmp_path: Path) -> Make:
    """The parts of a gateway on the embedded adapters; ``writer`` takes the place of the log's own."""

    async def make(
        writer: EventWriter | None = None, demo: bool = False, films: bool = True, **flags: str | None
    ) -> Parts:
        config = settings.read({}, **{"data": str(tmp_path), "secret": SECRET, "origins": ORIGIN, **flags})
        contract, clock = topics.load(), SystemClock()
        log = SqliteLog(tmp_path / "events.db", contract)
        async with log.admin() as admin:
            await carry_out(admin, contract)
        sql, plays = BreakableSql(config.db, clock), BreakablePlays(tmp_path / "plays.db")
        sql.create()
        if films:
            sql.load([*FILMS, HIDDEN, OFF])
        writer = writer or log.writer()
        outbox = Outbox(writer, tmp_path / "spool.db", clock=clock, first_wait=0.01, longest_wait=0.05)
        return Parts(config, contract, outbox, writer, sql, plays, clock, log, demo)

    return make


@pytest.fixture
def start(tmp_path: Path, make_parts: Make, aiohttp_client: AiohttpClient) -> Start:
    """Starts a gateway; arguments as of ``make_parts``."""

    async def run(*args: object, **kwargs: object) -> Gateway:
        parts = await make_parts(*args, **kwargs)
        log = SqliteLog(tmp_path / "events.db", parts.topics)
        assert isinstance(parts.sql, BreakableSql)
        assert isinstance(parts.plays, BreakablePlays)
        return Gateway(await aiohttp_client(make_app(parts)), parts, log, parts.sql, parts.plays)

    return run


@pytest.fixture
async def gateway(start: Start) -> Gateway:
    return await start()


@pytest.fixture
async def consumers(gateway: Gateway, tmp_path: Path) -> AsyncIterator[None]:
    """All projections, folding what the gateway appends."""
    stop = asyncio.Event()
    task = asyncio.create_task(
        consume(
            log=SqliteLog(tmp_path / "events.db", gateway.parts.topics),
            topics=gateway.parts.topics,
            sql=SqlStore(gateway.parts.settings.db),
            plays=SqlitePlays(tmp_path / "plays.db"),
            projections=["views", "reactions", "plays"],
            member="test",
            metrics=None,
            stop=stop,
        )
    )
    yield
    stop.set()
    await task


async def ok(response: ClientResponse, status: int = 200) -> Any:
    """``data`` of a good answer, whose shape is checked."""
    body = await response.json()
    assert (response.status, body["code"]) == (status, status), body
    assert set(body) == {"code", "msg", "data"}
    return body["data"]


async def error(response: ClientResponse, status: int, word: str) -> Json:
    """The body of an error, whose shape is checked."""
    body: Json = await response.json()
    assert (response.status, body["code"], body["error"]) == (status, status, word), body
    assert set(body) <= {"code", "msg", "data", "error", "field", "value", "allowed"}
    return body


async def until(check: Callable[[], Awaitable[Any]], within: float = 20.0) -> Any:
    """The first truthy answer of ``check``."""
    deadline = time.monotonic() + within
    while not (answer := await check()):
        assert time.monotonic() < deadline, f"not within {within} s; last: {answer!r}"
        await asyncio.sleep(0.01)
    return answer
