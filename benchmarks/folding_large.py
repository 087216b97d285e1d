"""A plays consumer that remembers a million sessions of 100,000 videos: how it came there, and its restarts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import aiohttp

import playtrail
from benchmarks.folding_log import last_hour
from benchmarks.folding_runs import Health, Run, ours, peak_mb
from benchmarks.stage import Env, Stage
from benchmarks.usage import cpu_seconds
from models import events, settings
from tests.real.chaos import filling
from tests.real.processes import free_port
from tests.running import Process, eventually

SESSIONS: Final = int(os.environ.get("BENCH_SESSIONS", "1000000"))
"""Live sessions, a heartbeat each; BENCH_SESSIONS changes it for a quick look."""

VIDEOS: Final = max(1, SESSIONS // 10)
TAIL: Final = 600
"""Heartbeats that wait in the log at each restart."""


class Large(NamedTuple):
    """
    A log that is folded to its end.

    Attributes:
        env: The settings.
        folded: How the consumer took it in; its peak is that of a consumer that catches up.
    """

    env: Env
    folded: Run


class Restart(NamedTuple):
    """Seconds from exec to the first event applied, and to all; processor seconds; peak memory in MB."""

    first: float
    all: float
    cpu: float
    peak: float


async def large(stage: Stage) -> Large:
    """Fill and fold; the consumer is stopped in order at the end."""
    env, servers = await stage.real(), (await stage.kafka()).address
    stage.note(f"{SESSIONS:,} sessions into Kafka")
    made = filling.plays(SESSIONS, videos=VIDEOS, beats=1, span=last_hour())
    await filling.append(servers, events.PLAYS, made)
    stage.note(f"{SESSIONS:,} sessions into HBase")
    return Large(env, await ours(env, "plays", SESSIONS))


async def restarted(large: Large, servers: str, seed: int, end: Callable[[Process], Awaitable[object]]) -> Restart:
    """Append heartbeats of new sessions, start the consumer, and wait until they are applied; then ``end`` it."""
    now = filling.Span(time.time_ns() // 1_000_000, 1)
    made = filling.plays(TAIL, videos=VIDEOS, beats=1, span=now, seed=seed)
    await filling.append(servers, events.PLAYS, made)
    before = await asyncio.to_thread(positions, large.env)
    address = f"127.0.0.1:{free_port()}"
    begun = time.monotonic()
    async with Process("consume", "plays", "--metrics", address, env=large.env) as process:
        async with aiohttp.ClientSession() as http:
            health = Health(http, address, "plays")
            await eventually(lambda: health.past(before), "the first event applied", within=120)
            first = time.monotonic() - begun
            await health.reached(sum(before.values()) + TAIL, process)
            result = Restart(first, time.monotonic() - begun, cpu_seconds(process.pid), peak_mb(process.pid))
        await end(process)
    return result


def positions(env: Env) -> dict[str, int]:
    """What the sink has, by partition."""
    with contextlib.closing(playtrail.open_plays(settings.read(env))) as store:
        found = store.positions("plays", events.PLAYS)
    return {str(partition): checkpoint.next_offset for partition, checkpoint in found.items()}
