"""The lag on real Kafka and MariaDB against the truth: under load, at rest, consumers held up, killed, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
import pytest

from models import topics
from models.eventlog.kafka import KafkaLog
from models.events import REACTIONS
from models.lag.report import PartitionLag, Report
from models.lag.sampler import Sampler
from models.stores.sql import SqlStore
from tests.contract.eventlog_base import until_ready
from tests.real.chaos.site import forget_topics
from tests.real.kafka import Kafka
from tests.real.lagtruth import Load, described, folded, triple
from tests.real.mariadb import MariaDB
from tests.running import Process, command, eventually, folding

pytestmark = pytest.mark.real

GROUP = "playtrail-reactions"


class Site(NamedTuple):
    """A consumer of reactions, what writes to its topic, and what looks at it from outside."""

    env: dict[str, str]
    consumer: Process
    url: str
    http: aiohttp.ClientSession
    load: Load
    log: KafkaLog
    sql: SqlStore
    kafka: Kafka
    mariadb: MariaDB

    def sampler(self) -> Sampler:
        return Sampler(self.log, {"reactions": self.sql}, topics.load(replication=1))

    def folded(self) -> dict[int, int]:
        return folded(self.mariadb, self.env["PLAYTRAIL_DB"])

    async def caught_up(self) -> None:
        async def check() -> bool:
            stands = self.folded()
            return all(stands.get(number) == end for number, end in self.load.ends().items())

        await eventually(check, "every record folded")


@pytest.fixture
async def site(
    tmp_path: Path, kafka: Kafka, kafka_url: str, mariadb: MariaDB, mariadb_url: str, unused_tcp_port: int
) -> AsyncIterator[Site]:
    await forget_topics(kafka)
    url = f"127.0.0.1:{unused_tcp_port}"
    env = {"PLAYTRAIL_EVENTS": kafka_url, "PLAYTRAIL_DB": mariadb_url, "PLAYTRAIL_REPLICATION": "1"}
    env |= {"PLAYTRAIL_DATA": str(tmp_path)}
    await command("topics", "apply", env=env)
    await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
    log, sql = KafkaLog(kafka.address, topics.load(replication=1)), SqlStore(mariadb_url)
    async with AsyncExitStack() as stack:
        stack.callback(sql.close)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        writer = await stack.enter_async_context(log.writer())
        consumer = await stack.enter_async_context(Process("consume", "reactions", "--metrics", url, env=env))
        await until_ready(writer.ready)
        await folding(http, f"http://{url}")
        yield Site(env, consumer, f"http://{url}", http, Load(writer), log, sql, kafka, mariadb)


async def test_lag_is_the_truth_whatever_happens_to_the_consumer(site: Site) -> None:
    async with site.sampler() as sampler:
        await _under_load(site, sampler)
        await site.caught_up()
        await _at_rest(site, sampler)
    await _in_metrics(site)
    await _held_up(site)
    await _killed(site)
    await _stopped(site)


async def _under_load(site: Site, sampler: Sampler) -> None:
    """While both ends move, the truth is between what it was before the look and after it."""
    async with site.load.running():
        for _ in range(8):
            await asyncio.sleep(0.2)
            stood, ended = site.folded(), site.load.ends()
            lags = await _look(sampler)
            stands, ends = site.folded(), site.load.ends()
            for number in ended:
                found = lags[number]
                assert found.position is not None
                assert stood[number] <= found.position <= stands[number]
                assert ended[number] <= found.end <= ends[number] + 1  # one may be in the log and not yet answered
                assert found.lag == found.end - found.position
                _is_old(site, found)
                assert found.state not in ("unknown", "STOP", "REWIND")


async def _at_rest(site: Site, sampler: Sampler) -> None:
    lags = await _look(sampler)
    assert {p.lag for p in lags.values()} == {0}
    assert {p.lag_seconds for p in lags.values()} == {0.0}
    assert {p.state for p in lags.values()} == {"OK"}
    assert {number: p.end for number, p in lags.items() if p.end} == site.load.ends()
    assert all(p.owner and p.client and p.host for p in lags.values())


async def _in_metrics(site: Site) -> None:
    """The consumer's own look agrees, as soon as it is taken again."""
    wanted = [f'partition="{number}",topic="{REACTIONS}"}} {end}.0' for number, end in site.load.ends().items()]

    async def check() -> bool:
        async with site.http.get(site.url + "/metrics") as answer:
            lines = (await answer.text()).splitlines()
        stands = [line for line in lines if line.startswith("kafka_consumergroup_group_offset{")]
        return all(any(line.endswith(end) for line in stands) for end in wanted)

    await eventually(check, "the positions in /metrics")


