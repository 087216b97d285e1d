"""The loop, on the embedded log and store: failures of the sink and the log, other owners, rebalances."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

from consumers.deadletters import TooManyDead
from consumers.runner import Runner
from consumers.views import Views
from models import events
from models.eventlog.port import EventWriter, Message, Record, partition_for
from models.eventlog.sqlite import SqliteLog
from models.stores.port import Advance
from models.stores.sql import SqlStore
from tests.consumers.acting import QUICK, Switched, metric, running, until
from tests.consumers.making import append, junk, message

TOPIC, GROUP = events.VIEWS, "playtrail-views"


def details(count: int, users: int = 50) -> list[Message]:
    return [message(events.Detail, user=number % users + 1, video_id=1) for number in range(count)]


def clicks(sql: SqlStore) -> int:
    return sql.videos([1])[1].clicks


def all_are(runner: Runner, state: str) -> bool:
    return len(runner.partitions) == 6 and all(p.state == state for p in runner.partitions.values())


async def positions(log: SqliteLog) -> tuple[dict[int, int], dict[int, int]]:
    """Where the group is, and where the log ends."""
    async with log.reader() as reader:
        bounds = await reader.bounds(TOPIC)
        return dict(await reader.committed(GROUP, TOPIC)), {p: end for p, (_, end) in bounds.items()}


async def test_it_folds_what_is_there_and_what_comes_and_copies_positions(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    await append(writer, *details(100))
    async with running(log, Views(sql)) as runner:
        await until(lambda: clicks(sql) == 100, runner)
        await append(writer, *details(100))
        # Counted a moment after it can be read.
        await until(lambda: metric(runner, "playtrail_events_folded_total") >= 200, runner)
        assert (metric(runner, "playtrail_events_folded_total"), clicks(sql)) == (200, 200)
    committed, ends = await positions(log)
    assert committed == {p: end for p, end in ends.items() if end}


async def test_another_start_goes_on_where_the_sink_is(log: SqliteLog, writer: EventWriter, sql: SqlStore) -> None:
    for total in (50, 100):
        await append(writer, *details(50))
        async with running(log, Views(sql)) as runner:
            await until(lambda total=total: clicks(sql) == total, runner)  # type: ignore[misc]
    assert clicks(sql) == 100


async def test_a_sink_that_is_away_pauses_and_nothing_is_lost_or_doubled(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    sink = Switched(sql)
    async with running(log, Views(sink)) as runner:
        for total in (300, 600):
            sink.away = True
            await append(writer, *details(300))
            await until(lambda: any(p.state == "paused" for p in runner.partitions.values()), runner)
            paused = next(p for p in runner.partitions.values() if p.state == "paused")
            assert paused.reason == "sql is unavailable: switched off"
            sink.away = False
            await until(lambda total=total: clicks(sql) == total, runner)  # type: ignore[misc]
        await until(lambda: all_are(runner, "running"), runner)
        assert metric(runner, "playtrail_retries_total", reason="sql") >= 2
        assert metric(runner, "playtrail_backpressure_seconds_total") > 0


async def test_a_sink_that_is_away_at_the_start_is_waited_for(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    sink = Switched(sql)
    sink.away = True
    await append(writer, *details(50))
    async with running(log, Views(sink)) as runner:
        await until(lambda: all_are(runner, "paused"), runner)
        sink.away = False
        await until(lambda: clicks(sql) == 50, runner)


async def test_memory_and_batches_are_bounded_behind_a_slow_sink(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    sink = Switched(sql)
    sink.gate.clear()
    await append(writer, *details(400, users=1))
    number = partition_for(b"1", 6)
    tuning = dataclasses.replace(QUICK, max_records=20, flush_records=20)
    async with running(log, Views(sink), tuning=tuning) as runner:
        await until(sink.waiting.is_set, runner)
        await until(lambda: runner.partitions[number]._held, runner)
        for _ in range(10):
            await asyncio.sleep(QUICK.wait)
            assert len(runner.partitions[number]._buffer) <= 3 * 20
        sink.gate.set()
        await until(lambda: clicks(sql) == 400, runner)
        assert sink.largest < 20 + 20


async def test_another_owner_fences_and_the_partition_goes_on_from_the_sink(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    number = partition_for(b"1", 6)
    async with running(log, Views(sql)) as runner:
        await append(writer, *details(10, users=1))
        await until(lambda: clicks(sql) == 10, runner)
        # What an owner that was thought dead does: it folds one record more, which is not there for us yet.
        last = details(1, users=1)[0]
        event_id = events.decode_view(last.value).event_id
        sql.apply_clicks(Advance("views", TOPIC, number, 1, 10, 11, event_id), {1: 1})
        await append(writer, last, *details(9, users=1))
        await until(lambda: clicks(sql) == 20, runner)
        assert metric(runner, "playtrail_fenced_total") == 1


async def test_a_log_that_was_cut_stops_its_partition_alone(log: SqliteLog, writer: EventWriter, sql: SqlStore) -> None:
    async with log.reader() as reader:
        identity = await reader.identity(TOPIC)
    sql.open("views", TOPIC, 3, identity, 500)
    await append(writer, *details(100))
    async with running(log, Views(sql)) as runner:
        stopped = "views of behavior.views/3 is at offset 500, but the log ends at "
        await until(lambda: 3 in runner.partitions and runner.partitions[3].state == "stopped", runner)
        assert runner.partitions[3].reason.startswith(stopped)
        _, ends = await positions(log)
        await until(lambda: clicks(sql) == 100 - ends[3], runner)
        assert runner.stopped.is_set()


async def test_a_log_with_another_event_before_the_position_stops(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    async with log.reader() as reader:
        identity = await reader.identity(TOPIC)
    number = partition_for(b"1", 6)
    sql.open("views", TOPIC, number, identity, 0)
    sql.apply_clicks(Advance("views", TOPIC, number, 1, 0, 5, "some-other-event"), {})
    await append(writer, *details(10, users=1))
    async with running(log, Views(sql)) as runner:
        await until(lambda: number in runner.partitions and runner.partitions[number].state == "stopped", runner)
        assert "folded event some-other-event at offset 4, but the log has" in runner.partitions[number].reason
        assert runner.partitions[number].reason.endswith("to go on: playtrail consume views --new-epoch")


async def test_too_many_dead_letters_stop_before_they_are_put_aside(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    await append(writer, *(junk(TOPIC, 1) for _ in range(30)))
    number = partition_for(b"1", 6)
    async with running(log, Views(sql)) as runner:
        await until(lambda: number in runner.partitions and runner.partitions[number].state == "stopped", runner)
        reason = runner.partitions[number].reason
    assert reason == str(TooManyDead("more than 20 records in a row are no events of this topic"))
    assert len(sql.dead()) <= 20


async def test_a_dead_letter_goes_to_the_sink_and_to_the_topic(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    await append(writer, junk(TOPIC, 1), *details(3, users=1))
    async with running(log, Views(sql), writer=writer) as runner:
        await until(
            lambda: clicks(sql) == 3 and metric(runner, "playtrail_dead_letters_total", reason="value") == 1, runner
        )
    assert [letter.value for letter in sql.dead("views")] == [b"junk"]
    async with log.reader() as reader:
        (sent,) = await reader.read(events.DEAD, 0, 0, 10)
    assert (sent.key, sent.value, dict(sent.headers)["projection"]) == (b"1", b"junk", b"views")


async def test_members_share_the_partitions_and_take_over(log: SqliteLog, writer: EventWriter, sql: SqlStore) -> None:
    def shared() -> bool:
        return len(first.partitions) == len(second.partitions) == 3

    async with running(log, Views(sql), "a") as first:
        await append(writer, *details(200))
        async with running(log, Views(sql), "b") as second:
            while not shared():
                await append(writer, *details(20))
            await append(writer, *details(200))
            _, ends = await positions(log)
            await until(lambda: clicks(sql) == sum(ends.values()), second)
        await append(writer, *details(200))
        _, ends = await positions(log)
        await until(lambda: clicks(sql) == sum(ends.values()), first)
    assert metric(first, "playtrail_fenced_total") == metric(second, "playtrail_fenced_total") == 0


async def test_a_flush_that_outlasts_the_budget_is_abandoned_and_its_successor_waits_for_it(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    sink, number = Switched(sql), partition_for(b"1", 6)
    sink.gate.clear()
    await append(writer, *details(10, users=1))
    async with running(log, Views(sink), tuning=dataclasses.replace(QUICK, budget=0.01)) as runner:
        await until(sink.waiting.is_set, runner)
        await runner._on_revoked([number])
        assert number not in runner.partitions
        await runner._on_assigned([number])
        await asyncio.sleep(0.05)
        assert runner.partitions[number].state == "opening"
        committed, _ = await positions(log)
        sink.gate.set()
        await until(lambda: runner.partitions[number].state == "running", runner)
        assert runner.partitions[number].position == 10
        assert committed.get(number, 0) == 0
    assert clicks(sql) == 10


async def test_a_fault_of_our_own_is_retried_from_the_sink(log: SqliteLog, writer: EventWriter, sql: SqlStore) -> None:
    class Faulty(Views):
        faults = 2

        def fold(self, partition: int, records: Sequence[Record]) -> None:
            if self.faults:
                self.faults -= 1
                raise KeyError("a fault")
            super().fold(partition, records)

    await append(writer, *details(20, users=1))
    async with running(log, Faulty(sql)) as runner:
        await until(lambda: clicks(sql) == 20, runner)
        assert metric(runner, "playtrail_retries_total", reason="KeyError") == 2


async def test_one_whose_name_another_took_stops_for_good(log: SqliteLog, writer: EventWriter, sql: SqlStore) -> None:
    async with running(log, Views(sql)) as first:
        await until(lambda: all_are(first, "running"), first)
        async with running(log, Views(sql)) as second:
            await until(lambda: first.replaced, first)
            await append(writer, *details(20))
            await until(lambda: clicks(sql) == 20, second)
            assert not first.partitions
            assert "member a of playtrail-views" in first.log_reason


async def test_folded_records_are_flushed_when_enough_or_when_no_more_come(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    sink = Switched(sql)
    await append(writer, *details(100, users=1))
    tuning = dataclasses.replace(QUICK, max_records=10, flush_records=40, gather=0.05)
    async with running(log, Views(sink), tuning=tuning) as runner:
        await until(lambda: clicks(sql) == 100, runner)
    assert sink.largest < 40 + 10
    assert sink.applied <= 100 / 10


async def test_what_is_folded_is_flushed_when_a_partition_is_left(
    log: SqliteLog, writer: EventWriter, sql: SqlStore
) -> None:
    number = partition_for(b"1", 6)
    # Every poll is filled by one record: after the first flush, records are gathered for a minute.
    tuning = dataclasses.replace(QUICK, max_records=1, gather=60.0)
    async with running(log, Views(sql), tuning=tuning) as runner:
        await append(writer, *details(1, users=1))
        await until(lambda: clicks(sql) == 1, runner)
        await append(writer, *details(9, users=1))
        await until(lambda: runner.partitions[number]._folded == 9, runner)
        assert clicks(sql) == 1
    assert clicks(sql) == 10
