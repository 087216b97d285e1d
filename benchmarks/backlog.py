"""A backlog in the embedded log, and how long a consumer takes to fold it."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.stage import Env
from benchmarks.usage import cpu_seconds, memory_mb
from models import events, topics
from models.eventlog.plan import carry_out
from models.eventlog.port import Message
from models.eventlog.sqlite import SqliteLog
from models.stores.plays_sqlite import SqlitePlays
from models.stores.port import PlayStores, SqlStores
from models.stores.sql import SqlStore
from tests.real.processes import free_port
from tests.running import Process, eventually

VIDEOS: Final = 10_000
USERS: Final = 10_000
HEARTBEATS: Final = 3
"""A session's."""
TOGETHER: Final = 2_000
"""Appends under way at once."""
TOPIC_OF: Final = {"plays": events.PLAYS, "reactions": events.REACTIONS, "views": events.VIEWS}


class Folded(NamedTuple):
    """Seconds that a backlog took, from the consumer's first flush on; CPU in µs an event; memory in MB."""

    seconds: float
    cpu: float
    memory: float


def messages(projection: str, count: int, seed: int = 1) -> Iterator[Message]:
    """Events as the gateway makes them, over 10,000 videos by Zipf's law; sessions have three heartbeats each."""
    rng, ids = random.Random(seed), events.EventIds()
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VIDEOS + 1)))
    sessions = max(1, count // HEARTBEATS)
    videos = rng.choices(range(1, VIDEOS + 1), cum_weights=weights, k=sessions)
    for number in range(count):
        event_id, ms = ids.next()
        beat, session = divmod(number, sessions)
        fields = {"event_id": event_id, "occurred_at": events.rfc3339(ms), "user_id": rng.randrange(USERS) + 1}
        fields |= {"url": "/video/of/bench", "method": "post", "msg": "bench", "video_id": videos[session]}
        event = _event(projection, fields, beat, session)
        yield Message(TOPIC_OF[projection], events.key_of(event), events.encode(event), events.headers_of(event), ms)


def _event(projection: str, fields: Mapping[str, Any], beat: int, session: int) -> events.Event:
    if projection == "plays":
        return events.Ping(**fields, session=str(uuid.UUID(int=session)), seq=beat, play_time=15 * beat)
    if projection == "reactions":
        return (events.NoLike if beat else events.Like)(**fields)
    return events.Detail(**fields)


async def fill(env: Env, projection: str, count: int) -> None:
    """Append so many events to the embedded log."""
    contract = topics.load(None, None)
    log = SqliteLog(data_of(env) / "events.db", contract)
    async with log.admin() as admin:
        await carry_out(admin, contract)
    made = messages(projection, count)
    async with log.writer() as writer:
        while some := list(itertools.islice(made, TOGETHER)):
            await asyncio.gather(*map(writer.append, some))


async def fold(env: Env, projection: str, count: int) -> Folded:
    """Run a consumer until it has folded the backlog. What it had folded when first seen is left out of the time."""
    store = _store(env, projection)
    store.create()
    try:
        async with Process("consume", projection, "--metrics", f"127.0.0.1:{free_port()}", env=env) as process:
            first = await eventually(_reached(store, projection, 1), "the first flush")
            begun, cpu = time.monotonic(), cpu_seconds(process.pid)
            await eventually(_reached(store, projection, count), f"{count} events folded", within=300)
            seconds, cpu = time.monotonic() - begun, cpu_seconds(process.pid) - cpu
            left = count - first
            return Folded(seconds * count / left, cpu / left * 1e6, memory_mb(process.pid))
    finally:
        store.close()


def _reached(store: PlayStores | SqlStores, projection: str, count: int) -> Callable[[], Any]:
    """Events folded, once there are ``count``; offsets of the embedded log have no gaps."""

    async def check() -> int:
        places = await asyncio.to_thread(store.positions, projection, TOPIC_OF[projection])
        folded = sum(place.next_offset for place in places.values())
        return folded if folded >= count else 0

    return check


def _store(env: Env, projection: str) -> PlayStores | SqlStores:
    folder = data_of(env)
    return SqlitePlays(folder / "plays.db") if projection == "plays" else SqlStore(f"sqlite:///{folder}/playtrail.db")


def data_of(env: Env) -> Path:
    """The folder of the embedded files."""
    return Path(env["PLAYTRAIL_DATA"])
