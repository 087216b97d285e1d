"""What can be broken: one entry for each fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from models.topics import PROJECTIONS
from tests.real.chaos.proxy import Mode, Proxy
from tests.real.chaos.site import Site
from tests.running import Process

AWAY_SECONDS: Final = 2.0
"""How long a killed server stays away, at least: its start takes seconds more."""

BAD_SECONDS: Final = 3.0
"""How long a network is bad: longer than the gateway waits for the log."""


@dataclass(frozen=True)
class Fault:
    """``inject`` breaks something and repairs it; when it returns, all servers, processes and networks are there."""

    name: str
    inject: Callable[[Site], Awaitable[None]]


async def _kill(process: Process) -> None:
    await process.kill9()
    await process.start()


def _kill_consumer(name: str) -> Callable[[Site], Awaitable[None]]:
    return lambda site: _kill(site.consumers[name])


async def _kill_kafka(site: Site) -> None:
    await asyncio.to_thread(site.kafka.kill9)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(site.kafka.start)


async def _kill_mariadb(site: Site) -> None:
    await asyncio.to_thread(site.mariadb.kill9)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(site.mariadb.start)


async def _kill_master(site: Site) -> None:
    await asyncio.to_thread(site.hbase.master.kill9)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(site.hbase.start)


async def _kill_thrift(site: Site) -> None:
    await asyncio.to_thread(site.hbase.thrift.kill9)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(site.hbase.start)


def _network(proxy_of: Callable[[Site], Proxy], mode: Mode) -> Callable[[Site], Awaitable[None]]:
    async def inject(site: Site) -> None:
        proxy = proxy_of(site)
        proxy.set(mode)
        try:
            await asyncio.sleep(BAD_SECONDS)
        finally:
            proxy.set("pass")

    return inject


_PROXIES: Final[dict[str, Callable[[Site], Proxy]]] = {
    "gateway-Kafka": lambda site: site.kafka_proxy,
    "consumers-MariaDB": lambda site: site.mariadb_proxy,
    "consumers-HBase": lambda site: site.hbase_proxy,
}
_MODES: Final[tuple[Mode, ...]] = ("slow", "half-open", "cut")

FAULTS: Final[tuple[Fault, ...]] = (
    Fault("kill -9 gateway", lambda site: _kill(site.gateway)),
    *(Fault(f"kill -9 consumer of {name}", _kill_consumer(name)) for name in PROJECTIONS),
    Fault("kill -9 Kafka", _kill_kafka),
    Fault("kill -9 MariaDB", _kill_mariadb),
    Fault("kill -9 HBase master", _kill_master),
    Fault("kill -9 HBase Thrift", _kill_thrift),
    *(Fault(f"{mode} {name}", _network(proxy, mode)) for name, proxy in _PROXIES.items() for mode in _MODES),
)
