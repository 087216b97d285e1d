"""The gateway while Kafka is stopped: likes are taken, at once, and are in the log in their order when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import aiohttp
import pytest

import playtrail
from gateway.auth import issue
from models import events, settings
from tests.contract.fold import records
from tests.real.chaos.memory import MIB, away
from tests.real.chaos.site import SECRET, forget_topics
from tests.real.kafka import Kafka
from tests.running import Process, command, eventually, ready

pytestmark = pytest.mark.real

USERS = (1, 2, 3)
LIKES = 20
FIRST_SECONDS, NEXT_SECONDS = 3.0, 0.05

AWAY_SECONDS, CLIENTS = 20.0, 8
GROWTH_MIB = 24
"""What the gateway may grow in that time, in MiB; ``python -m tests.real.chaos.memory gateway`` takes ten minutes."""


class Running(NamedTuple):
    """A gateway on the real Kafka; the stores are SQLite files, which nobody stops."""

    url: str
    http: aiohttp.ClientSession
    env: dict[str, str]
    process: Process


@pytest.fixture
async def gateway(kafka: Kafka, tmp_path: Path) -> AsyncIterator[Running]:
    await forget_topics(kafka)
    env = {
        "PLAYTRAIL_EVENTS": kafka.url,
        "PLAYTRAIL_REPLICATION": "1",
        "PLAYTRAIL_SECRET": SECRET,
        "PLAYTRAIL_DATA": str(tmp_path),
    }
    await command("topics", "apply", env=env)
    await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(Process("gateway", "--port", "0", env=env))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        url = await process.url()
        await ready(http, url)
        yield Running(url, http, env, process)


async def _like(gateway: Running, user: int, video: int) -> tuple[int, str, float]:
    """Status, durability and seconds of a like."""
    token = issue(SECRET, user, 3600, time.time_ns() // 1_000_000)
    begin = time.monotonic()
    async with gateway.http.post(
        f"{gateway.url}/video/like/{video}", data={"like": 1}, headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        body = await answer.json()
    return answer.status, body["data"]["durable"], time.monotonic() - begin


async def _likes(gateway: Running, user: int) -> list[tuple[int, str, float]]:
    return [await _like(gateway, user, video) for video in range(1, LIKES + 1)]


async def test_likes_are_taken_and_are_in_the_log_in_order(gateway: Running, kafka: Kafka) -> None:
    assert (await _like(gateway, 9, 1))[:2] == (200, "log")
    await asyncio.to_thread(kafka.stop)
    try:
        first = await _like(gateway, 9, 2)
        following = [like for each in await asyncio.gather(*(_likes(gateway, u) for u in USERS)) for like in each]
    finally:
        await asyncio.to_thread(kafka.start)
    assert {like[:2] for like in (first, *following)} == {(202, "spool")}
    assert first[2] <= FIRST_SECONDS
    # The median, and not each: another process of this machine may hold the processor or the disk for a moment.
    assert median(seconds for *_, seconds in following) <= NEXT_SECONDS
    await _drained(gateway)
    in_log = await _videos_in_log(gateway.env)
    assert in_log == {9: [1, 2], **{user: list(range(1, LIKES + 1)) for user in USERS}}


async def _drained(gateway: Running) -> None:
    async def empty() -> bool:
        async with gateway.http.get(gateway.url + "/metrics") as answer:
            return "\nplaytrail_spool_events 0.0\n" in await answer.text()

    await eventually(empty, "an empty spool")


async def _videos_in_log(env: dict[str, str]) -> dict[int, list[int]]:
    """The videos of each user's likes in the order of the log; a copy of an earlier record is the same event."""
    config = settings.read(env)
    log = playtrail.open_log(config, playtrail.contract_of(config))
    found: dict[int, list[int]] = {}
    seen: set[str] = set()
    for record in await records(log, events.REACTIONS):
        like = events.decode_reaction(record.value)
        if like.event_id not in seen:
            seen.add(like.event_id)
            found.setdefault(like.user_id, []).append(like.video_id)
    return found


async def test_memory_is_bounded_while_the_log_is_away(gateway: Running, kafka: Kafka) -> None:
    watch, load = await away(kafka, gateway.process, gateway.url, AWAY_SECONDS, CLIENTS)
    assert load.done.answers["spool"] > load.done.answers["log"] / 10
    assert watch.grown < GROWTH_MIB * MIB, f"{watch.grown / MIB:.1f} MiB"