async def _held_up(site: Site) -> None:
    """A process that is stopped by SIGSTOP is a member still, and does nothing: STALL."""
    os.kill(site.consumer.pid, signal.SIGSTOP)
    try:
        await site.load.append(60)
        lags = await _exact(site)
        assert {p.state for p in lags.values() if p.lag} == {"STALL"}
    finally:
        os.kill(site.consumer.pid, signal.SIGCONT)
    await site.caught_up()


async def _killed(site: Site) -> None:
    """Kafka holds a killed member's place for its session; nobody moves in either case."""
    await site.consumer.kill9()
    await site.load.append(60)
    lags = await _exact(site)
    assert {p.state for p in lags.values() if p.lag} <= {"STALL", "STOP"}
    await site.consumer.start()
    await site.caught_up()
    await folding(site.http, site.url)


async def _stopped(site: Site) -> None:
    """Positions and their copies are the same after an orderly end: Kafka's own tool and the command agree."""
    assert await site.consumer.stop() == 0
    await site.load.append(60)
    lags = await _exact(site)
    tool = asyncio.create_task(asyncio.to_thread(described, site.kafka, GROUP))
    shown = await _command(site)
    assert await tool == {number: triple(p) for number, p in shown.items()}
    assert {number: triple(p) for number, p in lags.items()} == {number: triple(p) for number, p in shown.items()}
    assert sum(p.lag or 0 for p in shown.values()) == 60


async def _command(site: Site) -> dict[int, PartitionLag]:
    """By the command, which answers while no consumer runs; its code is 0 or 1, as the records are of just now."""
    async with Process("lag", "--projection", "reactions", "--json", env=site.env) as process:
        code = await process.wait(60)
        report = msgspec.json.decode(process.output(), type=Report)
    assert code == report.level < 2
    return {p.partition: p for p in report.projections[0].partitions}


async def _look(sampler: Sampler) -> dict[int, PartitionLag]:
    report = await sampler.report()
    assert not report.errors
    return {p.partition: p for p in report.projections[0].partitions}


async def _exact(site: Site) -> dict[int, PartitionLag]:
    """Two looks at what stands still: lag to the record, age to the second."""
    async with site.sampler() as sampler:
        await sampler.report()
        await asyncio.sleep(0.2)
        lags = await _look(sampler)
    stands, ends = site.folded(), site.load.ends()
    for number, found in lags.items():
        assert (found.position, found.end) == (stands[number], ends.get(number, 0))
        assert found.lag == found.end - stands[number]
        _is_old(site, found)
    assert any(p.lag for p in lags.values())
    return lags


def _is_old(site: Site, found: PartitionLag) -> None:
    """The age is that of the first record that is not folded, to the second; it has grown since it was measured."""
    assert found.position is not None
    assert found.lag_seconds is not None
    assert not found.estimated
    first_ms = site.load.times[found.partition].get(found.position)
    if found.lag == 0 or first_ms is None:  # the one in the log that is not yet answered
        assert found.lag_seconds < 1
    else:
        assert abs(time.time() - first_ms / 1000 - found.lag_seconds) < 1
