"""Gathered reads, shared reads, and the positions that a cookie keeps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.envelope import HttpError
from gateway.positions import MAX_POSITIONS, joined
from gateway.workers import Gatherer, Shared, Workers, every
from models.errors import Unavailable
from models.eventlog.port import Position


async def test_reads_at_once_are_one_call() -> None:
    calls: list[list[int]] = []

    def load(keys: list[int]) -> Mapping[int, int]:
        calls.append(keys)
        return {key: key * 2 for key in keys if key % 2}

    workers = Workers("sql")
    gatherer = Gatherer(workers, load)
    found = await asyncio.gather(*(gatherer.get(i % 50) for i in range(200)))
    assert found == [(i % 50) * 2 if i % 2 else None for i in range(200)]
    assert [sorted(keys) for keys in calls] == [list(range(50))]
    workers.close()


async def test_a_read_sees_what_was_written_before_it() -> None:
    written, begun, go = {1: "old"}, threading.Event(), threading.Event()

    def load(keys: list[int]) -> Mapping[int, str]:
        seen = dict(written)
        begun.set()
        go.wait(10)
        return seen

    workers = Workers("sql")
    gatherer = Gatherer(workers, load)
    first = asyncio.create_task(gatherer.get(1))
    await asyncio.to_thread(begun.wait, 10)
    written[1] = "new"
    second = asyncio.create_task(gatherer.get(1))
    await asyncio.sleep(0)
    go.set()
    assert (await first, await second) == ("old", "new")
    workers.close()


async def test_a_failure_reaches_all_and_is_forgotten() -> None:
    away = True

    def load(keys: list[int]) -> Mapping[int, int]:
        if away:
            raise Unavailable("sql", "away")
        return {key: key for key in keys}

    workers = Workers("sql")
    gatherer = Gatherer(workers, load)
    results = await asyncio.gather(*(gatherer.get(i) for i in range(5)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    away = False
    assert await gatherer.get(3) == 3
    workers.close()


async def test_who_gives_up_takes_nobody_with_him() -> None:
    go = threading.Event()

    def load(keys: list[int]) -> Mapping[int, int]:
        go.wait(10)
        return {key: key for key in keys}

    workers = Workers("sql")
    gatherer = Gatherer(workers, load)
    impatient, patient = asyncio.create_task(gatherer.get(1)), asyncio.create_task(gatherer.get(1))
    await asyncio.sleep(0)
    impatient.cancel()
    go.set()
    assert await patient == 1
    workers.close()


async def test_too_many_readers_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.workers.MAX_WAITING", 2)
    workers = Workers("sql")
    gatherer = Gatherer[int, int](workers, lambda keys: {key: key for key in keys})
    results = await asyncio.gather(*(gatherer.get(i) for i in range(3)), return_exceptions=True)
    assert results[:2] == [0, 1]
    assert isinstance(results[2], HttpError)
    assert results[2].answer.code == 429
    workers.close()


async def test_a_call_that_hangs_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.workers.SECONDS", 0.05)
    workers, go = Workers("plays"), threading.Event()
    with pytest.raises(Unavailable, match="plays"):
        await workers.run(go.wait, 10)
    go.set()
    workers.close()


async def test_one_shared_read_serves_all_who_asked_before_it_began() -> None:
    reads = 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0.01)
        return reads

    shared, now = Shared(read), asyncio.get_running_loop().time
    assert set(await asyncio.gather(*(shared.get(now()) for _ in range(10)))) <= {1, 2}
    assert reads <= 2
    before = reads
    assert await shared.get(now() - 60) == before
    assert await shared.get(now()) == before + 1


async def test_a_shared_failure_is_read_again_when_it_is_old() -> None:
    outcomes: list[Exception | int] = [Unavailable("sql", "away"), 7]

    async def read() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    shared, now = Shared(read), asyncio.get_running_loop().time
    for _ in range(2):
        with pytest.raises(Unavailable):
            await shared.get(now() - 60 if len(outcomes) == 1 else now())
    assert await shared.get(now()) == 7


async def test_a_refresher_survives_failures() -> None:
    outcomes: list[Exception | None] = [Unavailable("sql", "away"), ValueError("a defect"), None, None]
    done = asyncio.Event()

    async def refresh() -> None:
        if not outcomes:
            done.set()
            return
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    task = asyncio.create_task(every(0.001, "test", refresh))
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()


POSITIONS = st.builds(Position, st.sampled_from(["a", "b.c"]), st.integers(0, 12), st.integers(0, 10**18))


@given(st.lists(POSITIONS, min_size=1, max_size=30))
def test_the_cookie_holds_the_newest_position_of_each_partition(written: list[Position]) -> None:
    cookie: str | None = None
    for position in written:
        cookie = joined(cookie, position)
    assert cookie is not None
    kept = [Position.parse(part) for part in cookie.split("|")]
    newest = {(p.topic, p.partition): p for p in written}
    assert kept[-1] == written[-1]
    assert len(kept) == min(len(newest), MAX_POSITIONS)
    assert all(newest[p.topic, p.partition] == p for p in kept)


@given(st.text())
def test_nothing_from_outside_gets_into_the_cookie(old: str) -> None:
    cookie = joined(old, Position("a", 1, 2))
    assert cookie.endswith("a/1@2")
    assert cookie.isascii()
    assert cookie.isprintable()
    assert not set(cookie) & set(' ",;\\')
