"""GET hot, rank, like and detail, with few videos and with many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks import filling, wrk
from benchmarks.report import Cell, Table
from benchmarks.serving import COLUMNS, flask, floor, rows
from benchmarks.stage import Env, Stage
from benchmarks.usage import memory_mb

TITLE: Final = "Reads"
ABOUT: Final = """
GET by 64 connections: hot and rank by guests, like and detail by 1,000 users with a token each on 50 videos. Bare
aiohttp answers `ok` and does nothing else: the floor. Flask (gunicorn, 2 workers of 8 threads) asks MariaDB in the
request: hot reads the table and samples it, rank sorts by clicks, detail also counts its click in the row. Playtrail's
hot and rank come from memory; its like is a query shared by those who ask at once; its detail asks MariaDB and HBase
likewise, and its click is an event.
"""
FEW: Final = 1_000
SIZES: Final = (FEW, 100_000, 1_000_000)
_HEADERS: Final = '{["Authorization"] = "Bearer " .. user[2]}'
ROUTES: Final = {
    "hot": 'return wrk.format("GET", "/video/hot")',
    "rank": 'return wrk.format("GET", "/video/rank")',
    "like": f'return wrk.format("GET", "/video/like/" .. (n % 50 + 1), {_HEADERS})',
    "detail": f'return wrk.format("GET", "/video/detail/" .. (n % 50 + 1), {_HEADERS})',
}
BARE: Final = 'return wrk.format("GET", "/bare")'
OURS: Final = "Playtrail"


async def run(stage: Stage) -> Sequence[Table]:
    """All three at a thousand videos; ours and the floor at more."""
    few: list[Sequence[Cell]] = []
    more: list[Sequence[Cell]] = []
    memory: list[Sequence[Cell]] = []
    first: dict[str, float] = {}
    for size in SIZES:
        env = await filled(stage, size)
        async with stage.gateway(env) as (url, pid), floor(env) as bare, _peer(stage, env, size) as peers:
            memory.append((size, memory_mb(pid)))
            for route, lua in ROUTES.items():
                targets = [wrk.Target(OURS, url, pid), bare, *peers]
                runs = await wrk.turns(stage, targets, _scripts(stage, lua, targets))
                ratio = runs[OURS].rate / runs[bare.name].rate
                few += rows(f"GET {route}", runs, bare.name) if size == FEW else []
                more.append(
                    (f"GET {route}", size, ratio / first.setdefault(route, ratio), *rows("", runs, bare.name)[0][2:])
                )
            memory[-1] = (*memory[-1], memory_mb(pid))
    return [
        Table(("at 1,000 videos", "who", "of the floor", *COLUMNS), few),
        Table(("Playtrail", "videos", "of that at 1,000", "of the floor", *COLUMNS), more,
              "The ratio to 1,000 videos is one of ratios to the floor, since each size has a run of its own."),
        Table(("videos", "MB after the start", "MB after the load"), memory, "Resident memory of the gateway."),
    ]  # fmt: skip


def _scripts(stage: Stage, lua: str, targets: Sequence[wrk.Target]) -> dict[str, Path]:
    folder = stage.folder()
    theirs, bare = wrk.script(folder / "theirs.lua", lua), wrk.script(folder / "bare.lua", BARE)
    return {target.name: bare if target.name == "bare aiohttp" else theirs for target in targets}


@asynccontextmanager
async def _peer(stage: Stage, env: Env, size: int) -> AsyncIterator[Sequence[wrk.Target]]:
    """Flask where it can keep up: with many videos one hot list takes it seconds."""
    if size > FEW:
        yield []
        return
    async with flask(stage, env) as target:
        yield [target]


async def filled(stage: Stage, size: int) -> Env:
    """Fresh settings whose MariaDB has so many videos, and likes; and HBase the plays of the first thousand."""
    env, mariadb = await stage.real(), await stage.mariadb()
    await asyncio.to_thread(filling.videos, mariadb, env, size, stage.note)
    await asyncio.to_thread(filling.likes, mariadb, env)
    await asyncio.to_thread(filling.plays, env, FEW, stage.note)
    return env
