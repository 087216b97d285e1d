"""
Whatever happens to its owners, a partition ends as a plain fold of its log.

Owners are killed before any read or write of a single cell, stand still anywhere and go on later (also when another
has long finished), cut the log into batches of their own, and meet each other's half-written work.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from consumers import parts
from consumers.plays import IDLE_MS, PartitionFold, Plays
from consumers.rowcache import RowCache
from models.clock import ManualClock
from models.errors import Fenced
from models.eventlog.port import Identity
from models.stores.port import Top
from tests.consumers.fakes import Cells, MemoryPlays
from tests.consumers.making import MadeRecord, best, plain_fold, plays_log
from tests.consumers.stage import Actor

LOG = Identity("cluster", "topic", 1)


@pytest.fixture(autouse=True, params=[0, 5], ids=["snapshots", "deltas"])
def _small_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot each time, or after a few deltas, so that short logs go through many."""
    monkeypatch.setattr(parts, "FEWEST_DELTAS", 2)
    monkeypatch.setattr(parts, "MOST_DELTAS", request.param)


def owner(cells: Cells, log: Sequence[MadeRecord], seed: int) -> Callable[[Callable[[], None]], None]:
    """A consumer that folds the log to its end, opening again whenever it is fenced."""

    def play(pause: Callable[[], None]) -> None:
        rng = random.Random(seed)
        store = MemoryPlays(cells, pause)
        projection = Plays(store, store, cached_rows=rng.choice((1, 4, 1000)))
        largest = rng.choice((1, 3, 12))
        while True:
            position = projection.open(0, LOG, log[0].offset).next_offset
            try:
                while left := [record for record in log if record.offset >= position]:
                    position = projection.apply(0, left[: rng.randint(1, largest)]).next_offset
                return
            except Fenced:
                continue

    return play


def direct(seed: int, size: int = 60) -> tuple[list[MadeRecord], Cells]:
    """One run: owners come, go, hang and go on; one of them surely reaches the end."""
    rng = random.Random(seed)
    log, cells = plays_log(seed, size), Cells()
    cast: list[Actor] = []
    for _ in range(rng.randint(1, 5)):
        cast.append(Actor(owner(cells, log, rng.getrandbits(32))))
        for _ in range(rng.randint(1, 250)):
            actor = rng.choice(cast[-3:])
            if not actor.ended:
                actor.step()
        if rng.random() < 0.5:
            cast[-1].kill()
    last = Actor(owner(cells, log, seed))
    while not last.ended:
        last.step()
    for actor in cast:  # what was late comes now
        while not actor.ended and rng.random() < 0.995:
            actor.step()
        actor.kill()
    return log, cells


def check(log: list[MadeRecord], cells: Cells) -> None:
    truth, store = plain_fold(log), MemoryPlays(cells)
    rows = {video_id: (row.times, row.duration) for video_id, row in store.rows(range(100)).items()}
    assert rows == truth.rows
    assert store.tops()[0] == Top(by_times=best(rows, 0), by_duration=best(rows, 1))
    head = store.open(Plays.name, Plays.topic, 0, LOG, 0)
    assert head.next_offset == log[-1].offset + 1
    sessions = parts.restore(store.parts(Plays.name, 0, head.parts), head.next_offset)
    known = {s: v for _, generation in sessions.everything() for s, v in generation.items()}
    assert known == truth.sessions
    assert {letter.offset for letter in store.dead()} == {r.offset for r in log if r.value == b"no event"}


@pytest.mark.parametrize("block", range(4))
def test_the_end_is_a_plain_fold_of_the_log(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        check(*direct(seed))


# What the tests above are worth: each protection taken away must show.


def no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowCache, "_guard", lambda self, stamp: 0)


def checkpoint_before_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    flush, save = PartitionFold.flush, PartitionFold._save

    def reversed_flush(self: PartitionFold, next_offset: int, last_event_id: str) -> None:
        save(self, next_offset, last_event_id)
        vars(self)["_save"] = lambda *_: None
        flush(self, next_offset, last_event_id)
        del vars(self)["_save"]

    monkeypatch.setattr(PartitionFold, "flush", reversed_flush)


def loaded_rows_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    load = RowCache.load
    monkeypatch.setattr(RowCache, "load", lambda self, videos: (load(self, videos), ())[1])


@pytest.mark.parametrize("mutate", [no_guard, checkpoint_before_rows, loaded_rows_not_offered])
def test_without_a_protection_rows_or_tops_are_wrong(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert any(_is_wrong(seed) for seed in range(400))


def _is_wrong(seed: int) -> bool:
    try:
        check(*direct(seed))
    except AssertionError:
        return True
    return False


def test_a_store_that_was_set_back_while_idle_is_noticed_and_folded_again() -> None:
    log, cells, clock = plays_log(1, 60), Cells(), ManualClock()
    store = MemoryPlays(cells)
    projection = Plays(store, store, clock=clock)
    projection.open(0, LOG, log[0].offset)
    projection.apply(0, log[:20])
    earlier = dict(cells.cells)
    projection.apply(0, log[20:40])
    cells.cells = earlier
    clock.advance(IDLE_MS / 1000)
    with pytest.raises(Fenced, match=f"the store is at {log[19].offset + 1} in epoch 1, not at {log[39].offset + 1}"):
        projection.apply(0, log[40:])
    position = projection.open(0, LOG, log[0].offset).next_offset
    projection.apply(0, [record for record in log if record.offset >= position])
    check(log, cells)
