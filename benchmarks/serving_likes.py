"""POST like: what a viewer waits for, and what is lost when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from benchmarks import filling, wrk
from benchmarks.report import Cell, Table
from benchmarks.serving import COLUMNS, flask, floor, numbers
from benchmarks.stage import Stage

TITLE: Final = "Likes"
ABOUT: Final = """
POST /video/like/ID by 1,000 users with a token each, 64 connections. Playtrail verifies the token and answers when
Kafka has the event. Bare aiohttp puts a record of the same size into the same Kafka with the same producer settings,
and does nothing else: it is the floor. Flask (gunicorn, 2 workers of 8 threads) is what this replaces: it verifies the
token, reads and writes MariaDB in the request, and writes a line to its warning log. Playtrail and the floor are one
process each; what the consumer does later is in the section on folding.
"""
LUA: Final = """
  local headers = {["Authorization"] = "Bearer " .. user[2], ["X-User"] = user[1],
    ["Content-Type"] = "application/x-www-form-urlencoded"}
  return wrk.format("POST", "/video/like/" .. (n % 50 + 1), headers, "like=" .. (math.floor(n / 1000) % 2))
"""
VIDEOS: Final = 1000


async def run(stage: Stage) -> Sequence[Table]:
    """All three in turns."""
    env = await stage.real()
    await asyncio.to_thread(filling.videos, await stage.mariadb(), env, VIDEOS, stage.note)
    lua = wrk.script(stage.folder() / "likes.lua", LUA)
    async with stage.gateway(env) as (url, pid), floor(env) as bare, flask(stage, env) as peer:
        runs = await wrk.turns(stage, [wrk.Target("Playtrail", url, pid), bare, peer], lua)
    bases = runs[bare.name].rate, runs[peer.name].rate
    rows: list[Sequence[Cell]] = [
        (name, *(of_one.rate / base for base in bases), *numbers(of_one)) for name, of_one in runs.items()
    ]
    return [Table(("POST like", "of the floor", "times Flask", *COLUMNS), rows)]
