"""Reactions and clicks of the SQL store."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import defaultdict
from typing import get_args

import pytest
from sqlalchemy import Engine, event

from models.errors import Fenced, Refused
from models.stores.port import Counts, Film, Kind, Reaction, SqlStores
from tests.contract.sql_base import Opener, SqlSuite, ids, letter, opened, position, reaction, step, view_step

KINDS: tuple[Kind, ...] = get_args(Kind)


class Fold:
    """What the read model should hold: the newest word of each viewer, kept in a dictionary."""

    def __init__(self) -> None:
        self.newest: dict[tuple[Kind, int, int], Reaction] = {}

    def take(self, reactions: list[Reaction]) -> None:
        for one in reactions:
            key = (one.kind, one.user_id, one.target_id)
            if key not in self.newest or self.newest[key].event_id < one.event_id:
                self.newest[key] = one

    def statuses(self, kind: Kind) -> dict[tuple[int, int], int]:
        return {(user, target): r.status for (k, user, target), r in self.newest.items() if k == kind}

    def counts(self) -> dict[int, Counts]:
        totals: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for (kind, _, target), one in self.newest.items():
            if kind != "follow":
                totals[target][kind == "collect"] += one.status
        return {target: Counts(*total) for target, total in totals.items() if any(total)}


def apply_until_killed(suite: SqlSuite, url: str) -> None:
    """Fold a fixed sequence, one step after the other; run in a process of its own."""
    store = suite.connect(url)
    while True:
        at = position(store)
        store.apply_reactions(step(at, at + 1), sequence(at), [letter(at)])


def sequence(offset: int) -> list[Reaction]:
    """The reactions of the step that begins at ``offset``; from one to the next, likes come and go."""
    return [reaction(offset, user, user % 7 + 1, status=(offset + user) % 2) for user in range(1, 60)]


class SqlReactionsContract(SqlSuite):
    """apply_reactions, apply_clicks, statuses and counts."""

    def test_reactions_and_their_counts(self, store: SqlStores) -> None:
        opened(store)
        rows = [reaction(n, n, 7) for n in (1, 2, 3)]
        rows += [reaction(4, 1, 7, kind="collect"), reaction(5, 1, 7, kind="follow"), reaction(6, 1, 8, status=0)]
        store.apply_reactions(step(0, 9), rows)
        assert store.statuses("like", [(1, 7), (1, 8), (9, 9)]) == {(1, 7): 1, (1, 8): 0}
        assert store.statuses("follow", [(1, 7), (2, 7)]) == {(1, 7): 1}
        assert store.counts([7, 8, 9]) == {7: Counts(likes=3, collects=1)}
        store.apply_reactions(step(9, 10), [reaction(10, 1, 7, status=0)])
        assert store.counts([7]) == {7: Counts(likes=2, collects=1)}

    def test_several_kinds_and_the_counts_at_once(self, store: SqlStores) -> None:
        opened(store)
        store.apply_reactions(step(0, 9), [reaction(1, 1, 7), reaction(2, 2, 7, kind="collect"), reaction(3, 1, 9)])
        found = store.states({"like": [(1, 7), (2, 7)], "collect": [(2, 7)], "follow": []}, [7, 8])
        assert found.statuses == {"like": {(1, 7): 1}, "collect": {(2, 7): 1}, "follow": {}}
        assert found.counts == {7: Counts(likes=1, collects=1)}

    def test_thousands_asked_at_once_are_all_answered(self, store: SqlStores) -> None:
        opened(store)
        rows = [reaction(1, n, n, kind=kind) for n in (1, 17_000) for kind in ("like", "collect", "follow")]
        store.apply_reactions(step(0, 9), rows)
        everyone = [(n, n) for n in range(1, 17_001)]
        found = store.states({"like": everyone, "follow": everyone}, range(1, 17_001))
        assert found.statuses == {kind: {(1, 1): 1, (17_000, 17_000): 1} for kind in ("like", "follow")}
        assert found.counts == {n: Counts(likes=1, collects=1) for n in (1, 17_000)}

    def test_nothing_asked_is_nothing_found(self, store: SqlStores) -> None:
        assert store.statuses("like", []) == {}
        assert store.counts([]) == {}

    def test_a_repeated_step_is_fenced_and_changes_nothing(self, store: SqlStores) -> None:
        opened(store)
        for again in (False, True):
            if again:
                with pytest.raises(Fenced):
                    store.apply_reactions(step(0, 5), [reaction(1, 1, 7)], [letter(3)])
            else:
                store.apply_reactions(step(0, 5), [reaction(1, 1, 7)])
        assert (store.counts([7]), position(store), store.dead()) == ({7: Counts(likes=1)}, 5, [])

    def test_an_older_event_does_not_undo_a_newer(self, store: SqlStores) -> None:
        opened(store)
        store.apply_reactions(step(0, 5), [reaction(5, 1, 7, status=0), reaction(4, 2, 7)])
        store.apply_reactions(step(5, 9), [reaction(3, 1, 7, status=1), reaction(4, 2, 7, status=0)])
        assert store.statuses("like", [(1, 7), (2, 7)]) == {(1, 7): 0, (2, 7): 1}
        assert store.counts([7]) == {7: Counts(likes=1)}

    def test_counts_equal_a_recount_after_a_random_sequence(self, store: SqlStores) -> None:
        opened(store, partitions=3)
        rng, fold = random.Random(20261124), Fold()
        at = dict.fromkeys(range(3), 0)
        for _ in range(60):
            partition = rng.randrange(3)
            rows = self._some(rng, partition)
            fold.take(rows)
            store.apply_reactions(step(at[partition], at[partition] + 3, partition), rows)
            at[partition] += 3
        self._compare(store, fold)

    def _some(self, rng: random.Random, partition: int) -> list[Reaction]:
        """Up to 40 reactions of the partition's users, from a window of event_ids: late and repeated ones too."""
        rows: dict[tuple[str, int, int], Reaction] = {}
        for _ in range(rng.randrange(40)):
            kind, user, target = rng.choice(KINDS), rng.randrange(4) * 3 + partition + 1, rng.randrange(1, 5)
            number = rng.randrange(500)
            rows[kind, user, target] = reaction(number, user, target, number % 2, kind)
        return list(rows.values())

    def _compare(self, store: SqlStores, fold: Fold) -> None:
        pairs = [(user, target) for user in range(1, 80) for target in range(1, 9)]
        for kind in KINDS:
            assert store.statuses(kind, pairs) == fold.statuses(kind)
        assert store.counts(range(1, 9)) == fold.counts()

    def test_more_rows_than_one_statement_takes(self, store: SqlStores) -> None:
        opened(store)
        rows = [reaction(n % 3000, user=n, target=n % 50 + 1) for n in range(1, 7001)]
        store.apply_reactions(step(0, 1), rows)
        store.apply_reactions(step(1, 2), [r._replace(status=0, event_id=ids(3500)) for r in rows[::2]])
        found = store.statuses("like", [(r.user_id, r.target_id) for r in rows])
        assert (len(found), sum(found.values())) == (7000, 3500)
        assert sum(c.likes for c in store.counts(range(1, 51)).values()) == 3500

    def test_statuses_are_one_query(self, store: SqlStores) -> None:
        opened(store)
        store.apply_reactions(step(0, 1), [reaction(n, n, n) for n in range(1, 500)])
        queries: list[str] = []

        def seen(*arguments: object) -> None:
            queries.append(str(arguments[2]))

        event.listen(Engine, "before_cursor_execute", seen)
        try:
            found = store.statuses("like", [(n, n) for n in range(1, 2000)])
        finally:
            event.remove(Engine, "before_cursor_execute", seen)
        assert len(found) == 499
        assert len([query for query in queries if "content_like" in query]) == 1

    def test_what_fails_in_the_middle_leaves_nothing(self, store: SqlStores) -> None:
        store.load([Film(id=1, title="a")])
        opened(store)
        broken = letter(1)._replace(value=None)  # type: ignore[arg-type]
        with pytest.raises(Refused):
            store.apply_reactions(step(0, 5), [reaction(1, 1, 7)], [letter(0), broken])
        with pytest.raises(Refused):
            store.apply_clicks(view_step(0, 5), {1: 3}, [letter(0), broken])
        assert (position(store), store.counts([7]), store.dead()) == (0, {}, [])
        assert store.statuses("like", [(1, 7)]) == {}
        assert store.videos([1])[1].clicks == 0
        store.apply_reactions(step(0, 5), [reaction(1, 1, 7)])
        assert store.counts([7]) == {7: Counts(likes=1)}

    def test_clicks_add_up(self, store: SqlStores, another: Opener) -> None:
        store.load(Film(id=n, title=str(n)) for n in range(1, 1001))
        opened(store, partitions=2)
        store.apply_clicks(view_step(0, 5), {n: n for n in range(1000, 0, -1)} | {4_000_000_000: 1})
        another().apply_clicks(view_step(0, 5, partition=1), {1: 10, 2: 0})
        with pytest.raises(Fenced):
            store.apply_clicks(view_step(0, 5), {1: 100})
        found = store.videos(range(1, 1001))
        assert {n: video.clicks for n, video in found.items()} == {n: n + 10 * (n == 1) for n in range(1, 1001)}
        assert store.videos([4_000_000_000]) == {}

    def test_a_killed_process_leaves_whole_steps(self, store: SqlStores, url: str) -> None:
        opened(store)
        process = multiprocessing.get_context("spawn").Process(target=apply_until_killed, args=(type(self)(), url))
        process.start()
        while position(store) < 20 and process.is_alive():
            time.sleep(0.01)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        fold, folded = Fold(), position(store)
        for offset in range(folded):
            fold.take(sequence(offset))
        self._compare(store, fold)
        assert [found.offset for found in store.dead(limit=4000)] == list(range(folded))
        store.apply_reactions(step(folded, folded + 1), [])
