"""Positions and dead letters of the SQL store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from models.errors import Fenced, LogMismatch
from models.eventlog.port import Identity, Position
from models.events import REACTIONS, VIEWS
from models.stores.port import Checkpoint, SqlStores
from tests.contract.sql_base import (
    LOG,
    OTHER_LOG,
    Opener,
    SqlSuite,
    ids,
    letter,
    opened,
    position,
    reaction,
    step,
    view_step,
    wins,
)


class SqlPositionsContract(SqlSuite):
    """open, positions, new_epoch, and the compare-and-swap of every step."""

    def test_first_open_starts_at_earliest(self, store: SqlStores) -> None:
        assert store.open("reactions", REACTIONS, 2, LOG, 41) == Checkpoint(epoch=1, next_offset=41)
        assert store.open("reactions", REACTIONS, 2, LOG, 90) == Checkpoint(epoch=1, next_offset=41)
        assert store.positions("reactions", REACTIONS) == {2: Checkpoint(epoch=1, next_offset=41)}
        assert store.positions("views", VIEWS) == {}

    def test_open_by_many_at_once_gives_all_the_same(self, store: SqlStores, another: Opener) -> None:
        stores = [another() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda n: stores[n].open("reactions", REACTIONS, 0, LOG, n), range(4)))
        assert set(found) == {store.open("reactions", REACTIONS, 0, LOG, 99)}

    def test_a_step_is_seen_by_the_next_owner(self, store: SqlStores, another: Opener) -> None:
        opened(store)
        store.apply_reactions(step(0, 5), [])
        expected = Checkpoint(epoch=1, next_offset=5, last_event_id=ids(5))
        assert another().open("reactions", REACTIONS, 0, LOG, 0) == expected

    @pytest.mark.parametrize(
        ("found", "said"),
        [
            (Identity("cluster-b", "topic-a", 3), "cluster stored cluster-a, found cluster-b"),
            (Identity("cluster-a", "topic-b", 3), "topic id stored topic-a, found topic-b"),
            (Identity("cluster-a", "topic-a", 6), "partitions stored 3, found 6"),
        ],
    )
    def test_another_log_is_a_mismatch(self, store: SqlStores, found: Identity, said: str) -> None:
        opened(store)
        for partition in (0, 1):  # one that was opened before, one that was not
            with pytest.raises(LogMismatch) as caught:
                store.open("reactions", REACTIONS, partition, found, 0)
            assert said in str(caught.value)
            assert "playtrail consume reactions --new-epoch" in str(caught.value)
        assert set(store.positions("reactions", REACTIONS)) == {0}

    def test_a_new_epoch_starts_where_it_is_told(self, store: SqlStores) -> None:
        opened(store, partitions=3)
        store.apply_reactions(step(0, 9), [])
        assert store.new_epoch("reactions", REACTIONS, OTHER_LOG, {0: 3, 1: 4}) == 2
        assert store.positions("reactions", REACTIONS) == {
            0: Checkpoint(epoch=2, next_offset=3),
            1: Checkpoint(epoch=2, next_offset=4),
        }
        assert store.open("reactions", REACTIONS, 3, OTHER_LOG, 8) == Checkpoint(epoch=2, next_offset=8)
        assert store.positions("views", VIEWS)[0] == Checkpoint(epoch=1, next_offset=0)
        with pytest.raises(LogMismatch):
            store.open("reactions", REACTIONS, 0, LOG, 0)

    def test_a_new_epoch_fences_the_owner_of_the_old(self, store: SqlStores, another: Opener) -> None:
        opened(store)
        another().new_epoch("reactions", REACTIONS, LOG, {0: 0})
        with pytest.raises(Fenced):
            store.apply_reactions(step(0, 5), [reaction(1, 1, 1)])
        assert store.statuses("like", [(1, 1)]) == {}
        store.apply_reactions(step(0, 5, epoch=2), [reaction(1, 1, 1)])
        assert store.statuses("like", [(1, 1)]) == {(1, 1): 1}

    def test_new_epochs_at_once_get_different_numbers(self, store: SqlStores, another: Opener) -> None:
        opened(store)
        stores = [another() for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            numbers = list(pool.map(lambda s: s.new_epoch("reactions", REACTIONS, LOG, {0: 0}), stores))
        assert sorted(numbers) == [2, 3, 4]

    def test_a_second_owner_is_fenced(self, store: SqlStores, another: Opener) -> None:
        opened(store)
        old, new = store, another()
        new.apply_reactions(step(0, 5), [reaction(5, 1, 1)])
        with pytest.raises(Fenced, match=r"behavior\.reactions/0@0"):
            old.apply_reactions(step(0, 6), [reaction(6, 1, 1, status=0)], [letter(5)])
        with pytest.raises(Fenced):
            old.apply_clicks(view_step(3, 6), {1: 1}, [letter(5)])
        assert position(old) == 5
        assert old.statuses("like", [(1, 1)]) == {(1, 1): 1}
        assert old.dead() == []

    def test_a_partition_that_was_never_opened_is_fenced(self, store: SqlStores) -> None:
        with pytest.raises(Fenced):
            store.apply_reactions(step(0, 1), [])

    def test_a_step_to_where_it_is_passes(self, store: SqlStores) -> None:
        opened(store)
        for _ in range(3):
            store.apply_reactions(step(0, 0), [])
        assert position(store) == 0

    def test_of_racing_owners_exactly_one_wins_each_step(self, store: SqlStores, another: Opener) -> None:
        opened(store)
        owners = [store, another(), another()]
        with ThreadPoolExecutor(3) as pool:
            for offset in range(12):
                rows = [reaction(offset + 1, user, 1, status=offset % 2) for user in range(1, 30)]
                won = list(
                    pool.map(lambda o, n=offset, r=rows: wins(lambda: o.apply_reactions(step(n, n + 1), r)), owners)
                )
                assert sorted(won) == [False, False, True]
        assert position(store) == 12
        assert store.counts([1])[1].likes == 29

    def test_dead_letters_are_kept_once_and_in_order(self, store: SqlStores) -> None:
        first = [letter(9), letter(10), letter(2, partition=1), letter(9, projection="views")]
        store.put_dead([*reversed(first)])
        store.put_dead([letter(9, error="another word"), letter(11)])
        assert list(store.dead("reactions")) == [letter(9), letter(10), letter(11), letter(2, partition=1)]
        assert list(store.dead("views")) == [letter(9, projection="views")]
        assert [found.offset for found in store.dead(limit=3)] == [9, 9, 10]

    def test_dead_letters_are_read_page_by_page(self, store: SqlStores) -> None:
        letters = [letter(9), letter(9, projection="views"), letter(10), letter(2, partition=1)]
        store.put_dead(letters)
        pages = [store.dead(limit=1)]
        while pages[-1]:
            pages.append(store.dead(limit=1, after=pages[-1][0].place))
        assert [found for page in pages for found in page] == letters
        assert list(store.dead("reactions", after=letters[2].place)) == letters[3:]

    def test_a_dead_letter_is_found_by_its_record(self, store: SqlStores) -> None:
        store.put_dead([letter(9), letter(9, projection="views"), letter(9, partition=1), letter(8)])
        assert list(store.dead_at(Position(REACTIONS, 0, 9))) == [letter(9), letter(9, projection="views")]
        assert list(store.dead_at(Position(REACTIONS, 0, 7))) == []

    def test_dead_letters_are_counted_by_projection(self, store: SqlStores) -> None:
        assert store.dead_counts() == {}
        store.put_dead([letter(1), letter(2), letter(1, projection="views")])
        assert store.dead_counts() == {"reactions": 2, "views": 1}

    def test_a_dropped_letter_is_gone_and_told_once(self, store: SqlStores, another: Opener) -> None:
        store.put_dead([letter(number) for number in range(20)])
        places = [letter(number).place for number in range(5, 25)]
        stores = [store, another(), another()]
        with ThreadPoolExecutor(3) as pool:
            told = list(pool.map(lambda each: each.drop_dead(places), stores))
        assert sum(told) == 15
        assert [found.offset for found in store.dead()] == [0, 1, 2, 3, 4]
        assert store.drop_dead([]) == 0

    def test_a_dead_letter_keeps_every_byte(self, store: SqlStores) -> None:
        odd = letter(1)._replace(key=None, value=b"", headers="[" + " " * 200_000 + "]", error="值 🎬 '\\%s\x00")
        whole = letter(2)._replace(value=bytes(range(256)) * 4000)
        store.put_dead([odd, whole])
        assert list(store.dead()) == [odd, whole]

    def test_a_dead_letter_comes_with_the_position_that_passes_it(self, store: SqlStores) -> None:
        opened(store)
        store.apply_reactions(step(0, 2), [reaction(1, 1, 1)], [letter(1)])
        store.apply_clicks(view_step(0, 2), {}, [letter(1, projection="views")])
        assert [found.projection for found in store.dead()] == ["reactions", "views"]
