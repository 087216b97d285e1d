"""GET statistics: what it costs with few videos and with many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import Final

import aiohttp

from benchmarks import filling, wrk
from benchmarks.report import Cell, Table
from benchmarks.serving import COLUMNS, flask, floor, numbers
from benchmarks.stage import Stage

TITLE: Final = "Statistics"
ABOUT: Final = """
GET /video/statistics, 64 connections: the top ten by seconds watched and by plays. Flask (gunicorn, 2 workers of 8
threads) scans the table of HBase and sorts it. Playtrail reads one row for each partition, which its consumer keeps,
twice a second, ahead of whoever asks. `First after a second`: the latency of single requests, each after a second of
silence.
"""
SIZES: Final = (1_000, 20_000, 1_000_000)
FLASK_UP_TO: Final = 20_000
OURS: Final = "Playtrail"
FIRSTS: Final = 15
LUA: Final = 'return wrk.format("GET", "/video/statistics")'
FIRST_COLUMNS: Final = ("who", "videos", "times Flask", "of that at 1,000", "of the floor")
MORE_COLUMNS: Final = ("first after a second, median ms", "worst ms", *COLUMNS)


async def run(stage: Stage) -> Sequence[Table]:
    """Ours at every size, Flask at those that it can scan."""
    rows: list[Sequence[Cell]] = []
    firsts: dict[str, float] = {}
    lua = wrk.script(stage.folder() / "statistics.lua", LUA)
    bare_lua = wrk.script(stage.folder() / "bare.lua", 'return wrk.format("GET", "/bare")')
    for size in SIZES:
        env = await stage.real()
        await asyncio.to_thread(filling.videos, await stage.mariadb(), env, size, stage.note)
        await asyncio.to_thread(filling.plays, env, size, stage.note)
        async with stage.gateway(env) as (url, pid), floor(env) as bare, flask(stage, env) as peer:
            targets = [wrk.Target(OURS, url, pid), bare, *([peer] if size <= FLASK_UP_TO else [])]
            lone = {target.name: await first(stage, target) for target in targets if target is not bare}
            scripts = {target.name: bare_lua if target is bare else lua for target in targets}
            runs = await wrk.turns(stage, targets, scripts)
        for name, (half, worst) in lone.items():
            ratio = runs[name].rate / runs[bare.name].rate
            flat = ratio / (firsts.setdefault(name, ratio) or 1)
            rows.append(
                (name, size, _times(runs[name], runs.get(peer.name)), flat, ratio, half, worst, *numbers(runs[name]))
            )
    return [Table((*FIRST_COLUMNS, *MORE_COLUMNS), rows)]


def _times(run: wrk.Run, peer: wrk.Run | None) -> Cell:
    if peer is None:
        return "not tried"
    return run.rate / peer.rate if peer.rate else "no answer in a turn"


async def first(stage: Stage, target: wrk.Target) -> tuple[float, float]:
    """Median and worst latency in ms of single requests, each after more than a second of silence."""
    seen = []
    async with aiohttp.ClientSession() as http:
        for turn in range(FIRSTS + 1):
            stage.note(f"{target.name}: first after a second, {turn} of {FIRSTS}")
            await asyncio.sleep(1.1)
            begun = time.perf_counter()
            async with http.get(target.url + "/video/statistics") as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            seen.append((time.perf_counter() - begun) * 1000)
    return median(seen[1:]), max(seen[1:])  # the first of all opens connections
