"""
Resident memory over time: consumers that catch up on millions of events, and a gateway whose log is away.

``python -m tests.real.chaos.memory consumers --events 5000000``
``python -m tests.real.chaos.memory gateway --minutes 10``
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import aiohttp

import playtrail
from models import events, settings
from models.eventlog.port import EventLog
from models.stores.port import PlayStores, SqlStores
from tests.real.chaos.filling import fill
from tests.real.chaos.load import Load
from tests.real.chaos.site import SECRET
from tests.real.hbase import HBase
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB
from tests.real.processes import Server
from tests.running import Process, command, ready

EVERY_SECONDS: Final = 1.0
MIB: Final = 1 << 20


def resident(pid: int) -> int:
    """Bytes of a process that are in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


class Watch:
    """
    Samples a process once a second; an async context manager.

    Attributes:
        samples: (seconds since the start, resident bytes, what ``note`` said).
    """

    def __init__(self, process: Process, note: Callable[[], str] = str) -> None:
        self._process, self._note = process, note
        self.samples: list[tuple[float, int, str]] = []

    async def __aenter__(self) -> Watch:
        self._begin = time.monotonic()
        self._sample()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._sample()

    @property
    def grown(self) -> int:
        """Bytes by which the largest sample exceeds the first."""
        return self.largest - self.samples[0][1]

    @property
    def largest(self) -> int:
        return max(size for _, size, _ in self.samples)

    def show(self, lines: int = 12) -> None:
        """Print some of the samples, evenly spread."""
        step = max(1, len(self.samples) // lines)
        for seconds, size, note in [*self.samples[::step], self.samples[-1]]:
            print(f"{seconds:8.0f} s  {size / MIB:8.0f} MiB  {note}", flush=True)
        print(f"largest {self.largest / MIB:.0f} MiB, {self.grown / MIB:.0f} MiB more than at first", flush=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self._sample()

    def _sample(self) -> None:
        with contextlib.suppress(OSError):
            self.samples.append((time.monotonic() - self._begin, resident(self._process.pid), self._note()))


async def consumers(folder: Path, count: int) -> None:
    """For plays and for reactions: a log of ``count`` events, and a consumer that starts at its beginning."""
    servers = Kafka(folder / "kafka"), MariaDB(folder / "mariadb"), HBase(folder / "hbase")
    async with _running(*servers):
        kafka, mariadb, hbase = servers
        mariadb.execute("CREATE DATABASE memory CHARACTER SET utf8mb4")
        env = _env(folder, kafka, {"PLAYTRAIL_DB": f"{mariadb.url}/memory", "PLAYTRAIL_PLAYS": hbase.url})
        await command("topics", "apply", env=env)
        for name, topic in (("plays", events.PLAYS), ("reactions", events.REACTIONS)):
            begin = time.monotonic()
            await fill(kafka.address, topic, count)
            print(f"\n{count:,} events of {topic} written in {time.monotonic() - begin:.0f} s", flush=True)
            await _catch_up(name, topic, env)


async def _catch_up(name: str, topic: str, env: dict[str, str]) -> None:
    config = settings.read(env)
    log, sql, plays = playtrail.open_log(config, playtrail.contract_of(config)), *_stores(config)
    store = plays if name == "plays" else sql
    end, reached = await _end(log, topic), 0
    begin = time.monotonic()
    try:
        async with Process("consume", name, "--metrics", "127.0.0.1:0", env=env) as consumer:
            async with Watch(consumer, lambda: f"{reached:,} folded") as watch:
                while reached < end:
                    await asyncio.sleep(EVERY_SECONDS)
                    positions = await asyncio.to_thread(store.positions, name, topic)
                    reached = sum(checkpoint.next_offset for checkpoint in positions.values())
            print(f"{name} folded {end:,} events in {time.monotonic() - begin:.0f} s")
            watch.show()
    finally:
        sql.close()
        plays.close()


def _stores(config: settings.Settings) -> tuple[SqlStores, PlayStores]:
    return playtrail.open_sql(config), playtrail.open_plays(config)


async def _end(log: EventLog, topic: str) -> int:
    async with log.reader() as reader:
        return sum(end for _, end in (await reader.bounds(topic)).values())


async def gateway(folder: Path, minutes: float, clients: int) -> None:
    """A gateway under load, from whose side Kafka is stopped for so long."""
    kafka = Kafka(folder / "kafka")
    async with _running(kafka):
        env = _env(folder, kafka, {})
        await command("topics", "apply", env=env)
        await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
        async with Process("gateway", "--port", "0", env=env) as process, aiohttp.ClientSession() as http:
            url = await process.url()
            await ready(http, url)
            watch, load = await away(kafka, process, url, minutes * 60, clients)
            print(f"\nKafka away for {minutes:g} minutes under load: {dict(load.done.answers)}")
            watch.show()


async def away(kafka: Kafka, process: Process, url: str, seconds: float, clients: int) -> tuple[Watch, Load]:
    """Load a gateway for a while with its Kafka stopped, after a warm-up with it; Kafka is started again."""
    load = Load(url, SECRET, clients)
    async with load:
        await asyncio.sleep(WARM_UP_SECONDS)
        async with Watch(process, lambda: f"{sum(load.done.answers.values()):,} actions sent") as watch:
            await asyncio.to_thread(kafka.stop)
            try:
                await asyncio.sleep(seconds)
            finally:
                await asyncio.to_thread(kafka.start)
    return watch, load


WARM_UP_SECONDS: Final = 5.0
"""What a gateway needs once (caches, threads) is not growth."""


def _env(folder: Path, kafka: Kafka, stores: dict[str, str]) -> dict[str, str]:
    return {
        "PLAYTRAIL_EVENTS": kafka.url,
        "PLAYTRAIL_REPLICATION": "1",
        "PLAYTRAIL_SECRET": SECRET,
        "PLAYTRAIL_DATA": str(folder / "data"),
        **stores,
    }


@contextlib.asynccontextmanager
async def _running(*servers: Server) -> AsyncIterator[None]:
    try:
        for server in servers:
            await asyncio.to_thread(server.start)
        yield
    finally:
        for server in servers:
            server.kill9()


def main() -> int:
    """One of the two measurements."""
    parser = argparse.ArgumentParser(prog="python -m tests.real.chaos.memory", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("consumers", help="plays and reactions catch up")
    one.add_argument("--events", type=int, default=5_000_000, help="events of each topic")
    two = commands.add_parser("gateway", help="the log is away")
    two.add_argument("--minutes", type=float, default=10)
    two.add_argument("--clients", type=int, default=16, help="each sends some 50 actions a second, by the machine")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory") as name:
        folder = Path(name)
        run: Coroutine[Any, Any, None]
        if chosen.command == "consumers":
            run = consumers(folder, chosen.events)
        else:
            run = gateway(folder, chosen.minutes, chosen.clients)
        asyncio.run(run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
