"""
Gross regressions of the hot paths, as ratios of processor time; see tests/speed.py.

Each limit is two and a half times what was seen or more. Each path also has a slow variant, a mistake that was easy to
make; that it breaks the limit shows that the test can fail.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
import pytest
import structlog
from aiohttp import web

from consumers.plays import Plays
from consumers.reactions import Reactions
from gateway.app import Parts, make_app
from gateway.auth import Verifier, issue
from gateway.emit import Stamps, message_of
from gateway.statistics import merged
from models import events
from models.clock import SystemClock
from models.eventlog.port import Identity
from tests.consumers.fakes import Cells, MemoryPlays
from tests.consumers.making import BEGIN, MadeRecord, event_id, ping
from tests.gateway.conftest import SECRET, Make, make_parts
from tests.simulator.memory_sql import MemorySql, SqlData
from tests.speed import ROUNDS, Work, drive, ratio, ratio_of

__all__ = ["make_parts"]

SIZE = 1_000
IDENTITY = Identity("c", "t", 1)


class Path(NamedTuple):
    """
    A hot path.

    Attributes:
        work: What is measured.
        yardstick: What it is measured by: the least that has to be done.
        limit: How many times the yardstick it may cost.
        slow: The same work, done badly.
    """

    work: Work
    yardstick: Work
    limit: float
    slow: Work


def plays() -> Path:
    """Heartbeats decoded and folded; slow: a flush for each. Seen: 3.0 times the bare decoding, and 46."""
    rng = random.Random(1)
    log = [ping(n, BEGIN + n, rng.randrange(SIZE // 3), rng.randrange(300) + 1, n) for n in range(SIZE)]

    def fold(batch: int) -> None:
        store = MemoryPlays(Cells())
        projection = Plays(store, store)
        projection.open(0, IDENTITY, 0)
        for at in range(0, SIZE, batch):
            projection.apply(0, log[at : at + batch])

    return Path(lambda: fold(SIZE), lambda: _decode(log), 10, lambda: fold(1))


class Slow(Reactions):
    """Makes the decoders of all topics for every record, and so the plans of their unions."""

    def decode(self, value: bytes) -> events.AnyReaction:
        _, decoder, _ = _decoders()
        return decoder.decode(value)  # type: ignore[no-any-return]


def reactions() -> Path:
    """Reactions decoded and folded; slow: each with decoders and a step. Seen: 4.8 times the bare decoding, and 34."""
    rng = random.Random(1)
    log = [_like(n, rng.randrange(1000) + 1, rng.randrange(300) + 1) for n in range(SIZE)]

    def fold(kind: type[Reactions], batch: int) -> None:
        projection = kind(MemorySql(SqlData()))
        projection.open(0, IDENTITY, 0)
        for at in range(0, SIZE, batch):
            projection.apply(0, log[at : at + batch])

    return Path(lambda: fold(Reactions, SIZE), lambda: _decode(log), 16, lambda: fold(Slow, 1))


def building() -> Path:
    """
    An event with its id and time, as a message; slow: everything made anew, and read back.

    Seen: 1.3 times json.dumps, and 11.
    """
    stamps = Stamps(SystemClock())
    fields = {"user_id": 7, "url": "/video/like/1", "method": "post", "msg": "video like", "video_id": 1}
    plain = msgspec.to_builtins(_event(0, 7, 1))

    def build() -> None:
        for _ in range(SIZE):
            stamp = stamps.next()
            event = events.Like(event_id=stamp.event_id, occurred_at=stamp.occurred_at, **fields)  # type: ignore[arg-type]
            message_of(events.REACTIONS, event, stamp.ms)

    def slow() -> None:
        for _ in range(SIZE):
            event_id_, ms = events.EventIds().next()
            event = events.Like(event_id=event_id_, occurred_at=events.rfc3339(ms), **fields)  # type: ignore[arg-type]
            _decoders()[1].decode(message_of(events.REACTIONS, event, ms).value)

    return Path(build, lambda: [json.dumps(plain) for _ in range(SIZE)], 5, slow)


def tokens() -> Path:
    """Tokens that were verified before; slow: nothing is remembered. Seen: 32 times a lookup in a dict, and 1,500."""
    clock = SystemClock()
    verifier = Verifier(SECRET, None, clock)
    given = [issue(SECRET, user, 600, clock.now_ms()) for user in range(1, 101)]
    known = dict.fromkeys(given, 1)

    def verify() -> None:
        for _ in range(SIZE // 100):
            for token in given:
                _run(verifier.user_id(token))

    def slow() -> None:
        for token in given[: SIZE // 20] * 20:
            _run(Verifier(SECRET, None, clock).user_id(token))

    def look_up() -> None:
        for _ in range(SIZE // 100):
            for token in given:
                known[token]

    return Path(verify, look_up, 80, slow)


def top_ten() -> Path:
    """The lists of 96 partitions merged; slow: lists of everything. Seen: 1.5 times sorting them, and 17."""
    rng = random.Random(1)

    def lists(size: int) -> list[list[tuple[int, int]]]:
        return [[(rng.randrange(10**9), rng.randrange(10**6)) for _ in range(size)] for _ in range(96)]

    short, long = lists(16), lists(160)
    return Path(
        lambda: merged(short), lambda: sorted(pair for pairs in short for pair in pairs), 5, lambda: merged(long)
    )


def _decoders() -> list[msgspec.json.Decoder[Any]]:
    """New ones each time; a decoder costs as much as reading dozens of records."""
    return [msgspec.json.Decoder(union) for union in (events.AnyView, events.AnyReaction, events.AnyPlay)]


PATHS = [plays, reactions, building, tokens, top_ten]


def _decode(log: Sequence[MadeRecord]) -> None:
    for record in log:
        msgspec.json.decode(record.value)


def _event(number: int, user: int, video: int) -> events.Like:
    common = {"event_id": event_id(number), "occurred_at": "2026-11-24T06:30:00.123Z", "user_id": user}
    return events.Like(**common, url=f"/video/like/{video}", method="post", msg="video like", video_id=video)  # type: ignore[arg-type]


def _like(number: int, user: int, video: int) -> MadeRecord:
    return MadeRecord(events.REACTIONS, 0, number, BEGIN, events.encode(_event(number, user, video)))


def _run(coroutine: Awaitable[object]) -> None:
    """Run what never waits, without an event loop."""
    try:
        coroutine.__await__().send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_a_hot_path_costs_what_it_did(path: Callable[[], Path]) -> None:
    work, yardstick, limit, _ = path()
    assert ratio(work, yardstick) < limit


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_a_slow_variant_is_noticed(path: Callable[[], Path]) -> None:
    _, yardstick, limit, slow = path()
    assert ratio(slow, yardstick, rounds=2) > limit


POST_LIMIT = 6.0
"""Seen: 2.0 times a bare handler that appends nothing; 10 when nothing is shared."""


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    """The port of an app that is served."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def bare() -> web.Application:
    """The least that a POST takes: read the form, answer."""

    async def like(request: web.Request) -> web.Response:
        parse_qs(await request.read())
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/video/like/{id}", like)
    return app


