"""What versions in SQL promise: one is read, another is built beside it, and one row says which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from models.clock import ManualClock
from models.errors import Fenced, Unavailable
from models.stores import versions
from models.stores.port import Counts, Film
from models.stores.sql import SqlStore
from models.stores.versions import Row, Version
from tests.contract.sql_base import ids, letter, opened, position, reaction, step, view_step

R, V = "reactions", "views"


class SqlVersionsContract:
    """Needs a fixture ``url`` of a fresh database."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def versioned(self, url: str, clock: ManualClock) -> Iterator[SqlStore]:
        with closing(SqlStore(url, clock)) as store:
            store.create()
            store.load([Film(id=1, title="one"), Film(id=2, title="two")])
            opened(store)
            yield store

    def test_what_was_never_rebuilt_is_version_1(self, versioned: SqlStore) -> None:
        assert versioned.version(R) == versioned.version(V) == Version()

    def test_a_change_is_made_to_what_was_seen(self, versioned: SqlStore) -> None:
        first = versioned.version(R)
        second = first.changed(building=2)
        versioned.change(R, first, second)
        assert versioned.version(R) == second
        with pytest.raises(Fenced):
            versioned.change(R, first, first.changed(building=3))
        assert versioned.version(R) == second
        assert versioned.version(V) == Version()

    def test_what_is_built_is_not_read_before_the_switch(self, versioned: SqlStore) -> None:
        versioned.apply_reactions(step(0, 1), [reaction(1, 7, 1)])
        built = _built(versioned, R)
        assert built.positions(R, "behavior.reactions")[0].next_offset == 0
        built.apply_reactions(step(0, 2), [reaction(1, 7, 1), reaction(2, 8, 1)])
        assert (position(versioned), versioned.counts([1])) == (1, {1: Counts(1, 0)})
        _switch(versioned, R)
        assert (position(versioned), versioned.counts([1])) == (2, {1: Counts(2, 0)})
        assert versioned.statuses("like", [(7, 1), (8, 1)]) == {(7, 1): 1, (8, 1): 1}

    def test_an_owner_that_has_not_heard_of_the_switch_is_fenced(self, versioned: SqlStore) -> None:
        versioned.apply_reactions(step(0, 1), [reaction(1, 7, 1)])
        built = _built(versioned, R)
        built.apply_reactions(step(0, 2), [reaction(1, 7, 1), reaction(2, 8, 1)])
        _switch(versioned, R)
        with pytest.raises(Fenced):
            versioned.apply_reactions(step(1, 2), [reaction(2, 8, 1)])
        versioned.apply_reactions(step(2, 3), [reaction(3, 9, 1)])
        assert versioned.counts([1]) == {1: Counts(3, 0)}

    @pytest.mark.parametrize("projection", [R, V])
    def test_a_switch_holds_who_would_move_on(self, versioned: SqlStore, clock: ManualClock, projection: str) -> None:
        move: Callable[[SqlStore], None] = {
            R: lambda s: s.apply_reactions(step(0, 1), [reaction(1, 7, 1)]),
            V: lambda s: s.apply_clicks(view_step(0, 1), {1: 1}),
        }[projection]
        built = _built(versioned, projection)
        row = versioned.version(projection)
        held = row.changed(switch_until=clock.now_ms() + 5000)
        versioned.change(projection, row, held)
        with pytest.raises(Unavailable, match="is being switched"):
            move(versioned)
        move(built)
        clock.advance(6)
        move(versioned)  # who was switching has died
        with pytest.raises(Fenced):
            versioned.change(projection, held, held.changed(active=2, switch_until=0))

    def test_reads_go_by_what_was_seen_of_the_row_until_the_lease_ends(
        self, versioned: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1000.0
        monkeypatch.setattr(versions, "monotonic", lambda: now)
        built = _built(versioned, R)
        built.apply_reactions(step(0, 2), [reaction(1, 7, 1)])
        with closing(SqlStore(url)) as elsewhere:
            assert (position(elsewhere), elsewhere.counts([1])) == (0, {})
            _switch(versioned, R)
            assert (position(elsewhere), elsewhere.statuses("like", [(7, 1)])) == (0, {})
            with pytest.raises(Fenced):
                elsewhere.apply_reactions(step(0, 1), [reaction(2, 8, 1)])  # a write asks each time
            now += versions.LEASE_SECONDS
            assert (position(elsewhere), elsewhere.counts([1])) == (2, {1: Counts(1, 0)})

    def test_clicks_are_exchanged_by_the_switch_and_back(self, versioned: SqlStore) -> None:
        versioned.apply_clicks(view_step(0, 1), {1: 90})
        built = _built(versioned, V)
        built.apply_clicks(view_step(0, 1), {1: 3, 2: 4})
        built.apply_clicks(view_step(1, 2), {2: 1})
        assert versioned.videos([1])[1].clicks == 90
        assert sorted(built.contents(V)) == [Row("1", 3), Row("2", 5)]
        _switch(versioned, V)
        assert {v.id: v.clicks for v in versioned.videos([1, 2]).values()} == {1: 3, 2: 5}
        assert [video for video, _ in versioned.rank(2)] == [2, 1]
        assert sorted(versioned.contents(V)) == [Row("1", 3), Row("2", 5)]
        kept = versioned.at(V, 1)
        kept.apply_clicks(view_step(1, 2), {1: 1})
        row = versioned.version(V)
        versioned.change(V, row, row.changed(active=1, kept=2))
        assert {v.id: v.clicks for v in versioned.videos([1, 2]).values()} == {1: 91, 2: 0}

    def test_dead_letters_belong_to_the_version_that_they_are_missing_from(self, versioned: SqlStore) -> None:
        old, new = letter(0, projection=V), letter(1, projection=V)
        versioned.apply_clicks(view_step(0, 1), {}, [old])
        built = _built(versioned, V)
        built.apply_clicks(view_step(0, 2), {1: 1}, [new])
        versioned.put_dead([letter(5)])
        assert (list(versioned.dead(V)), list(built.dead(V))) == ([old], [new])
        assert versioned.dead_counts() == built.dead_counts() == {V: 1, R: 1}
        _switch(versioned, V)
        assert list(versioned.dead()) == [new, letter(5)]
        assert list(versioned.dead_at(old.position)) == []
        assert list(versioned.dead(after=new.place)) == [letter(5)]
        assert (versioned.drop_dead([old.place]), versioned.drop_dead([new.place])) == (0, 1)
        row = versioned.version(V)
        versioned.change(V, row, row.changed(active=1, kept=2))
        assert list(versioned.dead(V)) == [old]

    def test_a_letter_is_redeemed_once_in_the_version_that_is_active(self, versioned: SqlStore) -> None:
        versioned.apply_clicks(view_step(0, 1), {1: 5}, [letter(0, projection=V)])
        built = _built(versioned, V)
        built.apply_clicks(view_step(0, 1), {1: 6})  # could read it
        place = letter(0, projection=V).place
        assert not built.redeem(place, {1: 1})
        assert [versioned.redeem(place, {1: 1, 99: 1}) for _ in range(2)] == [True, False]
        assert versioned.videos([1])[1].clicks == 6
        _switch(versioned, V)
        assert (versioned.redeem(place, {1: 1}), versioned.videos([1])[1].clicks) == (False, 6)

    def test_a_letter_of_what_is_built_counts_there(self, versioned: SqlStore) -> None:
        built = _built(versioned, V)
        built.apply_clicks(view_step(0, 1), {}, [letter(0, projection=V)])
        assert built.redeem(letter(0, projection=V).place, {2: 1})
        assert list(built.contents(V)) == [Row("2", 1)]
        assert versioned.videos([2])[2].clicks == 0

    def test_a_switch_holds_who_would_redeem(self, versioned: SqlStore, clock: ManualClock) -> None:
        versioned.put_dead([letter(0, projection=V)])
        row = versioned.version(V)
        versioned.change(V, row, row.changed(switch_until=clock.now_ms() + 5000))
        with pytest.raises(Unavailable, match="is being switched"):
            versioned.redeem(letter(0, projection=V).place, {1: 1})
        assert len(versioned.dead(V)) == 1
        assert versioned.videos([1])[1].clicks == 0

    def test_contents_are_every_row_and_every_count(self, versioned: SqlStore) -> None:
        versioned.apply_reactions(
            step(0, 1),
            [reaction(1, 7, 1), reaction(2, 7, 2, status=0), reaction(3, 8, 1), reaction(4, 7, 9, kind="follow")],
        )
        assert sorted(versioned.contents(R)) == sorted(
            [
                Row("like/7/1", 1, ids(1)), Row("like/7/2", 0, ids(2)), Row("like/8/1", 1, ids(3)),
                Row("follow/7/9", 1, ids(4)), Row("likes/1", 2), Row("follows/9", 1),
            ]
        )  # fmt: skip

    @pytest.mark.parametrize("word", ["a%b", "%s", "100%%", "it's", '"', "back\\slash", "\\'); --", ":of", "a?b"])
    def test_an_event_id_from_outside_is_stored_as_it_is(self, versioned: SqlStore, word: str) -> None:
        versioned.apply_reactions(step(0, 1), [reaction(1, 7, 1)._replace(event_id=word)])
        assert Row("like/7/1", 1, word) in list(versioned.contents(R))
        versioned.apply_reactions(step(1, 2), [reaction(1, 7, 1, status=0)._replace(event_id=word + "z")])
        assert Row("like/7/1", 0, word + "z") in list(versioned.contents(R))

    @pytest.mark.parametrize("projection", [R, V])
    def test_what_is_removed_can_be_made_again_empty(self, versioned: SqlStore, projection: str) -> None:
        built = _built(versioned, projection)
        dead = [letter(3, projection=projection)]
        built.apply_reactions(step(0, 1), [reaction(1, 7, 1)], dead) if projection == R else built.apply_clicks(
            view_step(0, 1), {1: 1}, dead
        )
        for _ in range(2):
            versioned.remove(projection, 2)
        versioned.make(projection, 2)
        assert (list(built.contents(projection)), list(built.dead(projection))) == ([], [])
        topic = "behavior.reactions" if projection == R else "behavior.views"
        assert built.positions(projection, topic) == {}


def _built(store: SqlStore, projection: str) -> SqlStore:
    """Version 2 beside the active one, open."""
    row = store.version(projection)
    store.change(projection, row, row.changed(building=2))
    store.make(projection, 2)
    built = store.at(projection, 2)
    opened(built)
    return built


def _switch(store: SqlStore, projection: str) -> None:
    row = store.version(projection)
    store.change(projection, row, row.changed(active=2, building=0, kept=1))
