"""The lag of a real log file and a real SQL file, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any

import msgspec
import pytest

from models.errors import Unavailable
from models.eventlog.port import LogReader, TopicState
from models.eventlog.sqlite_reader import SqliteReader
from models.events import VIEWS
from models.lag.report import Report
from models.lag.sampler import Sampler
from models.stores.port import Checkpoint, PositionStore
from tests.models.lagging import GROUP, NUMBER, RETENTION, Bench, part, views


async def test_no_position_is_unknown_and_pages_unless_there_is_nothing_to_fold(bench: Bench, sampler: Sampler) -> None:
    report = await sampler.report()
    assert {p.state for p in views(report).partitions} == {"unknown"}
    assert {(p.lag, p.lag_seconds, p.position) for p in views(report).partitions} == {(None, None, None)}
    assert (report.level, views(report).lag, views(report).skew) == (0, None, None)
    await bench.append(1)
    assert (await sampler.report()).level == 2


async def test_lag_is_by_the_sink_and_by_the_time_of_the_first_record_left(bench: Bench, sampler: Sampler) -> None:
    await bench.open()
    await bench.append(3)
    bench.clock.advance(40)
    await bench.append(7)
    report = await sampler.report()
    assert (part(report).lag, part(report).lag_seconds, part(report).rate_in) == (10, 40.0, None)
    assert part(report).headroom_seconds == RETENTION - 40
    assert (report.level, views(report).lag, views(report).skew) == (0, 10, 10)
    bench.clock.advance(30)
    bench.fold(0, 2)
    report = await sampler.report()
    assert (part(report).lag, part(report).lag_seconds) == (8, 70.0)
    assert report.level == 1
    bench.fold(2, 3)
    assert part(await sampler.report()).lag_seconds == 30.0
    bench.fold(3, 10)
    report = await sampler.report()
    assert (part(report).lag, part(report).lag_seconds, part(report).headroom_seconds) == (0, 0.0, RETENTION)
    assert (part(report).catch_up_seconds, part(report).state, report.level) == (0.0, "OK", 0)


async def test_rates_and_the_time_until_there_is_no_lag(bench: Bench, sampler: Sampler) -> None:
    await bench.open()
    await bench.append(100)
    await sampler.report()
    bench.clock.advance(10)
    await bench.append(10)
    bench.fold(0, 30)
    report = await sampler.report()
    assert (part(report).rate_in, part(report).rate_out, part(report).catch_up_seconds) == (1.0, 3.0, 40.0)
    assert (views(report).rate_in, views(report).catch_up_seconds) == (1.0, 40.0)
    bench.clock.advance(60)
    report = await sampler.report()
    assert (part(report).rate_out, part(report).catch_up_seconds) == (0.0, "infinite")
    assert msgspec.json.decode(report.json())["projections"][0]["catch_up_seconds"] == "infinite"
    assert msgspec.json.decode(report.json(), type=Report) == report


async def test_nobody_there_is_stop_and_an_owner_that_stands_still_is_stall(bench: Bench, sampler: Sampler) -> None:
    await bench.open()
    await bench.append(1)
    await sampler.report()
    bench.clock.advance(1)
    report = await sampler.report()
    assert (part(report).state, views(report).state, part(report).owner) == ("STOP", "STOP", "")
    assert views(report).unowned == tuple(range(6))

    async def nothing(_: Collection[int]) -> None:
        pass

    async with bench.log.subscribe(GROUP, "me", VIEWS, nothing, nothing) as member:
        await member.poll(0.05, 1)
        await member.commit({NUMBER: 0})
        bench.clock.advance(1)
        report = await sampler.report()
        assert (part(report).state, part(report).owner, part(report).committed) == ("STALL", "me", 0)
        assert views(report).unowned == ()


async def test_a_new_epoch_begins_a_new_window(bench: Bench, sampler: Sampler) -> None:
    await bench.open()
    await bench.append(5)
    bench.fold(0, 5)
    await sampler.report()
    async with bench.log.reader() as reader:
        identity = await reader.identity(VIEWS)
    bench.sql.new_epoch("views", VIEWS, identity, dict.fromkeys(range(6), 0))
    bench.clock.advance(1)
    report = await sampler.report()
    assert (part(report).epoch, part(report).lag, part(report).state) == (2, 5, "OK")
    assert views(report).window_seconds == 0


async def test_what_cannot_be_read_is_estimated_from_the_ends(
    bench: Bench, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(_: SqliteReader, __: str, ___: Mapping[int, int]) -> Mapping[int, int]:
        return {}

    monkeypatch.setattr(SqliteReader, "times", unreadable)
    await bench.open()
    await sampler.report()
    bench.clock.advance(10)
    await bench.append(2)
    assert part(await sampler.report()).lag_seconds == 5.0
    bench.clock.advance(10)
    report = await sampler.report()
    assert (part(report).lag_seconds, part(report).estimated) == (15.0, True)


async def test_records_deleted_before_they_were_folded(bench: Bench, sampler: Sampler) -> None:
    await bench.open()
    await bench.append(3)
    bench.clock.advance(5)
    await bench.append(3)
    with closing(sqlite3.connect(bench.log._path)) as connection, connection:
        connection.execute("DELETE FROM record WHERE offset < 4")
    report = await sampler.report()
    found = part(report)
    assert (found.position, found.earliest, found.lag, found.lag_seconds, found.headroom_seconds) == (0, 4, 6, 0.0, 0.0)


class Later(PositionStore):
    """A sink during whose reading the topic grows, and the position moves right behind."""

    def __init__(self, bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
        self._bench, self._loop, self._end = bench, loop, 0

    def open(self, *where: Any) -> Checkpoint:
        return self._bench.sql.open(*where)

    def new_epoch(self, *where: Any) -> int:
        return self._bench.sql.new_epoch(*where)

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        asyncio.run_coroutine_threadsafe(self._bench.append(3), self._loop).result()
        self._bench.fold(self._end, self._end + 3)
        self._end += 3
        return self._bench.sql.positions(projection, topic)


async def test_positions_are_read_before_the_ends(bench: Bench) -> None:
    await bench.open()
    async with bench.sampler(Later(bench, asyncio.get_running_loop())) as sampler:
        for _ in range(3):
            assert part(await sampler.report()).lag == 0


class Away(PositionStore):
    def open(self, *_: object) -> Checkpoint:
        raise Unavailable("plays", "switched off")

    def new_epoch(self, *_: object) -> int:
        raise Unavailable("plays", "switched off")

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        raise Unavailable("plays", "switched off")


async def test_one_sink_away_hides_no_other(bench: Bench) -> None:
    await bench.open()
    async with bench.log.admin() as admin:
        await admin.create("behavior.plays", TopicState(6, 1, {}))
    async with Sampler(bench.log, {"plays": Away(), "views": bench.sql}, bench.contract, bench.clock) as sampler:
        report = await sampler.report()
    assert [lag.projection for lag in report.projections] == ["views"]
    assert report.errors == {"plays": "plays is unavailable: switched off"}


async def test_the_log_away_is_said_of_all_and_it_is_opened_again(
    bench: Bench, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.open()
    await sampler.report()

    async def away(_: LogReader, __: str) -> Mapping[int, tuple[int, int]]:
        raise Unavailable("log", "switched off")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteReader, "bounds", away)
        assert (await sampler.report()).errors == {"views": "log is unavailable: switched off"}
    assert views(await sampler.report()).lag == 0


async def test_a_position_that_stands_still_is_read_once(
    bench: Bench, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Mapping[int, int]] = []
    times = SqliteReader.times

    async def counted(self: SqliteReader, topic: str, offsets: Mapping[int, int]) -> Mapping[int, int]:
        asked.append(offsets)
        return await times(self, topic, offsets)

    monkeypatch.setattr(SqliteReader, "times", counted)
    await bench.open()
    await bench.append(2)
    for _ in range(3):
        assert part(await sampler.report()).lag == 2
    bench.fold(0, 1)
    await sampler.report()
    assert [offsets for offsets in asked if offsets] == [{NUMBER: 0}, {NUMBER: 1}]
