"""Plays per video, ours and the stream processors: the same backlog, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from pathlib import Path
from typing import Final, NamedTuple

import playtrail
from benchmarks.folding_log import EVENTS, Backlog, Totals, make_topic, plays
from benchmarks.folding_runs import COLUMNS, Outcome, PeerFailed, Run, compared, middle, ours, peer, rows, with_servers
from benchmarks.peers import HERE, PeerMissing, python_of
from benchmarks.report import Table
from benchmarks.stage import Env, Stage
from models import events, settings

ROUNDS: Final = 3
SMALL: Final = "bench.plays.small"
SHARE: Final = 20
"""A slow peer folds one in so many events, on a topic of its own."""


class Peer(NamedTuple):
    """A program in ``benchmarks/NAME/program.py``."""

    label: str
    name: str
    state: str
    arguments: tuple[str, ...] = ()
    small: bool = False


PEERS: Final = (
    Peer("Quix Streams, at least once", "quix", "RocksDB, changelog", ("at-least-once",)),
    Peer("Quix Streams, exactly once", "quix", "RocksDB, changelog", ("exactly-once",)),
    Peer("sentry-arroyo, at least once", "arroyo", "in memory, lost at a restart"),
    Peer(f"Faust, at least once, {EVENTS // SHARE:,} events", "faust", "RocksDB, changelog", small=True),
)


async def table(stage: Stage) -> Table:
    """The comparison."""
    env, servers = await stage.real(), (await stage.kafka()).address
    stage.note(f"{EVENTS:,} plays into Kafka")
    backlog = await plays(servers, events.PLAYS, EVENTS)
    await make_topic(servers, SMALL)
    small = await plays(servers, SMALL, max(1, EVENTS // SHARE))
    own: list[Run] = []
    found: dict[Peer, list[Run | str]] = {one: [] for one in PEERS}
    turns = min(ROUNDS, stage.rounds)
    stage.note("Playtrail: a round that does not count")
    await _ours(stage, env, backlog)  # HBase's JVM compiles what it runs, as Kafka's did while the backlog was written
    for turn in range(turns):
        stage.note(f"Playtrail: round {turn + 1} of {turns}")
        own.append(await _ours(stage, env, backlog))
        for one in PEERS:
            stage.note(f"{one.label}: round {turn + 1} of {turns}")
            found[one].append(await _peer(stage, one, small if one.small else backlog))
    outcomes = [Outcome("Playtrail, exactly once", "HBase", middle(own), "exact"), *map(_outcome, found.items())]
    note = (
        f"{EVENTS:,} events of {EVENTS // 3:,} sessions, {len(backlog.totals):,} videos; median of {turns}. "
        "*exact*: plays and seconds of every video are those of a plain fold in Python, each time."
    )
    return Table(("plays per video", *COLUMNS), rows(outcomes, middle(own)), note)


async def _ours(stage: Stage, env: Env, backlog: Backlog) -> Run:
    """Into fresh tables, which are compared afterwards; a difference is not a result but a failure."""
    fresh = env | {"PLAYTRAIL_PLAYS": f"{env['PLAYTRAIL_PLAYS'].partition('?')[0]}?prefix=f{secrets.token_hex(4)}"}
    run = await with_servers(stage, ours(fresh, "plays", backlog.events))
    verdict = compared(backlog.totals, await asyncio.to_thread(totals_of, fresh, list(backlog.totals)))
    if verdict != "exact":
        raise RuntimeError(f"plays of playtrail: {verdict}")
    return run


def totals_of(env: Env, videos: list[int]) -> Totals:
    """What HBase has of these videos."""
    with contextlib.closing(playtrail.open_plays(settings.read(env))) as store:
        return {video: (row.times, row.duration) for video, row in store.rows(videos).items()}


async def _peer(stage: Stage, one: Peer, backlog: Backlog) -> Run | str:
    """A run, or why there is none."""
    folder = stage.folder()
    try:
        python = await asyncio.to_thread(python_of, one.name)
        program = str(HERE / one.name / "program.py")
        arguments = (backlog.servers, backlog.topic, str(backlog.events), str(folder), *one.arguments)
        run = await with_servers(stage, peer((str(python), program, *arguments), folder, backlog.events))
    except PeerMissing as error:
        return f"not installed: {error}"
    except PeerFailed as error:
        return f"failed: {error}"
    verdict = compared(backlog.totals, _totals(folder))
    return run if verdict == "exact" else verdict


def _totals(folder: Path) -> Totals:
    videos = json.loads((folder / "result.json").read_text())["videos"]
    return {int(video): (plays, seconds) for video, (plays, seconds) in videos.items()}


def _outcome(found: tuple[Peer, list[Run | str]]) -> Outcome:
    """Any round without a right result is the outcome."""
    one, results = found
    reasons = [result for result in results if isinstance(result, str)]
    runs = [result for result in results if isinstance(result, Run)]
    return Outcome(one.label, one.state, None if reasons else middle(runs), reasons[0] if reasons else "exact")
