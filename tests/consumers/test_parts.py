"""Parts that are newer than the checkpoint: the owner died between the two, and another goes on from before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consumers import parts
from consumers.plays import PartitionFold, Plays
from consumers.sessions import BUCKET_MS, KEPT_BUCKETS, Sessions
from models.eventlog.port import Identity
from models.stores.port import Checkpoint
from tests.consumers.fakes import Cells, MemoryPlays
from tests.consumers.making import MadeRecord, ping, plain_fold

LOG = Identity("cluster", "topic", 1)
S, T, OTHER = 1, 2, 3


class Died(Exception):  # noqa: N818 -- it is no error here
    """The owner ends at this point."""


class DiesInSave(MemoryPlays):
    """The part is written, the checkpoint is not."""

    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        self._write(("part", projection, partition, part), checkpoint.epoch << 48 | checkpoint.next_offset, content)
        raise Died


def beats(*what: tuple[int, int, int]) -> list[MadeRecord]:
    """Records of (session, bucket, play_time); each session has a video of its own."""
    begin = 80_000
    return [ping(o, (begin + bucket) * BUCKET_MS, s, s, seconds) for o, (s, bucket, seconds) in enumerate(what)]


def relay(log: list[MadeRecord], *legs: tuple[int, bool]) -> dict[int, tuple[int, int]]:
    """Owner after owner folds one batch of so many records, and dies in its save or not; one more folds the rest."""
    cells = Cells()
    for size, dies in legs:
        projection = Plays(DiesInSave(cells) if dies else MemoryPlays(cells), MemoryPlays(cells))
        position = projection.open(0, LOG, 0).next_offset
        try:
            projection.apply(0, log[position : position + size])
        except Died:
            assert dies
    store = MemoryPlays(cells)
    projection = Plays(store, store)
    projection.apply(0, log[projection.open(0, LOG, 0).next_offset :])
    return {video_id: (row.times, row.duration) for video_id, row in store.rows({S, T, OTHER}).items()}


ONE = (1, False)

# The third owner's snapshot is newer than the checkpoint that the fourth writes and names it in.
# In it S is forgotten, though a heartbeat of S is still to be folded by those who come after the fourth.
FORGOTTEN = beats((S, 0, 10), (OTHER, 0, 0), (OTHER, 0, 1), (S, 3, 10), (T, 10, 1))
# In it S has moved to a later bucket than that of the heartbeat that comes next.
MOVED = beats((S, 0, 10), (OTHER, 0, 0), (OTHER, 0, 1), (OTHER, 0, 2), (S, 0, 10), (S, 1, 10))


@pytest.fixture
def _snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_DELTAS", 0)


@pytest.mark.usefixtures("_snapshots")
@pytest.mark.parametrize("log", [FORGOTTEN, MOVED], ids=["forgotten", "moved"])
def test_a_snapshot_newer_than_the_checkpoint_changes_nothing(log: list[MadeRecord]) -> None:
    assert relay(log, ONE, ONE, (len(log), True), ONE, ONE) == plain_fold(log).rows


def forgets_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = Sessions.everything

    def alive(self: Sessions) -> list[tuple[int, dict[bytes, int]]]:
        return [(b, g) for b, g in everything(self) if b >= self.bucket - KEPT_BUCKETS]

    monkeypatch.setattr(Sessions, "everything", alive)


def folds_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = PartitionFold.fold

    def without_skip(self: PartitionFold, found: Any) -> None:
        self._skip_below = 0
        fold(self, found)

    monkeypatch.setattr(PartitionFold, "fold", without_skip)


def snapshots_while_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    save = PartitionFold._save

    def forced(self: PartitionFold, next_offset: int, last_event_id: str) -> None:
        self._sessions.skip.clear()
        save(self, next_offset, last_event_id)

    monkeypatch.setattr(PartitionFold, "_save", forced)


@pytest.mark.usefixtures("_snapshots")
@pytest.mark.parametrize(
    ("mutate", "log"), [(forgets_at_once, FORGOTTEN), (folds_again, MOVED), (snapshots_while_ahead, MOVED)]
)
def test_each_protection_is_needed(
    mutate: Callable[[pytest.MonkeyPatch], None], log: list[MadeRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert relay(log, ONE, ONE, (len(log), True), ONE, ONE) != plain_fold(log).rows


def test_the_bucket_is_the_one_at_the_checkpoint_also_when_the_part_goes_further() -> None:
    sessions = Sessions()
    for offset, bucket in ((3, 7), (5, 9), (8, 20)):
        sessions.advance(offset, bucket * BUCKET_MS)
    content = parts.encode(sessions, 0, 10, snapshot=True)
    assert [parts.restore([content], at).bucket for at in (0, 3, 4, 6, 8, 9, 10)] == [0, 0, 7, 9, 9, 20, 20]


@pytest.mark.parametrize("ends", [[(0, 5), (6, 9)], [(0, 5), (5, 8)]], ids=["hole", "short"])
def test_parts_with_a_hole_are_refused(ends: list[tuple[int, int]]) -> None:
    contents = [parts.encode(Sessions(), base, end, snapshot=False) for base, end in ends]
    with pytest.raises(parts.Torn):
        parts.restore(contents, 9)


def test_an_absent_part_is_refused() -> None:
    with pytest.raises(parts.Torn):
        parts.restore([b""], 9)


def test_deltas_are_read_until_they_outweigh_their_snapshot() -> None:
    ring, written = parts.Ring(), []
    for _ in range(200):
        snapshot = ring.snapshot_due()
        part, names = ring.next(snapshot)
        ring.written(names, 6_400 if snapshot else 100)
        written.append(part)
        assert names[-1] == part
    assert [part for part in written if len(part) == 1] == ["a", "b", "a", "b"]
    assert written[1] == "a000"
    assert written[66] == "b000"
