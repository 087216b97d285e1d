"""Where sections run: real servers that start when first asked for, fresh settings for each ask, processes of ours."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import aiohttp
from aiokafka.admin import AIOKafkaAdminClient

from models.topics import load
from tests.real.hbase import HBase
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB
from tests.real.processes import Server, free_port
from tests.running import Process, command, eventually, folding, ready

SECRET: Final = "a benchmark's secret of 32 bytes or more"
Env: TypeAlias = dict[str, str]
"""The settings of our processes, as environment variables."""
_S = TypeVar("_S", bound=Server)


class Stage:
    """
    What a section works with.

    Attributes:
        rounds: How often each peer has its turn; the median counts.
        seconds: How long a turn is.
    """

    def __init__(self, folder: Path, rounds: int, seconds: int) -> None:
        self.rounds, self.seconds = rounds, seconds
        self._folder = folder
        self._servers: dict[type[Server], Server] = {}

    async def kafka(self) -> Kafka:
        """The run's Kafka."""
        return await self._started(Kafka)

    async def mariadb(self) -> MariaDB:
        """The run's MariaDB."""
        return await self._started(MariaDB)

    async def hbase(self) -> HBase:
        """The run's HBase."""
        return await self._started(HBase)

    async def _started(self, kind: type[_S]) -> _S:
        server = self._servers.get(kind)
        if server is None:
            server = self._servers[kind] = kind(self._folder / kind.__name__)
            self.note(f"starting {kind.name}")
            await asyncio.to_thread(server.start)
        assert isinstance(server, kind)
        return server

    async def stop(self) -> None:
        """Stop the servers; their data are temporary."""
        for server in self._servers.values():
            await asyncio.to_thread(server.kill9)
        self.note("")

    def note(self, text: str) -> None:
        """The progress line on a terminal; nothing in a pipe."""
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def folder(self) -> Path:
        """A fresh, empty folder; it goes when the run ends."""
        path = self._folder / secrets.token_hex(4)
        path.mkdir(parents=True)
        return path

    async def real(self) -> Env:
        """
        Settings for the real servers: empty topics, a fresh database, a fresh prefix of tables, a fresh data folder.

        Topics have one name each, so this takes those of the ask before away: stop its processes first.
        """
        kafka, mariadb, hbase = await self.kafka(), await self.mariadb(), await self.hbase()
        await _forget_topics(kafka.address)
        name = f"bench_{secrets.token_hex(4)}"
        await asyncio.to_thread(mariadb.execute, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        env = self._settings() | {
            "PLAYTRAIL_EVENTS": kafka.url,
            "PLAYTRAIL_DB": f"{mariadb.url}/{name}",
            "PLAYTRAIL_PLAYS": f"{hbase.url}?prefix=b{secrets.token_hex(4)}",
            "PLAYTRAIL_REPLICATION": "1",
        }
        await command("topics", "apply", env=env)
        return env

    def embedded(self) -> Env:
        """Settings for the embedded default in a fresh data folder."""
        return self._settings()

    def _settings(self) -> Env:
        """Rates are unlimited: all load comes from one address."""
        return {
            "PLAYTRAIL_DATA": str(self.folder()),
            "PLAYTRAIL_SECRET": SECRET,
            "PLAYTRAIL_RATE_USER": "0",
            "PLAYTRAIL_RATE_ADDRESS": "0",
        }

    @contextlib.asynccontextmanager
    async def gateway(self, env: Env) -> AsyncIterator[tuple[str, int]]:
        """A gateway that is ready: its address and process id."""
        async with Process("gateway", "--port", "0", env=env) as process, aiohttp.ClientSession() as http:
            url = await process.url()
            await ready(http, url)
            yield url, process.pid

    @contextlib.asynccontextmanager
    async def consumers(self, env: Env, *projections: str) -> AsyncIterator[tuple[str, int]]:
        """Consumers that fold all their partitions: the address of /metrics and /health, and the process id."""
        address = f"127.0.0.1:{free_port()}"
        line = ("consume", *projections, "--metrics", address)
        async with Process(*line, env=env) as process, aiohttp.ClientSession() as http:
            await folding(http, f"http://{address}")
            yield f"http://{address}", process.pid


async def _forget_topics(bootstrap: str) -> None:
    """Delete our topics, if there are any, and wait until they are gone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        ours = set(load(None, None).by_name)
        there = ours & set(await admin.list_topics())
        if there:
            await admin.delete_topics(sorted(there))

            async def gone() -> bool:
                return not ours & set(await admin.list_topics())

            await eventually(gone, "deleted topics to be gone")
    finally:
        await admin.close()
