"""
Play sessions of one partition: how many seconds of each have been counted, until it is forgotten.

Time is what the records say: the *watermark* is the largest record timestamp so far, and a *bucket* is six hours of
it. A session that was not touched for more than four buckets is forgotten; a heartbeat that comes later starts a new
play. Bucket numbers at the event decide, never the moment at which memory is freed, so that the fold depends on the
log alone and not on where batches end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

BUCKET_MS: Final = 6 * 3_600_000
KEPT_BUCKETS: Final = 4

Session: TypeAlias = bytes
"""The 16 bytes of the session's UUID: a third of the memory of its text."""


class Sessions:
    """
    The sessions in generations: ``{bucket of the last touch: {session: largest play_time in seconds}}``.

    Attributes:
        bucket: Bucket of the watermark.
        rises: (offset, bucket) of each record since ``saved`` that raised the bucket.
        touched: By bucket, sessions that changed since ``saved``; one may have gone on to a later bucket.
        skip: Sessions that were loaded from a part newer than the checkpoint: below this offset their heartbeats
            are in the part already.
    """

    def __init__(self) -> None:
        self.bucket = 0
        self.rises: list[tuple[int, int]] = []
        self.touched: defaultdict[int, set[Session]] = defaultdict(set)
        self.skip: dict[Session, int] = {}
        self._generations: dict[int, dict[Session, int]] = {0: {}}
        self._now = self._generations[0]
        self._older: list[tuple[bool, dict[Session, int]]] = []  # latest first; whether it still counts
        self._touched_now = self.touched[0]
        self._saved_bucket = 0

    def advance(self, offset: int, timestamp: int) -> None:
        """Move the watermark to a record's timestamp in milliseconds; an earlier one changes nothing."""
        bucket = timestamp // BUCKET_MS
        if bucket > self.bucket:
            self.rises.append((offset, bucket))
            self._enter(bucket)

    def observe(self, session: Session, play_time: int) -> tuple[int, int]:
        """Count a heartbeat; returns (new plays, new seconds): (1, play_time) for a session not known."""
        now = self._now
        known = now.get(session)
        if known is not None:
            if play_time <= known:
                return 0, 0
            now[session] = play_time
            self._touched_now.add(session)
            return 0, play_time - known
        self._touched_now.add(session)
        known = self._take_older(session)
        if known is None:
            now[session] = play_time
            return 1, play_time
        now[session] = max(known, play_time)
        return 0, now[session] - known

    def saved(self) -> None:
        """
        All changes are durable: begin to collect anew, and free what is forgotten.

        Not earlier: a snapshot also holds what its predecessor's watermark had not forgotten, for a reader whose
        checkpoint is older than the snapshot.
        """
        self.rises.clear()
        self.touched.clear()
        self._saved_bucket = self.bucket
        for bucket in [b for b in self._generations if b < self.bucket - KEPT_BUCKETS]:
            del self._generations[bucket]
        self._enter(self.bucket)

    @property
    def saved_bucket(self) -> int:
        """``bucket`` as it was at the last ``saved``."""
        return self._saved_bucket

    def restored(self, bucket: int) -> None:
        """Every part is loaded; the checkpoint stands in this bucket."""
        self._enter(bucket)
        self.saved()

    def load(self, bucket: int, known: Iterable[tuple[Session, int]], first: bool) -> None:
        """Sessions of one generation from a part, in place of what earlier parts said; ``first``: none did."""
        loaded = dict(known)
        if not first:
            for other in self._generations.values():
                for session in loaded.keys() & other.keys():
                    del other[session]
        generation = self._generations.setdefault(bucket, {})
        if generation:
            generation.update(loaded)
        else:
            self._generations[bucket] = loaded

    def everything(self) -> Iterator[tuple[int, dict[Session, int]]]:
        """Each generation; a session stands in the latest that has it."""
        for bucket, generation in sorted(self._generations.items()):
            if generation:
                yield bucket, generation

    def changes(self) -> Iterator[tuple[int, dict[Session, int]]]:
        """What ``everything`` would yield, but only of sessions that changed since ``saved``."""
        for bucket, sessions in sorted(self.touched.items()):
            generation = self._generations[bucket]
            # Sorted, since the order of a set of bytes differs from process to process.
            changed = {s: generation[s] for s in sorted(sessions) if s in generation}
            if changed:
                yield bucket, changed

    def _enter(self, bucket: int) -> None:
        self.bucket = bucket
        self._now = self._generations.setdefault(bucket, {})
        self._touched_now = self.touched[bucket]
        oldest = bucket - KEPT_BUCKETS
        earlier = sorted((b for b in self._generations if b < bucket), reverse=True)
        self._older = [(b >= oldest, self._generations[b]) for b in earlier]

    def _take_older(self, session: Session) -> int | None:
        """Remove a session from an earlier generation; its seconds, if it was not forgotten yet."""
        for counts, generation in self._older:
            known = generation.pop(session, None)
            if known is not None:
                return known if counts else None
        return None
