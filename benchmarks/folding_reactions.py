"""Reactions into MariaDB: ours, one upsert an event, and 5,000 rows a statement with nothing around them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import Mapping
from typing import Final

import playtrail
from benchmarks.folding_log import EVENTS, reactions
from benchmarks.folding_runs import COLUMNS, Outcome, Run, compared, middle, ours, peer, rows, with_servers
from benchmarks.report import Table
from benchmarks.stage import Env, Stage
from models import settings
from tests.real.mariadb import MariaDB

ROUNDS: Final = 3
COUNT: Final = max(1, EVENTS // 4)
NAIVE_SHARE: Final = 25
"""One upsert an event is so slow that one in so many events must do."""


async def table(stage: Stage) -> Table:
    """The comparison."""
    env, servers = await stage.real(), (await stage.kafka()).address
    stage.note(f"{COUNT:,} reactions into Kafka")
    likes = await reactions(servers, COUNT)
    few, turns = max(1, COUNT // NAIVE_SHARE), min(ROUNDS, stage.rounds)
    own: list[Run] = []
    naive: list[Run] = []
    bare: list[Run] = []
    for turn in range(turns):
        stage.note(f"reactions: round {turn + 1} of {turns}")
        own.append(await _ours(stage, env, likes))
        naive.append(await _peer(stage, env, "naive", few, servers))
        bare.append(await _peer(stage, env, "bare", COUNT))
    outcomes = [
        Outcome("Playtrail, exactly once, with counts", "MariaDB", middle(own), "exact"),
        Outcome("an upsert and commit for each event", "MariaDB", middle(naive), f"{few:,} events"),
        Outcome("bare upserts of 5,000 rows, no log read, no counts", "MariaDB", middle(bare), "one connection"),
    ]
    note = (
        f"{COUNT:,} likes and unlikes of {len(likes):,} videos; median of {turns}. *exact*: the likes of every video "
        "are those of a plain fold in Python, by the rows and by the counts, each time."
    )
    return Table(("reactions into MariaDB", *COLUMNS), rows(outcomes, middle(own)), note)


async def _ours(stage: Stage, env: Env, likes: Mapping[int, int]) -> Run:
    fresh = await database(stage, env)
    run = await with_servers(stage, ours(fresh, "reactions", COUNT))
    for what, found in (("counts", await asyncio.to_thread(_counts, fresh, list(likes))),
                        ("rows", await asyncio.to_thread(_rows, await stage.mariadb(), fresh))):  # fmt: skip
        verdict = compared(likes, found)
        if verdict != "exact":
            raise RuntimeError(f"reactions of playtrail, {what}: {verdict}")
    return run


async def database(stage: Stage, env: Env) -> Env:
    """The same settings with a fresh, empty database."""
    mariadb, name = await stage.mariadb(), f"bench_{secrets.token_hex(4)}"
    await asyncio.to_thread(mariadb.execute, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return env | {"PLAYTRAIL_DB": f"{mariadb.url}/{name}"}


def _counts(env: Env, videos: list[int]) -> dict[int, int]:
    """The likes that the read API shows."""
    with contextlib.closing(playtrail.open_sql(settings.read(env))) as store:
        return {video: counts.likes for video, counts in store.counts(videos).items() if counts.likes}


def _rows(mariadb: MariaDB, env: Env) -> dict[int, int]:
    """The likes by counting the rows of content_like."""
    name = env["PLAYTRAIL_DB"].rpartition("/")[2]
    connection = mariadb.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT content_id, COUNT(*) FROM {name}.content_like WHERE status = 1 GROUP BY content_id")
            return {int(video): int(number) for video, number in cursor.fetchall()}
    finally:
        connection.close()


async def _peer(stage: Stage, env: Env, kind: str, count: int, *servers: str) -> Run:
    url, folder = (await database(stage, env))["PLAYTRAIL_DB"], stage.folder()
    line = (sys.executable, "-m", "benchmarks.folding_sql", kind, url, str(count), str(folder), *servers)
    return await with_servers(stage, peer(line, folder, count))
