"""The outbox: nobody overtakes, whatever the log does, and the direct way opens again."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.eventlog.spool import Outbox, Receipt
from tests.models.fake_writer import FakeWriter, State, message
from tests.models.outboxes import direct, drained, opened, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.mark.parametrize("left", [1, 2, 3, 500, 501, 502])
async def test_the_direct_way_opens_only_when_nothing_is_left(path: Path, left: int) -> None:
    async with opened(FakeWriter("away"), path) as outbox:
        await asyncio.gather(*(outbox.append(message(n)) for n in range(left)))
    writer = FakeWriter()
    async with opened(writer, path) as outbox:
        while (await outbox.append(message(left))).durable == "spool":
            pass
        assert writer.first_by_key() == {b"1": [b"%d" % n for n in range(left + 1)]}


async def test_what_stands_behind_a_lost_one_of_its_key_is_sent_again_behind_it(path: Path) -> None:
    async with opened(FakeWriter("away"), path) as outbox:
        for n in range(5):
            await outbox.append(message(n, key=b"other" if n == 4 else b"same"))
    writer = FakeWriter()
    writer.lose_once.add(b"2")
    async with opened(writer, path) as outbox:
        await until(drained(outbox))
    assert writer.values() == [b"0", b"1", b"3", b"4", b"2", b"3"]  # 0 alone, to see whether the log is there


async def test_under_a_load_that_never_pauses_the_direct_way_opens_again(path: Path) -> None:
    writer = FakeWriter("away")
    numbers = iter(range(1_000_000))

    async def client(key: bytes) -> None:
        while (await outbox.append(message(next(numbers), key=key))).durable == "spool":
            pass

    async with opened(writer, path) as outbox:
        clients = [asyncio.create_task(client(b"%d" % n)) for n in range(64)]
        await until(lambda: outbox.status().events >= 1_000)
        writer.state = "there"
        await asyncio.gather(*clients)
        assert outbox.status().events == 0


async def test_64_concurrent_appends_of_many_keys_keep_the_order_of_each(path: Path) -> None:
    writer = FakeWriter("away")

    async def client(key: bytes) -> None:
        for n in range(30):
            await outbox.append(message(n, key=key))

    async with opened(writer, path) as outbox:
        clients = [asyncio.create_task(client(b"%d" % n)) for n in range(64)]
        await until(lambda: outbox.status().events >= 640)
        writer.state = "there"
        await asyncio.gather(*clients)
        await until(drained(outbox))
    assert writer.first_by_key() == {b"%d" % k: [b"%d" % n for n in range(30)] for k in range(64)}


STATES: list[State] = ["there", "away", "unknown_lost", "unknown_landed"]
changes = st.lists(st.tuples(st.sampled_from(STATES), st.integers(0, 60)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(changes, st.booleans())
def test_nobody_overtakes_whatever_the_log_does(script: list[tuple[State, int]], restart: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_interleave(script, restart, Path(folder) / "spool.db"))


async def _interleave(script: list[tuple[State, int]], restart: bool, path: Path) -> None:
    """Each client appends one after the other; the log comes and goes meanwhile; a restart may come in the end."""
    writer, answered = FakeWriter(), list[tuple[bytes, int, Receipt]]()

    async def client(outbox: Outbox, key: bytes) -> None:
        for n in range(25):
            answered.append((key, n, await outbox.append(message(n, key=key))))

    async with opened(writer, path) as outbox:
        clients = [asyncio.create_task(client(outbox, b"%d" % n)) for n in range(8)]
        for state, ticks in script:
            writer.state = state
            for _ in range(ticks):
                await asyncio.sleep(0)
        await asyncio.gather(*clients)
        if restart:
            writer.state, outbox._leave_seconds = "away", 0
        else:
            writer.state = "there"
    writer.state = "there"
    async with opened(writer, path) as outbox:
        await direct(outbox, writer)
    assert writer.first_by_key() == {b"%d" % k: [b"%d" % n for n in range(25)] for k in range(8)}
    for key, n, receipt in answered:
        if receipt.position is not None:
            assert writer.records[receipt.position.offset] == message(n, key=key)
