"""A network that loses a connection to MariaDB without a word, in the middle of a transaction."""

from __future__ import annotations

import asyncio

import pytest

from models.errors import Unavailable
from models.eventlog.port import Identity
from models.stores.port import Advance, Checkpoint, Reaction
from models.stores.sql import SqlStore
from models.stores.sql_positions import advance
from tests.real.chaos.proxy import Proxy
from tests.real.mariadb import MariaDB
from tests.running import eventually

pytestmark = pytest.mark.real

PROJECTION, TOPIC = "reactions", "behavior.reactions"
LIKE = Reaction("like", 1, 2, 1, "01", 0)


def _step(checkpoint: Checkpoint) -> Advance:
    return Advance(PROJECTION, TOPIC, 0, checkpoint.epoch, checkpoint.next_offset, checkpoint.next_offset + 1, "")


async def test_the_locks_of_a_lost_transaction_are_given_back(mariadb: MariaDB, mariadb_url: str) -> None:
    async with Proxy(mariadb.port) as proxy:
        near = SqlStore(mariadb_url)
        far = SqlStore(mariadb_url.replace(f":{mariadb.port}/", f":{proxy.port}/") + "?read_timeout=1")
        try:
            near.create()
            checkpoint = near.open(PROJECTION, TOPIC, 0, Identity("cluster", "topic", 1), 0)
            await asyncio.to_thread(_lose, far, proxy, asyncio.get_running_loop(), _step(checkpoint))
            with pytest.raises(Unavailable, match="Lock wait timeout"):
                await asyncio.to_thread(near.apply_reactions, _step(checkpoint), [LIKE])

            async def applied() -> bool:
                try:
                    await asyncio.to_thread(near.apply_reactions, _step(checkpoint), [LIKE])
                except Unavailable:
                    return False
                return True

            await eventually(applied, "the position, free again")
            assert near.statuses("like", [(1, 2)]) == {(1, 2): 1}
        finally:
            near.close()
            await asyncio.to_thread(far.close)


def _lose(far: SqlStore, proxy: Proxy, loop: asyncio.AbstractEventLoop, step: Advance) -> None:
    """Move the position in a transaction that then finds nobody at the other end."""

    async def lose() -> None:
        proxy.set("half-open")

    def work(connection: object) -> None:
        advance(connection, step, 0)  # type: ignore[arg-type]  # SQLAlchemy is known to the adapters alone
        asyncio.run_coroutine_threadsafe(lose(), loop).result()
        advance(connection, step, 0)  # type: ignore[arg-type]  # the same

    with pytest.raises(Unavailable):
        far._database.write(work)
