"""Peak memory of the two processes that hold most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from benchmarks import wrk
from benchmarks.folding_large import SESSIONS, VIDEOS, large, restarted
from benchmarks.folding_runs import peak_mb
from benchmarks.report import Cell, Table
from benchmarks.serving_likes import LUA
from benchmarks.serving_reads import ROUTES, filled
from benchmarks.stage import Stage
from tests.running import Process

TITLE: Final = "Memory"
ABOUT: Final = f"""
The largest resident memory in the life of a process (VmHWM), on real servers: a plays consumer that folds
{SESSIONS:,} sessions of {VIDEOS:,} videos from the beginning of the log, one that starts again with them, and a gateway
that knows 100,000 videos and answers likes, hot, rank, like and detail to 64 connections.
"""
GATEWAY_VIDEOS: Final = 100_000
CONSUMER_REACH: Final = 400.0
GATEWAY_REACH: Final = 120.0


async def run(stage: Stage) -> Sequence[Table]:
    """One run of each."""
    one, servers = await large(stage), (await stage.kafka()).address
    stage.note("a restart")
    again = await restarted(one, servers, 1_000, Process.stop)
    rows: list[Sequence[Cell]] = [
        _row("plays consumer, catching up", one.folded.peak, CONSUMER_REACH),
        _row("plays consumer, restarted", again.peak, CONSUMER_REACH),
        _row("gateway", await _gateway(stage), GATEWAY_REACH),
    ]
    return [Table(("peak of", "of the reach", "MB", "reach, MB"), rows, "One run of each.")]


def _row(name: str, peak: float, reach: float) -> Sequence[Cell]:
    return name, peak / reach, round(peak), round(reach)


async def _gateway(stage: Stage) -> float:
    """The peak after a turn of each route."""
    env, folder = await filled(stage, GATEWAY_VIDEOS), stage.folder()
    async with stage.gateway(env) as (url, pid):
        for route, lua in {"POST like": LUA, **ROUTES}.items():
            stage.note(f"gateway: {route}")
            script = wrk.script(folder / "route.lua", lua)
            await asyncio.to_thread(wrk.drive, wrk.Target(route, url, pid), script, stage.seconds)
        return peak_mb(pid)
