"""Several gateway processes on one port."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

import playtrail
from gateway.shared_metrics import labelled, merged
from models import events, settings
from models.clock import SystemClock
from models.eventlog.spool_file import SpoolFile
from tests.consumers.making import message
from tests.running import Process, command, eventually, ready

SECRET = "a secret for workers that is long enough"
LIKES = "playtrail_gateway_events_total"


@pytest.fixture
async def env(tmp_path: Path) -> dict[str, str]:
    env = {"PLAYTRAIL_DATA": str(tmp_path / "data"), "PLAYTRAIL_SECRET": SECRET, "PLAYTRAIL_RATE_USER": "0"}
    await command("topics", "apply", env=env)
    await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
    return env


@pytest.fixture
async def gateway(env: dict[str, str]) -> AsyncIterator[Process]:
    async with Process("gateway", "--port", "0", "--workers", "2", env=env) as process:
        yield process


async def test_likes_through_both_are_counted_once_in_one_page(gateway: Process, env: dict[str, str]) -> None:
    url = await gateway.url()
    async with aiohttp.ClientSession() as http:
        await ready(http, url)
    await like(url, env, 40)

    async def counted() -> dict[str, float]:
        found = await samples(url, LIKES, topic=events.REACTIONS)
        return found if sum(found.values()) == 40 and len(found) == 2 else {}

    assert set(await eventually(counted, "40 likes by two workers")) == {"0", "1"}
    assert sum((await samples(url, "playtrail_gateway_workers")).values()) == 2
    assert set(await samples(url, "playtrail_spool_events")) == {"0", "1"}

    async def looked() -> set[str]:
        return set(await samples(url, "kafka_partition_latest_offset"))

    assert await eventually(looked, "a first look at the lag") == {"0"}


async def test_a_worker_that_was_killed_is_started_again(gateway: Process, env: dict[str, str]) -> None:
    url = await gateway.url()
    (first, *_) = before = workers_of(gateway.pid)
    assert len(before) == 2
    os.kill(first, signal.SIGKILL)

    async def replaced() -> bool:
        return len(workers_of(gateway.pid)) == 2 and first not in workers_of(gateway.pid)

    await eventually(replaced, "another worker")
    await like(url, env, 20)
    assert "worker died" in gateway.output()
    assert gateway.output().count("Playtrail is at") == 1


async def test_stopping_ends_all_of_them(gateway: Process) -> None:
    await gateway.url()
    workers = workers_of(gateway.pid)
    assert await gateway.stop() == 0
    assert not [pid for pid in workers if _alive(pid)]


async def test_workers_do_not_outlive_a_supervisor_that_was_killed(gateway: Process) -> None:
    await gateway.url()
    workers = workers_of(gateway.pid)
    await gateway.kill9()

    async def gone() -> bool:
        return not [pid for pid in workers if _alive(pid)]

    await eventually(gone, "the end of the workers")


async def test_what_cannot_start_ends_with_one_line(env: dict[str, str], unused_tcp_port: int) -> None:
    async with Process("gateway", "--port", str(unused_tcp_port), env=env) as first:
        await first.url()
        async with Process("gateway", "--port", str(unused_tcp_port), "--workers", "2", env=env) as second:
            assert await second.wait(30) == 1
            (line,) = second.output().splitlines()
    assert "PLAYTRAIL_PORT" in line


@pytest.mark.parametrize("serving", ["gateway", "up"])
async def test_the_spool_of_a_worker_that_is_no_more_is_drained(env: dict[str, str], serving: str) -> None:
    config = settings.read(env)
    spool = SpoolFile(playtrail.spool_of(config, 3), clock=SystemClock(), max_bytes=1 << 20)
    await spool.open()
    for user in range(1, 11):
        await spool.put(message(events.Like, user=user, video_id=1))
    await spool.close()
    log = playtrail.open_log(config, playtrail.contract_of(config))
    async with Process(serving, "--port", "0", env=env) as process, log.reader() as reader:
        await process.url()

        async def appended() -> bool:
            return sum(end for _, end in (await reader.bounds(events.REACTIONS)).values()) == 10

        await eventually(appended, "what the spool held in the log")

        async def gone() -> bool:
            return not playtrail.spool_of(config, 3).exists()

        await eventually(gone, "the end of the spool's file")


def test_pages_are_merged_metric_by_metric() -> None:
    page = '# HELP a_total A\n# TYPE a_total counter\na_total{x="1"} 2.0\n# HELP b B\n# TYPE b gauge\nb 3.0\n'
    assert merged([labelled(page, 0), labelled(page, 1)]) == (
        '# HELP a_total A\n# TYPE a_total counter\na_total{x="1",worker="0"} 2.0\na_total{x="1",worker="1"} 2.0\n'
        '# HELP b B\n# TYPE b gauge\nb{worker="0"} 3.0\nb{worker="1"} 3.0\n'
    )


async def like(url: str, env: dict[str, str], times: int) -> None:
    """Each over a connection of its own, so that the kernel spreads them."""
    token = (await command("token", "7", env=env)).strip()
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    for _ in range(times):
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(url + "/video/like/1", data={"like": 1}) as answer,
        ):
            assert answer.status == 200


async def samples(url: str, name: str, **labels: str) -> dict[str, float]:
    """A metric's values by worker."""
    async with aiohttp.ClientSession() as http, http.get(url + "/metrics") as answer:
        families = list(text_string_to_metric_families(await answer.text()))
    found = (s for family in families for s in family.samples if s.name == name)
    return {s.labels.get("worker", ""): s.value for s in found if labels.items() <= s.labels.items()}


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _alive(pid: int) -> bool:
    """Whether it runs; one that ended and was inherited by init may wait to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
