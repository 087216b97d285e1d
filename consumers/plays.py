"""
Plays and seconds watched per video, exactly once into a store without transactions.

A partition owns the rows of its videos. A row carries the stamp of the batch that wrote it, and an event is folded
into a row only if its offset is not below that stamp; so folding again from an older checkpoint leaves alone what is
durable already, and completes the rest. Each batch is made durable in this order: dead letters, rows, top list,
checkpoint. Whatever the moment of a crash, the same records lead to the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from consumers import parts
from consumers.deadletters import Limits, checked, decoded, last_id
from consumers.port import Applied, Projection
from consumers.rowcache import RowCache
from consumers.sessions import Session, Sessions
from consumers.topn import TopList
from models import events
from models.clock import Clock, SystemClock
from models.errors import Fenced, LogMismatch, PoisonRecord
from models.eventlog.port import Identity, Record
from models.events import Play
from models.stores.port import Checkpoint, DeadLetter, DeadLetters, PlayStore, Top, stamp_of

CACHED_ROWS: Final = 200_000
"""Rows in memory, all partitions together: about 60 MB."""

_OPEN_ATTEMPTS: Final = 3

IDLE_MS: Final = 1_000
"""
After so long without a flush the stored checkpoint is compared before the next. A store that was set back to an earlier
state meanwhile told nobody; one in use fails while that is done, and then each partition is opened again.
"""


class Plays(Projection):
    """
    See Projection.

    Args:
        store: Rows, top lists and checkpoints.
        dead: Where records go that are no events.
        cached_rows: How many rows are kept in memory between batches.
        clock: Tells when to compare the checkpoint; the fold does not use it.
    """

    name = "plays"
    topic = events.PLAYS

    def __init__(
        self, store: PlayStore, dead: DeadLetters, cached_rows: int = CACHED_ROWS, clock: Clock | None = None
    ) -> None:
        self._store, self._dead = store, dead
        self._cached_rows, self._clock = cached_rows, clock or SystemClock()
        self._open: dict[int, PartitionFold] = {}

    def open(self, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        self.drop(partition)
        store = self._store.pinned()
        for _ in range(_OPEN_ATTEMPTS):
            checkpoint = store.open(self.name, self.topic, partition, identity, earliest)
            # Last first: what another owner writes meanwhile then covers more of what was read before, not less.
            contents = store.parts(self.name, partition, checkpoint.parts[::-1])[::-1]
            try:
                sessions = parts.restore(contents, checkpoint.next_offset)
            except parts.Torn as error:
                torn = error
                continue
            top = store.tops().get(partition, Top())
            ring = parts.Ring(checkpoint.parts, [len(content) for content in contents])
            self._open[partition] = PartitionFold(store, partition, checkpoint, sessions, ring, top)
            self._open[partition].flushed_ms = self._clock.now_ms()
            return checkpoint
        remedy = "playtrail consume plays --new-epoch"
        raise LogMismatch(f"sessions of plays, partition {partition}: {torn}; to go on without them: {remedy}")

    def fold(self, partition: int, records: Sequence[Record]) -> None:
        fold = self._open[partition]
        found, dead = decoded(self.name, records, decode, fold.limits)
        fold.fold(found)
        fold.dead += dead
        last = last_id(records[-1], [(r, event) for r, (event, _) in found[-1:]])
        fold.folded = records[-1].offset + 1, last

    def flush(self, partition: int) -> Applied:
        fold, now = self._open[partition], self._clock.now_ms()
        if now - fold.flushed_ms >= IDLE_MS:
            fold.compare()
        fold.flushed_ms = now
        dead, fold.dead = fold.dead, []
        if dead:
            self._dead.put_dead(dead)
        fold.flush(*fold.folded)
        fold.rows.shrink(self._cached_rows // max(1, len(self._open)))
        return Applied(fold.checkpoint.next_offset, dead)

    def drop(self, partition: int) -> None:
        self._open.pop(partition, None)


class PartitionFold:
    """
    What one partition has in memory, from opening to dropping.

    Attributes:
        folded: The offset folded next, and the event_id of the record before it.
        dead: Letters of the records since the last flush.
        flushed_ms: When that was.
    """

    def __init__(
        self, store: PlayStore, partition: int, checkpoint: Checkpoint, sessions: Sessions, ring: parts.Ring, top: Top
    ) -> None:
        self.checkpoint, self.limits = checkpoint, Limits()
        self.folded = checkpoint.next_offset, checkpoint.last_event_id
        self.dead: list[DeadLetter] = []
        self.flushed_ms = 0
        self.rows = RowCache(store, checkpoint.epoch)
        self._store, self._partition = store, partition
        self._sessions, self._ring = sessions, ring
        self._skip_below = max(sessions.skip.values(), default=0)
        self._top, self._by_times, self._by_duration = top, TopList(top.by_times), TopList(top.by_duration)

    def fold(self, found: Sequence[tuple[Record, tuple[Play, Session]]]) -> None:
        """Fold a batch in memory."""
        self._offer(self.rows.load({event.video_id for _, (event, _) in found}))
        rows, sessions = self.rows, self._sessions
        advance, observe, add = sessions.advance, sessions.observe, rows.add
        for record, (event, session) in found:
            offset = record.offset
            advance(offset, record.timestamp)
            if offset < self._skip_below and offset < sessions.skip.get(session, 0):
                rows.ahead = True
                continue
            plays, seconds = observe(session, event.play_time)
            if plays or seconds:
                add(event.video_id, offset, plays, seconds)
        self._offer(rows.changed)

    def compare(self) -> None:
        """Raises Fenced when the store's checkpoint is not the one written last."""
        stored = self._store.positions(Plays.name, Plays.topic).get(self._partition)
        if stored != self.checkpoint:
            where = f"at {stored.next_offset} in epoch {stored.epoch}" if stored else "without a checkpoint"
            raise Fenced(f"plays: the store is {where}, not at {self.checkpoint.next_offset} as it was left")

    def flush(self, next_offset: int, last_event_id: str) -> None:
        """Make everything before ``next_offset`` durable: rows and top, then the sessions with the checkpoint."""
        stamp = stamp_of(self.checkpoint.epoch, next_offset)
        top = Top(by_times=self._by_times.pairs(), by_duration=self._by_duration.pairs())
        # Rows that were ahead may be in another owner's top list of this very stamp: then ours has to be there too.
        new_top = top if top != self._top or self.rows.ahead else None
        if self.rows.changed or new_top:
            self._store.put(self._partition, stamp, self.rows.values(), new_top)
        self._top = top
        self.rows.written()
        self._save(next_offset, last_event_id)

    def _save(self, next_offset: int, last_event_id: str) -> None:
        if next_offset >= self._skip_below:
            self._sessions.skip.clear()
        # While a newer part is in use no snapshot: it would take the newer sessions for those of its own offset.
        snapshot = not self._ring.names or (not self._sessions.skip and self._ring.snapshot_due())
        content = parts.encode(self._sessions, self.checkpoint.next_offset, next_offset, snapshot)
        part, names = self._ring.next(snapshot)
        saved = Checkpoint(
            epoch=self.checkpoint.epoch, next_offset=next_offset, last_event_id=last_event_id, parts=names
        )
        self._store.save(Plays.name, Plays.topic, self._partition, saved, part, content)
        self._ring.written(names, len(content))
        self._sessions.saved()
        self.checkpoint = saved

    def _offer(self, videos: Iterable[int]) -> None:
        for video_id in videos:
            times, duration = self.rows.value(video_id)
            self._by_times.offer(video_id, times)
            self._by_duration.offer(video_id, duration)


def decode(value: bytes) -> tuple[Play, Session]:
    """The event in a record of behavior.plays and its session's bytes; raises PoisonRecord."""
    event = checked(events.decode_play(value))
    try:
        session = bytes.fromhex(event.session.replace("-", ""))
    except ValueError:
        session = b""
    if len(session) != 16:
        raise PoisonRecord("session", event.session, "a UUID")
    return event, session
