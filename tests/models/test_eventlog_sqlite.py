"""The embedded event log: the contract, and what only a file can do."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from models import topics
from models.clock import ManualClock
from models.errors import Fenced, LogMismatch, Refused, Unavailable
from models.eventlog.port import EventLog, Position, TopicState
from models.eventlog.sqlite import SqliteLog
from tests.contract.eventlog import EventLogContract
from tests.contract.eventlog_base import PARTITIONS, Join, Member, group_of, message


def run_sql(path: Path, *statements: tuple[str, Sequence[object]]) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for text, values in statements:
            connection.execute(text, values)
    connection.close()


class TestSqliteLog(EventLogContract):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "data" / "events.db"

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def log(self, path: Path, clock: ManualClock) -> EventLog:
        return SqliteLog(path, topics.load(), clock)

    async def delete_topic(self, log: EventLog, topic: str) -> None:
        assert isinstance(log, SqliteLog)
        run_sql(log._path, ("DELETE FROM topic WHERE name = ?", [topic]))

    async def trim(self, log: EventLog, topic: str, partition: int, before: int) -> None:
        assert isinstance(log, SqliteLog)
        query = (
            "DELETE FROM record WHERE topic_id = (SELECT id FROM topic WHERE name = ?) AND partition = ? AND offset < ?"
        )
        run_sql(log._path, (query, [topic, partition, before]))

    async def test_a_member_that_leaves_frees_its_partitions_at_once(
        self, log: EventLog, topic: str, join: Join
    ) -> None:
        second = await join(Member(log, topic, "b"))
        async with Member(log, topic, "a").subscription as first:
            await first.poll(0, 1)
            await second.until(lambda: len(second.owned) == PARTITIONS // 2)
        await second.until(lambda: len(second.owned) == PARTITIONS)

    async def test_a_member_that_died_loses_its_partitions_when_they_expire(
        self, log: EventLog, path: Path, topic: str, clock: ManualClock, join: Join
    ) -> None:
        dead = (
            "INSERT INTO member SELECT id, ?, 'dead', 'token', ? FROM topic WHERE name = ?",
            [group_of(topic), clock.now_ms() + 10_000, topic],
        )
        leases = (
            "INSERT INTO lease SELECT topic_id, ?, partition, 'dead' FROM partition JOIN topic"
            " ON id = topic_id WHERE name = ?",
            [group_of(topic), topic],
        )
        run_sql(path, dead, leases)
        member = await join(Member(log, topic, "a"))
        await member.poll()
        assert member.owned == set()
        clock.advance(11)
        await member.until(lambda: len(member.owned) == PARTITIONS)

    async def test_a_second_process_of_the_same_name_fences_the_first(
        self, log: EventLog, topic: str, join: Join
    ) -> None:
        first = await join(Member(log, topic, "a"))
        await first.poll()
        second = await join(Member(log, topic, "a"))
        with pytest.raises(Fenced, match="member a of readers-"):
            await first.until(lambda: False)
        await second.until(lambda: len(second.owned) == PARTITIONS)

    async def test_a_topic_made_again_stops_who_was_reading_it(self, log: EventLog, topic: str, join: Join) -> None:
        await self.append(log, [message(topic, 1)])
        member = await join(Member(log, topic))
        await member.until_count(1)
        await self.delete_topic(log, topic)
        async with log.admin() as admin:
            await admin.create(topic, TopicState(PARTITIONS, 1, {}))
        with pytest.raises(LogMismatch, match="created again"):
            await member.until_count(2)

    async def test_processes_append_at_once(self, log: EventLog, path: Path, topic: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        processes = [spawn.Process(target=_append_some, args=(path, topic, 100)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            await asyncio.to_thread(process.join)
            assert process.exitcode == 0
        async with log.reader() as reader:
            records = await reader.read(topic, (await self.append(log, [message(topic, 1)]))[0].partition, 0, 1000)
        assert [r.offset for r in records] == list(range(301))

    async def test_poll_sees_what_another_process_appends(
        self, log: EventLog, path: Path, topic: str, join: Join
    ) -> None:
        member = await join(Member(log, topic))
        await member.poll()
        other = SqliteLog(path, topics.load())  # shares no bell, so it is as far away as a process
        await self.append(other, [message(topic, 1)])
        await member.until_count(1)

    async def test_a_locked_file_is_unavailable_and_nothing_is_written(
        self, log: EventLog, path: Path, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("models.eventlog.sqlite_file.BUSY_SECONDS", 0.05)
        async with log.writer() as writer, log.reader() as reader:
            blocker = sqlite3.connect(path, isolation_level=None)
            blocker.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable, match="locked"):
                await writer.append(message(topic, 1))
            with pytest.raises(Unavailable, match="locked"):
                await writer.ready()
            blocker.close()
            assert sum(end for _, end in (await reader.bounds(topic)).values()) == 0
            await writer.ready()
            assert isinstance(await writer.append(message(topic, 1)), Position)

    async def test_a_full_disk_is_unavailable_and_nothing_is_half_written(self, log: EventLog, topic: str) -> None:
        async with log.writer() as writer, log.reader() as reader:
            await writer._session.run(lambda c: c.execute("PRAGMA max_page_count=1").fetchall())  # type: ignore[attr-defined]
            with pytest.raises(Unavailable, match="full"):
                await asyncio.gather(*(writer.append(message(topic, i, b"x" * 9000)) for i in range(9)))
            assert sum(end for _, end in (await reader.bounds(topic)).values()) == 0
            await writer._session.run(lambda c: c.execute("PRAGMA max_page_count=1000000").fetchall())  # type: ignore[attr-defined]
            assert (await writer.append(message(topic, 1))).offset == 0

    async def test_a_file_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "events.db"
        path.write_text("not a database, but long enough to be looked at as one" * 100)
        with pytest.raises(Refused, match="PLAYTRAIL_EVENTS"):
            async with SqliteLog(path, topics.load()).reader():
                pass

    async def test_a_folder_that_cannot_be_made_is_unavailable(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(Unavailable):
            async with SqliteLog(tmp_path / "file" / "events.db", topics.load()).writer():
                pass

    async def test_a_closed_writer_is_unavailable(self, log: EventLog, topic: str) -> None:
        async with log.writer() as writer:
            pass
        with pytest.raises(Unavailable):
            await writer.append(message(topic, 1))


def _append_some(path: Path, topic: str, count: int) -> None:
    async def main() -> None:
        async with SqliteLog(path, topics.load()).writer() as writer:
            await asyncio.gather(*(writer.append(message(topic, 1)) for _ in range(count)))

    asyncio.run(main())