async def post_ratio(parts: Parts, rounds: int) -> float:
    """Processor time of likes, durable in the embedded log, 32 connections at once, as a ratio to the bare handler."""
    token = issue(SECRET, 7, 600, parts.clock.now_ms())
    request = (
        "POST /video/like/1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 6\r\n\r\nlike=1"
    ).encode()
    async with listening(make_app(parts)) as ours, listening(bare()) as theirs:
        return await ratio_of(lambda: drive(ours, request, 32, 20), lambda: drive(theirs, request, 32, 20), rounds)


@pytest.fixture
def as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs as ``playtrail gateway`` configures them: requests are logged at debug, so not."""
    level = structlog.make_filtering_bound_logger(logging.INFO)
    monkeypatch.setattr("gateway.middlewares.log", structlog.wrap_logger(None, wrapper_class=level).bind())


@pytest.mark.usefixtures("as_served")
async def test_a_durable_like_costs_what_it_did(make_parts: Make) -> None:
    parts = await make_parts(rate_user="0", rate_address="0")
    assert await post_ratio(parts, ROUNDS) < POST_LIMIT


async def test_a_like_that_shares_nothing_is_noticed(make_parts: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a transaction of its own, its token verified again, and a line in the log."""
    parts = await make_parts(rate_user="0", rate_address="0")
    monkeypatch.setattr("models.eventlog.sqlite_writer.MAX_BATCH", 1)
    monkeypatch.setattr("gateway.auth.REMEMBERED_SECONDS", -1)
    assert await post_ratio(parts, 2) > POST_LIMIT
