"""A whole deployment: gateway, a consumer for each projection, and proxies between them and their servers."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from aiokafka.admin import AIOKafkaAdminClient

import playtrail
from models import settings
from models.errors import PlaytrailError
from models.events import BY_TOPIC, DEAD
from models.topics import PROJECTIONS
from tests.contract.fold import behind, ends
from tests.real.chaos.proxy import Proxy
from tests.real.hbase import HBase
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB
from tests.real.processes import Process as ServerProcess
from tests.real.processes import free_port
from tests.running import Process, command, eventually, folding, ready

SECRET: Final = "a secret of the chaos tests, 32 bytes or more"
RECOVERY_SECONDS: Final = 90.0


class ProxiedKafka(Kafka):
    """A Kafka with a second listener, which it advertises at another port: that of a proxy before it."""

    def __init__(self, folder: Path, *, quick: bool = False) -> None:
        super().__init__(folder, quick=quick)
        self._far_port, self._proxy_port = free_port(), free_port()

    def proxy(self) -> Proxy:
        """A proxy at the port that is advertised; one at a time."""
        return Proxy(self._far_port, self._proxy_port)

    def prepare(self) -> list[ServerProcess]:
        processes = super().prepare()
        near, far = f"PLAINTEXT://{self.address}", f"PROXIED://127.0.0.1:{self._far_port}"
        path = self.folder / "server.properties"
        found = re.search(r"CONTROLLER://127\.0\.0\.1:\d+", path.read_text())
        assert found is not None
        with path.open("a") as file:  # of two lines for one key, Java takes the later
            file.write(f"listeners={near},{far},{found[0]}\n")
            file.write(f"advertised.listeners={near},PROXIED://127.0.0.1:{self._proxy_port}\n")
            file.write("listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n")
        return processes


@asynccontextmanager
async def opened(kafka: ProxiedKafka, mariadb: MariaDB, hbase: HBase, folder: Path) -> AsyncIterator[Site]:
    """A running site with an empty log and empty stores, on running servers."""
    await forget_topics(kafka)
    async with AsyncExitStack() as stack:
        database = stack.enter_context(mariadb.database(f"chaos_{secrets.token_hex(4)}"))
        env = {
            "PLAYTRAIL_EVENTS": kafka.url,
            "PLAYTRAIL_DB": database,
            "PLAYTRAIL_PLAYS": f"{hbase.url}?prefix=c{secrets.token_hex(4)}",
            "PLAYTRAIL_REPLICATION": "1",
            "PLAYTRAIL_SECRET": SECRET,
            "PLAYTRAIL_DATA": str(folder),
        }
        proxies = [await stack.enter_async_context(p) for p in (kafka.proxy(), Proxy(mariadb.port), Proxy(hbase.port))]
        site = Site(kafka, mariadb, hbase, proxies)
        await site.start(stack, env, folder)
        yield site


async def forget_topics(kafka: Kafka) -> None:
    """Delete the topics of Playtrail, so that the next ``topics apply`` makes empty ones."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.delete_topics(list(set(await admin.list_topics()) & {*BY_TOPIC, DEAD}))
    finally:
        await admin.close()


class Site:
    """
    What runs, and handles to break it.

    Attributes:
        kafka_proxy, mariadb_proxy, hbase_proxy: Between the gateway and Kafka; the consumers and MariaDB; the
            consumers and HBase.
        consumers: By projection.
    """

    def __init__(self, kafka: Kafka, mariadb: MariaDB, hbase: HBase, proxies: Sequence[Proxy]) -> None:
        self.kafka, self.mariadb, self.hbase = kafka, mariadb, hbase
        self.kafka_proxy, self.mariadb_proxy, self.hbase_proxy = proxies
        self.url = f"http://127.0.0.1:{free_port()}"
        self.consumers: dict[str, Process] = {}
        self._health: dict[str, str] = {}

    async def start(self, stack: AsyncExitStack, env: dict[str, str], folder: Path) -> None:
        """Topics, tables, catalogue, processes; returns when all of them work."""
        await command("topics", "apply", env=env)
        await command("catalogue", "load", "gateway/demo/catalogue.json", env=env)
        config = settings.read(env)
        self.log = playtrail.open_log(config, playtrail.contract_of(config))
        self.sql, self.plays = playtrail.open_sql(config), playtrail.open_plays(config)
        stack.callback(self.sql.close)
        stack.callback(self.plays.close)
        self.http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)))
        self._processes(env, folder)
        for process in (self.gateway, *self.consumers.values()):
            await stack.enter_async_context(process)
        await self.working()

    def _processes(self, env: dict[str, str], folder: Path) -> None:
        far = {"PLAYTRAIL_EVENTS": f"kafka://127.0.0.1:{self.kafka_proxy.port}", "PLAYTRAIL_DATA": f"{folder}/gateway"}
        self.gateway = Process("gateway", "--port", self.url.rpartition(":")[2], env=env | far)
        db = env["PLAYTRAIL_DB"].replace(f":{self.mariadb.port}/", f":{self.mariadb_proxy.port}/")
        plays = env["PLAYTRAIL_PLAYS"].replace(f":{self.hbase.port}?", f":{self.hbase_proxy.port}?")
        for name in PROJECTIONS:
            address = f"127.0.0.1:{free_port()}"
            self._health[name] = f"http://{address}"
            # A folder for each: its name in the group then is the same after a restart, whatever the order of starting.
            far = {"PLAYTRAIL_DB": db, "PLAYTRAIL_PLAYS": plays, "PLAYTRAIL_DATA": f"{folder}/{name}"}
            self.consumers[name] = Process("consume", name, "--metrics", address, env=env | far)

    async def working(self) -> None:
        """Wait until the gateway is ready, its spool empty, and every partition is folded."""
        try:
            await eventually(self._spool_empty, "an empty spool", RECOVERY_SECONDS)
            await ready(self.http, self.url)
            for url in self._health.values():
                await folding(self.http, url)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    async def caught_up(self) -> None:
        """Wait until all that is in the log now, and in the spool, is in the read models too."""
        await eventually(self._spool_empty, "an empty spool", RECOVERY_SECONDS)
        wanted = await ends(self.log)

        async def reached() -> bool:
            with contextlib.suppress(PlaytrailError):
                return await behind(wanted, self.sql, self.plays) == 0
            return False

        try:
            await eventually(reached, "the read models at the end of the log", RECOVERY_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    async def _spool_empty(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.http.get(self.url + "/metrics") as answer:
                return re.search(r"^playtrail_spool_events 0\.0$", await answer.text(), re.MULTILINE) is not None
        return False

    def output(self) -> str:
        """The end of what every process has said."""
        processes = {"gateway": self.gateway, **self.consumers}
        return "\n".join(f"--- {name}\n{process.output()[-1500:]}" for name, process in processes.items())
