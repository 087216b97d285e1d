"""Every fault once, under a short load: what was acknowledged is in the log, and counted once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.real.chaos.faults import FAULTS, Fault
from tests.real.chaos.report import run
from tests.real.chaos.site import ProxiedKafka, Site, opened
from tests.real.hbase import HBase
from tests.real.mariadb import MariaDB

# One site, and so one event loop, for all faults: starting four processes takes longer than most faults do.
pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

QUICK = [fault for fault in FAULTS if "half-open gateway" not in fault.name]
"""All but the one that waits for aiokafka to give up a dead connection, half a minute: ``make chaos`` has it."""


@pytest.fixture(scope="module")
def proxied_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedKafka]:
    server = ProxiedKafka(tmp_path_factory.mktemp("kafka"), quick=True)
    try:
        server.start()
        yield server
    finally:
        server.kill9()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    proxied_kafka: ProxiedKafka, mariadb: MariaDB, hbase: HBase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    async with opened(proxied_kafka, mariadb, hbase, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_nothing_acknowledged_is_lost_or_counted_twice(site: Site, fault: Fault) -> None:
    outcome = await run(site, fault, rounds=1)
    assert len(outcome.done) > 0
    assert (outcome.lost, outcome.doubled, outcome.problems) == (0, 0, [])
