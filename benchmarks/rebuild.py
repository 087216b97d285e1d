"""How long it takes to build a million plays and a million reactions again under load, and whether a reader notices."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Sequence
from typing import Final

import aiohttp

import playtrail
from benchmarks.report import Cell, Table
from benchmarks.stage import Env, Stage
from models import events, settings
from models.stores.port import Film
from tests.contract.rebuild import WATCHED, Poller, Site
from tests.real.chaos.filling import fill
from tests.running import Process, command

TITLE: Final = "A rebuild under load"
ABOUT: Final = """
`playtrail rebuild` of plays and of reactions, a million events each in real Kafka, while gateway and consumers work
and one viewer likes, watches and reads all along. *Wrong* is an answer that is not what that viewer had written, or a
number of plays that went back. The time is the command's, from its start to its end; it has folded all events twice
then, once into the new version and once to compare it.
"""
COUNT: Final = 1_000_000
PROJECTIONS: Final = {"plays": events.PLAYS, "reactions": events.REACTIONS}


async def run(stage: Stage) -> Sequence[Table]:
    """One rebuild of each."""
    env = await stage.real()
    for projection, topic in PROJECTIONS.items():
        stage.note(f"{COUNT:,} events for {projection}")
        await fill((await stage.kafka()).address, topic, COUNT)
    config = settings.read(env)
    with contextlib.closing(playtrail.open_sql(config)) as sql:
        await asyncio.to_thread(sql.load, [Film(id=3, title="liked"), Film(id=WATCHED, title="watched")])
    async with stage.gateway(env) as (url, _), stage.consumers(env):
        rows = [await _rebuild(stage, env, url, projection) for projection in PROJECTIONS]
    columns = "rebuild of", "events/s, folded and compared", "seconds", "consumers held, ms", "reads", "wrong"
    return [Table(columns, rows)]


async def _rebuild(stage: Stage, env: Env, url: str, projection: str) -> Sequence[Cell]:
    stage.note(f"rebuild of {projection}")
    token = (await command("token", "999999", env=env)).strip()
    config = settings.read(env)
    contract = playtrail.contract_of(config)
    log, sql, plays = playtrail.open_log(config, contract), playtrail.open_sql(config), playtrail.open_plays(config)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        poller = Poller(Site(http, url, log, sql, plays))
        polling = asyncio.create_task(poller.run())
        begun = time.monotonic()
        async with Process("rebuild", projection, env=env) as process:
            code = await process.wait(600)
            said = process.output()
        seconds = time.monotonic() - begun
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await polling
    held = re.search(r"held for (\d+) ms", said)
    if code or held is None:
        raise RuntimeError(f"the rebuild of {projection} ended with {code}: {said}")
    return [projection, round(COUNT / seconds), seconds, int(held[1]), poller.reads, len(poller.wrong)]
