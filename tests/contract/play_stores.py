"""What every plays store must do; an adapter's test module subclasses PlayStoresContract and says how to make one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import Fenced, LogMismatch
from models.eventlog.port import Identity
from models.stores.port import Checkpoint, PlayRow, PlayStores, Top, stamp_of

P, TOPIC = "plays", "behavior.plays"
LOG = Identity("cluster", "topic-1", 4)
OLD, NEW = stamp_of(1, 100), stamp_of(1, 200)
LOW, HIGH = Top(((7, 1),), ((7, 10),)), Top(((7, 2), (8, 1)), ((7, 20),))
fresh_ids = itertools.count(1_000_000)
"""Ids that no other example of a property has used: nothing is ever deleted."""

Make = Callable[[], PlayStores]


def at(next_offset: int, epoch: int = 1, *parts: str) -> Checkpoint:
    return Checkpoint(epoch=epoch, next_offset=next_offset, last_event_id=f"event-{next_offset}", parts=parts)


class PlayStoresContract:
    @pytest.fixture
    def make(self) -> Make:
        """Another object on the same empty storage, as another process would have."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, make: Make) -> Iterator[PlayStores]:
        store = make()
        store.create()
        yield store
        store.close()

    @pytest.fixture
    def other(self, make: Make, store: PlayStores) -> Iterator[PlayStores]:
        other = make()
        yield other
        other.close()

    # Rows

    def test_absent_rows_are_absent(self, store: PlayStores) -> None:
        store.put(0, NEW, {1: (2, 30)}, None)
        assert store.rows([1, 2, 9_999_999_999]) == {1: PlayRow(2, 30, NEW)}
        assert store.rows([]) == {}

    def test_an_empty_put_writes_nothing(self, store: PlayStores) -> None:
        store.put(0, NEW, {}, None)
        assert store.tops() == {}

    def test_smallest_and_largest_values_come_back(self, store: PlayStores) -> None:
        rows = {1: (0, 0), 9_999_999_999: (2**62, 2**62)}
        stamp = stamp_of(32_767, 2**48 - 2)  # one more is HBase's word for now
        store.put(0, stamp, rows, None)
        assert store.rows(rows) == {i: PlayRow(*row, stamp) for i, row in rows.items()}

    def test_many_rows_come_back(self, store: PlayStores) -> None:
        ids = random.Random(7).sample(range(1, 10_000_000), 5_000)
        store.put(0, NEW, {i: (i, i * 2) for i in ids}, None)
        assert store.rows(ids) == {i: PlayRow(i, i * 2, NEW) for i in ids}

    def test_another_object_sees_what_was_put(self, store: PlayStores, other: PlayStores) -> None:
        store.put(0, NEW, {1: (2, 30)}, LOW)
        assert (other.rows([1]), other.tops()) == ({1: PlayRow(2, 30, NEW)}, {0: LOW})

    # The largest stamp wins

    def test_a_larger_stamp_wins(self, store: PlayStores) -> None:
        store.put(0, OLD, {1: (1, 10)}, LOW)
        store.put(0, NEW, {1: (2, 20)}, HIGH)
        assert (store.rows([1]), store.tops()) == ({1: PlayRow(2, 20, NEW)}, {0: HIGH})

    def test_a_late_write_with_a_smaller_stamp_is_invisible(self, store: PlayStores, other: PlayStores) -> None:
        store.put(0, NEW, {1: (2, 20)}, HIGH)
        other.put(0, OLD, {1: (9, 99), 2: (1, 10)}, LOW)
        assert store.rows([1, 2]) == {1: PlayRow(2, 20, NEW), 2: PlayRow(1, 10, OLD)}
        assert store.tops() == {0: HIGH}

    def test_the_same_put_again_changes_nothing(self, store: PlayStores) -> None:
        for _ in range(2):
            store.put(0, NEW, {1: (2, 20)}, HIGH)
        assert (store.rows([1]), store.tops()) == ({1: PlayRow(2, 20, NEW)}, {0: HIGH})

    def test_any_stamp_of_a_later_epoch_is_larger(self, store: PlayStores) -> None:
        store.put(0, stamp_of(2, 0), {1: (1, 1)}, LOW)
        store.put(0, stamp_of(1, 2**40), {1: (9, 9)}, HIGH)
        assert (store.rows([1]), store.tops()) == ({1: PlayRow(1, 1, stamp_of(2, 0))}, {0: LOW})

    # Every adapter runs this one function; each example writes ids of its own, so that they cannot disturb each other.
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(writes=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2**48 - 1)), min_size=1, max_size=8))
    def test_any_order_of_writes_ends_at_the_largest_stamp(
        self, store: PlayStores, writes: list[tuple[int, int]]
    ) -> None:
        video_id, partition = next(fresh_ids), next(fresh_ids) % 10_000
        stamps = [stamp_of(*write) for write in writes]
        for stamp in stamps:
            store.put(partition, stamp, {video_id: (stamp % 1000, stamp)}, Top(((video_id, stamp),)))
        last = max(stamps)
        assert store.rows([video_id]) == {video_id: PlayRow(last % 1000, last, last)}
        assert store.tops()[partition] == Top(((video_id, last),))

    # Top lists

    def test_tops_are_kept_by_partition(self, store: PlayStores) -> None:
        tops = {0: LOW, 3: HIGH, 12: Top(), 1234: LOW}
        for partition, top in tops.items():
            store.put(partition, NEW, {}, top)
        assert store.tops() == tops

    def test_a_put_without_a_top_leaves_it(self, store: PlayStores) -> None:
        store.put(0, OLD, {1: (1, 1)}, LOW)
        store.put(0, NEW, {1: (2, 2)}, None)
        assert store.tops() == {0: LOW}

    # Positions

    def test_the_first_open_stores_the_earliest_offset(self, store: PlayStores, other: PlayStores) -> None:
        assert store.positions(P, TOPIC) == {}
        first = store.open(P, TOPIC, 3, LOG, 42)
        assert first == Checkpoint(epoch=1, next_offset=42)
        assert other.open(P, TOPIC, 3, LOG, 77) == first
        assert store.positions(P, TOPIC) == {3: first}

    def test_projections_and_topics_are_kept_apart(self, store: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 1)
        store.open(P + "2", TOPIC, 0, LOG, 2)
        store.open(P, TOPIC + ".more", 0, LOG, 3)
        found = [store.positions(*key)[0].next_offset for key in ((P, TOPIC), (P + "2", TOPIC), (P, TOPIC + ".more"))]
        assert found == [1, 2, 3]

    @pytest.mark.parametrize(
        ("found", "words"),
        [
            (Identity("cluster", "topic-2", 4), "topic id 'topic-1' stored and 'topic-2' found"),
            (Identity("elsewhere", "topic-1", 4), "cluster 'cluster' stored and 'elsewhere' found"),
            (Identity("cluster", "topic-1", 6), "number of partitions 4 stored and 6 found"),
        ],
    )
    def test_another_log_is_refused(self, store: PlayStores, found: Identity, words: str) -> None:
        before = store.open(P, TOPIC, 0, LOG, 5)
        with pytest.raises(LogMismatch, match=words) as raised:
            store.open(P, TOPIC, 0, found, 0)
        assert "playtrail consume plays --new-epoch" in str(raised.value)
        assert store.positions(P, TOPIC) == {0: before}

    def test_a_partition_that_was_added_is_refused(self, store: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 5)
        with pytest.raises(LogMismatch, match="number of partitions 4 stored and 6 found"):
            store.open(P, TOPIC, 5, Identity("cluster", "topic-1", 6), 0)

    def test_a_new_epoch_outranks_all_older_stamps(self, store: PlayStores, other: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 5)
        store.save(P, TOPIC, 0, at(2**40, 1, "a"), "a", b"old")
        log = Identity("cluster", "topic-2", 2)
        assert store.new_epoch(P, TOPIC, log, {0: 10, 1: 20}) == 2
        assert store.positions(P, TOPIC) == {p: Checkpoint(epoch=2, next_offset=n) for p, n in ((0, 10), (1, 20))}
        with pytest.raises(Fenced):
            other.save(P, TOPIC, 0, at(2**41, 1, "a"), "a", b"late")
        assert store.open(P, TOPIC, 0, log, 0) == Checkpoint(epoch=2, next_offset=10)
        with pytest.raises(LogMismatch):
            store.open(P, TOPIC, 0, LOG, 0)
        assert store.new_epoch(P, TOPIC, log, {0: 0}) == 3

    def test_a_partition_seen_later_joins_the_newest_epoch(self, store: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 5)
        store.new_epoch(P, TOPIC, LOG, {0: 10})
        assert store.open(P, TOPIC, 1, LOG, 7) == Checkpoint(epoch=2, next_offset=7)

    def test_partitions_that_are_gone_do_not_stop_the_others(self, store: PlayStores) -> None:
        for partition in (0, 1):
            store.open(P, TOPIC, partition, LOG, 5)
        smaller = Identity("cluster", "topic-2", 1)
        store.new_epoch(P, TOPIC, smaller, {0: 0})
        assert store.open(P, TOPIC, 0, smaller, 0) == Checkpoint(epoch=2, next_offset=0)
        with pytest.raises(LogMismatch):
            store.open(P, TOPIC, 1, smaller, 0)

    # Checkpoints

    @pytest.mark.parametrize("content", [b"", b"0123456789", random.Random(3).randbytes(3_000_001)], ids=len)
    def test_parts_come_back(self, store: PlayStores, other: PlayStores, content: bytes) -> None:
        store.open(P, TOPIC, 2, LOG, 0)
        store.save(P, TOPIC, 2, at(10, 1, "full"), "full", content)
        assert other.positions(P, TOPIC) == {2: at(10, 1, "full")}
        assert other.parts(P, 2, ["none", "full"]) == [b"", content]
        assert other.parts(P, 3, ["full"]) == [b""]

    def test_a_part_can_shrink_and_grow(self, store: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 0)
        for offset, size in enumerate((2_500_000, 3, 0, 1_000_000, 1_000_001), start=1):
            content = bytes([offset]) * size
            store.save(P, TOPIC, 0, at(offset, 1, "full"), "full", content)
            assert store.parts(P, 0, ["full"]) == [content]

    def test_parts_are_read_in_the_order_of_their_names(self, store: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 0)
        for offset, name in enumerate(("a", "b", "c"), start=1):
            store.save(P, TOPIC, 0, at(offset, 1, name), name, name.encode())
        assert store.parts(P, 0, ["c", "a", "b"]) == [b"c", b"a", b"b"]
        assert store.parts(P, 0, []) == []

    def test_the_same_save_again_changes_nothing(self, store: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 0)
        for _ in range(2):
            store.save(P, TOPIC, 0, at(10, 1, "a"), "a", b"content")
        assert (store.positions(P, TOPIC), store.parts(P, 0, ["a"])) == ({0: at(10, 1, "a")}, [b"content"])

    def test_an_older_owner_is_fenced_and_leaves_no_trace(self, store: PlayStores, other: PlayStores) -> None:
        store.open(P, TOPIC, 0, LOG, 0)
        store.save(P, TOPIC, 0, at(200, 1, "a"), "a", b"new")
        with pytest.raises(Fenced, match=r"behavior[.]plays/0 has a checkpoint beyond 100"):
            other.save(P, TOPIC, 0, at(100, 1, "a"), "a", b"late" * 1_000_000)
        assert (store.positions(P, TOPIC), store.parts(P, 0, ["a"])) == ({0: at(200, 1, "a")}, [b"new"])

    def test_a_partition_that_was_never_opened_cannot_be_saved(self, store: PlayStores) -> None:
        with pytest.raises(Fenced):
            store.save(P, TOPIC, 0, at(10, 1, "a"), "a", b"")
        assert store.positions(P, TOPIC) == {}

    # Tables, threads

    def test_creating_twice_keeps_what_is_there(self, store: PlayStores, other: PlayStores) -> None:
        store.put(0, NEW, {1: (2, 20)}, HIGH)
        other.create()
        other.ping()
        assert store.rows([1]) == {1: PlayRow(2, 20, NEW)}

    def test_several_may_create_at_once(self, make: Make) -> None:
        stores = [make() for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda store: store.create(), stores))
        assert [store.rows([1]) for store in stores] == [{}] * 4
        for store in stores:
            store.close()

    def test_threads_get_the_answers_to_their_own_questions(self, store: PlayStores) -> None:
        def work(thread: int) -> None:
            for turn in range(25):
                video_id, stamp = 1 + thread * 1000 + turn, stamp_of(1, turn + 1)
                store.put(thread, stamp, {video_id: (thread, turn)}, Top(((video_id, turn),)))
                assert store.rows([video_id]) == {video_id: PlayRow(thread, turn, stamp)}
                assert store.tops()[thread] == Top(((video_id, turn),))

        with ThreadPoolExecutor(6) as threads:
            list(threads.map(work, range(6)))

    def test_a_store_can_be_used_after_close(self, store: PlayStores) -> None:
        store.put(0, NEW, {1: (2, 20)}, None)
        store.close()
        assert store.rows([1]) == {1: PlayRow(2, 20, NEW)}
