"""What versions of the plays promise, whichever store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from models.clock import ManualClock
from models.errors import Fenced, Unavailable
from models.stores import versions
from models.stores.plays_versions import PlayVersions
from models.stores.port import PlayRow, Top
from models.stores.versions import Row, Version
from tests.contract.play_stores import HIGH, LOG, LOW, NEW, OLD, TOPIC, P, at

Versioned = Callable[[], PlayVersions]


class PlayVersionsContract:
    """Needs a fixture ``make``: another object on the same empty storage."""

    @pytest.fixture
    def versioned(self, make: Versioned) -> Iterator[PlayVersions]:
        store = make()
        store.create()
        yield store
        store.close()

    def test_a_change_is_made_to_what_was_seen(self, versioned: PlayVersions) -> None:
        first = versioned.version(P)
        assert first == Version()
        second = first.changed(building=2)
        versioned.change(P, first, second)
        with pytest.raises(Fenced):
            versioned.change(P, first, first.changed(building=3))
        third = second.changed(building=0)
        versioned.change(P, second, third)
        assert versioned.version(P) == third

    def test_missing_tables_are_named_with_those_of_the_active_version(self, versioned: PlayVersions) -> None:
        assert versioned.missing() == []
        assert versioned.about().version
        versioned.change(P, Version(), Version().changed(active=2))
        assert any(name.endswith("video_v2") for name in versioned.missing())
        versioned.make(P, 2)
        assert versioned.missing() == []

    def test_what_is_built_is_not_read_before_the_switch(self, versioned: PlayVersions) -> None:
        versioned.put(0, OLD, {1: (2, 30)}, LOW)
        versioned.open(P, TOPIC, 0, LOG, 0)
        built = _built(versioned)
        assert (built.rows([1]), built.tops(), built.positions(P, TOPIC)) == ({}, {}, {})
        built.put(0, NEW, {1: (9, 90)}, HIGH)
        built.open(P, TOPIC, 0, LOG, 7)
        assert (versioned.rows([1]), versioned.tops()) == ({1: PlayRow(2, 30, OLD)}, {0: LOW})
        _switch(versioned)
        assert (versioned.rows([1]), versioned.tops()) == ({1: PlayRow(9, 90, NEW)}, {0: HIGH})
        assert versioned.positions(P, TOPIC)[0].next_offset == 7

    def test_an_owner_that_has_not_heard_of_the_switch_is_fenced(self, versioned: PlayVersions) -> None:
        _built(versioned)
        owner = versioned.pinned()
        owner.open(P, TOPIC, 0, LOG, 0)
        owner.save(P, TOPIC, 0, at(1), "a", b"1")
        _switch(versioned)
        with pytest.raises(Fenced):
            owner.put(0, NEW, {1: (2, 30)}, None)
        with pytest.raises(Fenced):
            owner.save(P, TOPIC, 0, at(2), "a", b"1")
        assert versioned.rows([1]) == {}
        assert versioned.pinned().positions(P, TOPIC) == {}

    def test_a_switch_holds_who_would_move_on(self, versioned: PlayVersions) -> None:
        clock = versioned._clock = ManualClock()
        built = _built(versioned)
        owner = versioned.pinned()
        row = versioned.version(P)
        held = row.changed(switch_until=clock.now_ms() + 5000)
        versioned.change(P, row, held)
        with pytest.raises(Unavailable, match="is being switched"):
            owner.put(0, NEW, {1: (2, 30)}, None)
        with pytest.raises(Unavailable, match="is being switched"):
            owner.save(P, TOPIC, 0, at(1), "a", b"")
        built.put(0, NEW, {1: (2, 30)}, None)
        clock.advance(6)
        owner.put(0, NEW, {1: (2, 30)}, None)  # who was switching has died
        with pytest.raises(Fenced):
            versioned.change(P, held, held.changed(active=2, switch_until=0))

    def test_what_was_seen_of_the_row_serves_for_the_lease(
        self, versioned: PlayVersions, make: Versioned, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1000.0
        monkeypatch.setattr(versions, "monotonic", lambda: now)
        _built(versioned)
        with closing(make()) as elsewhere:
            row = elsewhere.version(P)
            owner = versioned.pinned()
            held = row.changed(switch_until=versioned._clock.now_ms() + 5000)
            elsewhere.change(P, row, held)
            owner.put(0, NEW, {1: (2, 30)}, None)  # what holds it waits for the lease to end
            now += versions.LEASE_SECONDS
            with pytest.raises(Unavailable, match="is being switched"):
                owner.put(0, NEW, {1: (2, 30)}, None)
            assert versioned.rows([1]) == {1: PlayRow(2, 30, NEW)}
            elsewhere.change(P, held, held.changed(active=2, kept=1, switch_until=0))
            with pytest.raises(Fenced):
                owner.save(P, TOPIC, 0, at(1), "a", b"")
            now += versions.LEASE_SECONDS
            assert versioned.rows([1]) == {}
            versioned.pinned().put(0, NEW, {1: (2, 30)}, None)

    def test_contents_are_every_row(self, versioned: PlayVersions) -> None:
        versioned.put(0, NEW, {i: (i, i * 2) for i in range(1, 30)}, Top())
        assert sorted(versioned.contents(P)) == sorted(Row(str(i), i * 2, str(i)) for i in range(1, 30))

    def test_what_is_removed_can_be_made_again_empty(self, versioned: PlayVersions) -> None:
        built = _built(versioned)
        built.put(0, NEW, {1: (2, 30)}, LOW)
        for _ in range(2):
            versioned.remove(P, 2)
        versioned.make(P, 2)
        assert (built.rows([1]), built.tops()) == ({}, {})


def _built(store: PlayVersions) -> PlayVersions:
    """Version 2 beside the active one."""
    row = store.version(P)
    store.change(P, row, row.changed(building=2))
    store.make(P, 2)
    return store.at(P, 2)


def _switch(store: PlayVersions) -> None:
    row = store.version(P)
    store.change(P, row, row.changed(active=2, building=0, kept=1))
