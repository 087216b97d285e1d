"""The spool's file: order, durability, its limits, and its lock."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from models.clock import ManualClock
from models.errors import InvalidSetting, Unavailable
from models.eventlog.spool_file import SpoolFile, SpoolStatus
from tests.models.fake_writer import message

MIB = 1 << 20
HOLDER = """
import asyncio, sys
from pathlib import Path
from models.clock import SystemClock
from models.eventlog.spool_file import SpoolFile

async def main() -> None:
    spool = SpoolFile(Path(sys.argv[1]), clock=SystemClock(), max_bytes=1 << 20)
    await spool.open()
    print("open", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def opened(path: Path, max_bytes: int = MIB, clock: ManualClock | None = None) -> AsyncIterator[SpoolFile]:
    spool = SpoolFile(path, clock=clock or ManualClock(), max_bytes=max_bytes)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """A disk that is full, as far as this process can tell: no file grows beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


async def test_gives_back_the_same_messages_in_order(path: Path) -> None:
    messages = [message(n, key=b"k%d" % (n % 3)) for n in range(10)]
    async with opened(path) as spool:
        for one in messages:
            await spool.put(one)
        assert [entry.message for entry in await spool.peek(100)] == messages
        assert [entry.message for entry in await spool.peek(4)] == messages[:4]


async def test_remove_leaves_the_rest_in_order(path: Path) -> None:
    async with opened(path) as spool:
        for n in range(5):
            await spool.put(message(n))
        entries = await spool.peek(5)
        await spool.remove([entries[0], entries[2]])
        assert [e.message.value for e in await spool.peek(5)] == [b"1", b"3", b"4"]


async def test_status_counts_events_bytes_and_the_oldest(path: Path) -> None:
    clock = ManualClock(1_000)
    async with opened(path, clock=clock) as spool:
        assert spool.status() == SpoolStatus(0, 0, None)
        await spool.put(message(0))
        clock.advance(1)
        await spool.put(message(1))
        first, second = await spool.peek(2)
        assert spool.status() == SpoolStatus(2, first.size + second.size, 1_000)
        await spool.remove([first])
        assert spool.status() == SpoolStatus(1, second.size, 2_000)
        await spool.remove([second])
        assert spool.status() == SpoolStatus(0, 0, None)


async def test_status_is_the_same_after_the_next_open(path: Path) -> None:
    async with opened(path) as spool:
        for n in range(3):
            await spool.put(message(n))
        before = spool.status()
    async with opened(path) as spool:
        assert spool.status() == before


async def test_64_puts_at_once_share_transactions(path: Path) -> None:
    statements: list[str] = []
    async with opened(path) as spool:
        await spool._run(lambda connection: connection.set_trace_callback(statements.append))
        await asyncio.gather(*(spool.put(message(n)) for n in range(64)))
        await spool._run(lambda connection: connection.set_trace_callback(None))
        assert [e.message.value for e in await spool.peek(100)] == [b"%d" % n for n in range(64)]
    assert statements.count("COMMIT") <= 3


async def test_refuses_what_would_pass_its_limit(path: Path) -> None:
    async with opened(path, max_bytes=10_000) as spool:
        await spool.put(message(0, size=8_000))
        with pytest.raises(Unavailable, match=r"spool is unavailable: full, 8\d+ of 10000 bytes") as caught:
            await spool.put(message(1, size=3_000))
        assert caught.value.part == "spool"
        assert caught.value.retry_after > 0
        assert spool.status().events == 1
        await spool.remove(await spool.peek(1))
        await spool.put(message(1, size=3_000))


async def test_a_share_of_the_limit_is_used_up_earlier(path: Path) -> None:
    async with opened(path, max_bytes=10_000) as spool:
        await spool.put(message(0, size=8_000))
        with pytest.raises(Unavailable):
            await spool.put(message(1, size=1_000), share=0.9)
        await spool.put(message(1, size=1_000))


async def test_puts_of_the_same_moment_do_not_pass_the_limit_together(path: Path) -> None:
    async with opened(path, max_bytes=10_000) as spool:
        results = await asyncio.gather(*(spool.put(message(n, size=900)) for n in range(64)), return_exceptions=True)
        assert spool.status().bytes <= 10_000
        assert results.count(None) == spool.status().events == len(await spool.peek(100))


async def test_a_full_disk_is_unavailable_and_leaves_nothing_half_written(path: Path) -> None:
    async with opened(path) as spool:
        await spool.put(message(0))
        with files_limited_to(size_of(path.with_name("spool.db-wal")) + 20_000):
            sizes = [100, 200_000, 100, 200_000]
            puts = (spool.put(message(n, size=size)) for n, size in enumerate(sizes, 1))
            results = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(r) for r in results] == [type(None), Unavailable, type(None), Unavailable]
        assert spool.status().events == 3
        await spool.put(message(5))
    async with opened(path) as spool:
        assert [e.message.value.strip() for e in await spool.peek(9)] == [b"0", b"1", b"3", b"5"]
        assert spool.status().events == 4


async def test_a_cancelled_caller_does_not_spoil_the_count(path: Path) -> None:
    async with opened(path) as spool:
        task = asyncio.create_task(spool.put(message(0)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await spool.peek(9)) == spool.status().events == 1


async def test_what_is_put_aside_waits_again_after_the_next_open_in_its_place(path: Path) -> None:
    async with opened(path) as spool:
        for n in range(3):
            await spool.put(message(n))
        entries = await spool.peek(3)
        size = spool.status().bytes
        await spool.remove([], [(entries[1], "too large")])
        assert [e.message.value for e in await spool.peek(9)] == [b"0", b"2"]
        assert (spool.aside, spool.status().events, spool.status().bytes) == (1, 2, size)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value, reason FROM aside").fetchall() == [(b"1", "too large")]
    async with opened(path) as spool:
        assert [e.message.value for e in await spool.peek(9)] == [b"0", b"1", b"2"]
        assert (spool.aside, spool.status().events, spool.status().bytes) == (0, 3, size)


async def test_an_empty_spool_gives_the_disk_back(path: Path) -> None:
    async with opened(path, max_bytes=64 * MIB) as spool:
        await asyncio.gather(*(spool.put(message(n, size=10_000)) for n in range(500)))
        await spool.remove(await spool.peek(500))
    assert size_of(path) < 100_000


async def test_a_put_after_close_is_unavailable(path: Path) -> None:
    async with opened(path) as spool:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await spool.put(message(0))


async def test_two_processes_never_share_a_spool_and_a_killed_one_lets_go(path: Path) -> None:
    arguments = [sys.executable, "-c", HOLDER, str(path)]
    holder = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert holder.stdout is not None
        await holder.stdout.readline()
        with pytest.raises(InvalidSetting) as caught:
            await SpoolFile(path, clock=ManualClock(), max_bytes=MIB).open()
        assert "PLAYTRAIL_DATA" in str(caught.value)
        assert f"another gateway uses the spool in this one (process {holder.pid})" in str(caught.value)
        assert "\n" not in str(caught.value)
    finally:
        holder.kill()
        await holder.wait()
    async with opened(path) as spool:
        await spool.put(message(0))


def test_a_file_that_is_no_spool_stops_the_start_in_one_line(path: Path) -> None:
    path.write_bytes(b"not a database, and longer than the header of one" * 10)
    with pytest.raises(InvalidSetting, match=r"PLAYTRAIL_DATA.*spool\.db.*not a database"):
        asyncio.run(SpoolFile(path, clock=ManualClock(), max_bytes=MIB).open())


async def test_a_spool_of_a_newer_version_stops_the_start(path: Path) -> None:
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=2")
    with pytest.raises(InvalidSetting, match="a spool of version 2, not 1"):
        await SpoolFile(path, clock=ManualClock(), max_bytes=MIB).open()


async def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match="PLAYTRAIL_DATA"):
        await SpoolFile(tmp_path / "file" / "spool.db", clock=ManualClock(), max_bytes=MIB).open()
