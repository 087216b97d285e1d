"""The embedded default: one command, three SQLite files, no server."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks import backlog, wrk
from benchmarks.report import Cell, Table
from benchmarks.serving import COLUMNS, numbers, served
from benchmarks.serving_likes import LUA
from benchmarks.stage import Env, Stage
from benchmarks.wrk import Target
from tests.real.processes import free_port
from tests.running import ROOT, command

TITLE: Final = "Embedded"
ABOUT: Final = """
What `playtrail` does without any server. POST like by 1,000 users, 64 connections, durable: every answer is behind an
fsync. Bare aiohttp inserts a row of the same size into SQLite and commits it in each request, `synchronous=FULL`:
what one writes first. Playtrail verifies the token, and lets likes that come together share a transaction; once alone,
and once with the three consumers folding beside it. Then a backlog in the log, folded by one consumer process into
SQLite, exactly once, every flush on disk.
"""
EVENTS: Final = 100_000
FSYNCS: Final = 300
CATALOGUE: Final = "gateway/demo/catalogue.json"


async def run(stage: Stage) -> Sequence[Table]:
    """Likes in turns; then a backlog of each projection."""
    return [await likes(stage), await folding(stage)]


async def likes(stage: Stage) -> Table:
    """Durable likes a second."""
    alone, beside = stage.embedded(), stage.embedded()
    for env in (alone, beside):
        await command("catalogue", "load", CATALOGUE, env=env)
    fsyncs = _fsyncs(stage.folder() / "probe")
    lua = wrk.script(stage.folder() / "likes.lua", LUA)
    async with (
        stage.gateway(alone) as (url, pid),
        stage.gateway(beside) as (url_beside, pid_beside),
        stage.consumers(beside),
        floor(stage) as bare,
    ):
        targets = [Target("Playtrail", url, pid), Target("Playtrail, consumers beside", url_beside, pid_beside), bare]
        runs = await wrk.turns(stage, targets, lua)
    rows = [(name, of_one.rate / runs[bare.name].rate, *numbers(of_one)) for name, of_one in runs.items()]
    note = f"CPU is the gateway's alone. Just before, the disk did {fsyncs:,} fsyncs a second."
    return Table(("POST like", "of the floor", *COLUMNS), rows, note)


def _fsyncs(path: Path) -> int:
    """How many small appends a second one writer can make durable: what the floor cannot pass."""
    with path.open("wb", buffering=0) as file:
        begun = time.monotonic()
        for _ in range(FSYNCS):
            file.write(bytes(512))
            os.fsync(file.fileno())
        return round(FSYNCS / (time.monotonic() - begun))


@contextlib.asynccontextmanager
async def floor(stage: Stage) -> AsyncIterator[Target]:
    """Bare aiohttp on a file of its own."""
    port = free_port()
    line = [sys.executable, "-m", "benchmarks.sqlite_floor", str(stage.folder() / "likes.db"), str(port)]
    async with served(Target("bare aiohttp, SQLite", f"http://127.0.0.1:{port}", 0), line, ROOT, {}) as target:
        yield target


async def folding(stage: Stage) -> Table:
    """Events a second from the log to the read model, by projection."""
    rows: list[Sequence[Cell]] = []
    for projection in ("plays", "reactions", "views"):
        found = [await _backlog(stage, projection) for _ in range(min(3, stage.rounds))]
        best = min(found)
        rows.append((projection, round(EVENTS / best.seconds), best.cpu, best.memory))
    note = f"A backlog of {EVENTS:,} events over {backlog.VIDEOS:,} videos by Zipf's law; the best of the rounds."
    return Table(("folded", "events/s", "CPU µs an event", "MB"), rows, note)


async def _backlog(stage: Stage, projection: str) -> backlog.Folded:
    env: Env = stage.embedded()
    stage.note(f"{projection}: a backlog of {EVENTS:,}")
    await backlog.fill(env, projection, EVENTS)
    return await backlog.fold(env, projection, EVENTS)
