"""From an event to the read model: how long until it can be seen."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks import filling
from benchmarks.lean import Client
from benchmarks.report import Cell, Table
from benchmarks.stage import Env, Stage
from benchmarks.steady import VIDEOS, Mix, Sent
from benchmarks.usage import cpu_seconds
from benchmarks.watching import Watch
from models import events, topics
from models.eventlog.kafka import KafkaLog
from models.stores.plays_hbase import HBasePlays
from models.stores.sql import SqlStore
from tests.running import eventually

TITLE: Final = "Event to visible"
ABOUT: Final = """
1,000 events/s over HTTP: 3 likes, 5 heartbeats and 2 page views of ten, 1,000 users, 1,000 videos, all three consumers
in one process beside the gateway, on real Kafka, MariaDB and HBase. The time runs from the moment before the request is
sent until the projection's position, read from its store every 10 ms, has passed the event; one like in six is also
asked for by GET with its position, as a page does. Measured for the time of all rounds, after a minute of the same
load; and in the first twenty seconds of that, while the JVMs of Kafka and HBase compile what they run and leave the
rest less of the two cores than it takes.
"""
RATE: Final = 1_000
START, COLD, WARM_UP = 3.0, 20.0, 40.0
"""Seconds: without a measurement, of the measurement just after the start, and until the other."""
PROJECTIONS: Final = {"reactions": events.REACTIONS, "plays": events.PLAYS, "views": events.VIEWS}


async def run(stage: Stage) -> Sequence[Table]:
    """One long run; percentiles need many events more than they need turns."""
    env = await stage.real()
    await asyncio.to_thread(filling.videos, await stage.mariadb(), env, VIDEOS, stage.note)
    seconds = float(stage.rounds * stage.seconds)
    async with (
        stage.gateway(env) as (url, gateway_pid),
        stage.consumers(env) as (metrics, consumer_pid),
        _watches(env) as watches,
    ):
        with contextlib.closing(Client(url)) as client:
            await Mix(client).run(RATE // 2, START)
            stage.note(f"{RATE} events/s for {COLD:.0f}, {WARM_UP:.0f} and {seconds:.0f} s")
            cold, between, warm = (Mix(client, first=n * Mix.SPAN) for n in (1, 2, 3))
            await cold.run(RATE, COLD)
            await between.run(RATE, WARM_UP)
            before = await _used(gateway_pid, consumer_pid, metrics)
            await warm.run(RATE, seconds)
            after = await _used(gateway_pid, consumer_pid, metrics)
        ends = await _until_folded(env, watches)
    views = await _views(env, ends)
    tables = [_table(what, mix.sent, watches, views) for what, mix in (("after a minute", warm), ("at first", cold))]
    gateway, consumers, own, flushes = (now - then for now, then in zip(after, before, strict=True))
    note = (
        f"Processor: gateway {gateway / seconds:.0%} of a core; consumers {consumers / seconds:.0%}, "
        f"{consumers / flushes * 1000:.2f} ms a flush, of which there were {flushes / seconds:.0f} a second; "
        f"what sends and watches {own / seconds:.0%}."
    )
    return [tables[0]._replace(note=note), tables[1]]


async def _used(gateway_pid: int, consumer_pid: int, metrics: str) -> tuple[float, float, float, float]:
    """Processor seconds so far of the gateway, of the consumers and of this process; and the consumers' flushes."""
    async with aiohttp.ClientSession() as http, http.get(f"{metrics}/metrics") as answer:
        found = re.findall(r"^playtrail_flush_seconds_count\S* (\S+)", await answer.text(), re.MULTILINE)
    return cpu_seconds(gateway_pid), cpu_seconds(consumer_pid), time.process_time(), sum(map(float, found))


@contextlib.asynccontextmanager
async def _watches(env: Env) -> AsyncIterator[Mapping[str, Watch]]:
    sql, plays = SqlStore(env["PLAYTRAIL_DB"]), HBasePlays(env["PLAYTRAIL_PLAYS"])
    found = {name: Watch(plays if name == "plays" else sql, name, topic) for name, topic in PROJECTIONS.items()}
    try:
        with contextlib.ExitStack() as stack:
            for watch in found.values():
                stack.enter_context(watch.running())
            yield found
    finally:
        sql.close()
        plays.close()


async def _until_folded(env: Env, watches: Mapping[str, Watch]) -> Mapping[int, tuple[int, int]]:
    """Wait until every projection has reached the end of its topic; returns the bounds of the views."""
    async with _log(env).reader() as reader:
        bounds = {name: await reader.bounds(topic) for name, topic in PROJECTIONS.items()}

    async def reached() -> bool:
        return all(
            watches[name].position(p) >= end for name, of_one in bounds.items() for p, (_, end) in of_one.items()
        )

    await eventually(reached, "all events to be folded")
    return bounds["views"]


async def _views(env: Env, bounds: Mapping[int, tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Partition and offset of each view, by viewer and video."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    async with _log(env).reader() as reader:
        for partition, (at, end) in bounds.items():
            while at < end:
                records = await reader.read(events.VIEWS, partition, at, 5_000)
                for record in records:
                    event: dict[str, Any] = msgspec.json.decode(record.value)
                    found[event["user_id"], event["video_id"]] = partition, record.offset
                at = records[-1].offset + 1
    return found


def _log(env: Env) -> KafkaLog:
    return KafkaLog(env["PLAYTRAIL_EVENTS"].removeprefix("kafka://"), topics.load(None, 1))


def _table(what: str, sent: Sent, watches: Mapping[str, Watch], views: Mapping[Any, tuple[int, int]]) -> Table:
    assert not sent.failed, sent.failed[:3]
    placed = {name: sent.placed[PROJECTIONS[name]] for name in ("reactions", "plays")}
    placed["views"] = {views[key]: at for key, at in sent.views.items() if key in views}
    rows = [_row(name, _took(watches[name], of_one)) for name, of_one in placed.items()]
    asked: list[float | None] = [*sent.asked, *([None] * len(sent.stale))]
    rows.append(_row("reactions, by GET like with the position", asked))
    return Table((f"event to visible, {what}", "events", "p50 ms", "p99 ms", "largest ms", "never"), rows)


def _took(watch: Watch, placed: Mapping[tuple[int, int], float]) -> list[float | None]:
    seen = ((watch.seen(*place), at) for place, at in placed.items())
    return [None if when is None else when - at for when, at in seen]


def _row(name: str, took: Sequence[float | None]) -> Sequence[Cell]:
    good = sorted(seconds * 1000 for seconds in took if seconds is not None)
    middle, high = good[len(good) // 2], good[min(len(good) - 1, len(good) * 99 // 100)]
    return name, len(good), middle, high, good[-1], len(took) - len(good)
