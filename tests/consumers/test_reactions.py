"""Reactions and views into SQL, exactly once: whatever fails or comes late, the tables are a plain fold of the log."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from consumers.port import Projection
from consumers.reactions import Reactions
from consumers.views import Views
from models import events
from models.errors import Fenced, Unavailable
from models.eventlog.port import Identity
from models.stores.port import Advance, Checkpoint, DeadLetter, Kind, Reaction, ReactionSink, ViewSink
from models.stores.sql import SqlStore
from tests.consumers.making import BEGIN, MadeRecord, event_id

LOG = Identity("cluster", "topic", 1)
VIDEOS = range(1, 10)


class Unreliable(ReactionSink, ViewSink):
    """A sink whose connection breaks before or after the call; what it was asked is kept, to be sent again late."""

    def __init__(self, sink: SqlStore, rng: random.Random) -> None:
        self._sink, self._rng = sink, rng
        self.late: list[Callable[[], None]] = []

    def open(self, projection: str, topic: str, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        return self._sink.open(projection, topic, partition, identity, earliest)

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        return self._sink.positions(projection, topic)

    def new_epoch(self, projection: str, topic: str, identity: Identity, starts: Mapping[int, int]) -> int:
        return self._sink.new_epoch(projection, topic, identity, starts)

    def apply_reactions(self, step: Advance, reactions: Sequence[Reaction], dead: Sequence[DeadLetter] = ()) -> None:
        self._call(lambda: self._sink.apply_reactions(step, reactions, dead))

    def apply_clicks(self, step: Advance, clicks: Mapping[int, int], dead: Sequence[DeadLetter] = ()) -> None:
        self._call(lambda: self._sink.apply_clicks(step, clicks, dead))

    def _call(self, call: Callable[[], None]) -> None:
        what = self._rng.randrange(6)
        if what == 0:
            self.late.append(call)
            raise Unavailable("sql", "broke before")
        call()
        self.late.append(call)
        if what == 1:
            raise Unavailable("sql", "broke after")


def fold(make: Callable[[Any], Projection], sql: SqlStore, log: list[MadeRecord], seed: int) -> None:
    """Fold a log to its end through failures, two owners in turn, and late writes of both."""
    rng = random.Random(seed)
    sink = Unreliable(sql, rng)
    owners = [make(sink), make(sink)]
    at = [owner.open(0, LOG, 0).next_offset for owner in owners]
    while min(at) < len(log):
        number = rng.randrange(2)
        batch = log[at[number] : at[number] + rng.randint(1, 12)]
        try:
            at[number] = owners[number].apply(0, batch).next_offset if batch else at[number]
        except (Unavailable, Fenced):
            at[number] = owners[number].open(0, LOG, 0).next_offset
        if sink.late and rng.random() < 0.2:
            with contextlib.suppress(Fenced):  # one that was never carried out may still fit: then it counts
                rng.choice(sink.late)()
    for late in sink.late:
        with pytest.raises(Fenced):
            late()


def record(topic: str, offset: int, event: events.Event | None) -> MadeRecord:
    value = b"no event" if event is None else events.encode(event)
    return MadeRecord(topic, 0, offset, BEGIN + offset, value)


def made(kind: type[events.Event], number: int, user: int, **fields: Any) -> events.Event:
    common: dict[str, Any] = {"event_id": event_id(number), "occurred_at": "2026-11-24T06:30:00.123Z", "user_id": user}
    return kind(**common, url="/", method="post", msg="", **fields)


def reactions_log(rng: random.Random, size: int) -> list[MadeRecord]:
    """Reactions of few viewers to few videos; some twice, some late, some no events."""
    kinds: list[type[events.Event]] = [
        events.Like,
        events.NoLike,
        events.Collect,
        events.NoCollect,
        events.Follow,
        events.NoFollow,
    ]
    log: list[MadeRecord] = []
    for offset in range(size):
        if offset and rng.random() < 0.15:
            log.append(rng.choice(log)._replace(offset=offset))
            continue
        kind = rng.choice(kinds)
        extra: dict[str, int] = {"followee_id": rng.randint(1, 3)} if kind in (events.Follow, events.NoFollow) else {}
        event = made(kind, rng.randint(0, 500), rng.randint(1, 3), video_id=rng.choice(VIDEOS), **extra)
        log.append(record(events.REACTIONS, offset, event if rng.random() > 0.05 else None))
    return log


def plain_fold(log: list[MadeRecord]) -> dict[tuple[Kind, int, int], int]:
    """Status by (kind, user, target): the largest event_id, the first of equal ones."""
    newest: dict[tuple[Kind, int, int], tuple[str, int]] = {}
    for item in log:
        if item.value == b"no event":
            continue
        event = events.decode_reaction(item.value)
        name = events.name_of(event)
        kind: Any = name.removeprefix("no_")
        target = event.followee_id if isinstance(event, events.Follow | events.NoFollow) else event.video_id
        key = (kind, event.user_id, target)
        if key not in newest or event.event_id > newest[key][0]:
            newest[key] = (event.event_id, int(name == kind))
    return {key: status for key, (_, status) in newest.items()}


@pytest.mark.parametrize("seed", range(8))
def test_reactions_end_as_a_plain_fold_of_the_log(seed: int, sql: SqlStore) -> None:
    log = reactions_log(random.Random(seed), 150)
    fold(Reactions, sql, log, seed)
    truth = plain_fold(log)
    for kind in ("like", "collect", "follow"):
        expected = {(user, target): status for (k, user, target), status in truth.items() if k == kind}
        assert sql.statuses(kind, [(user, target) for user in range(1, 4) for target in VIDEOS]) == expected
    counts = sql.counts(VIDEOS)
    for video in VIDEOS:
        likes = sum(s for (kind, _, target), s in truth.items() if kind == "like" and target == video)
        collects = sum(s for (kind, _, target), s in truth.items() if kind == "collect" and target == video)
        assert tuple(counts.get(video, (0, 0))) == (likes, collects)
    assert [letter.offset for letter in sql.dead("reactions")] == [r.offset for r in log if r.value == b"no event"]


@pytest.mark.parametrize("seed", range(8))
def test_clicks_end_as_a_plain_fold_of_the_log(seed: int, sql: SqlStore) -> None:
    rng, log = random.Random(seed), list[MadeRecord]()
    for offset in range(150):
        hot = made(events.Hot, offset, 1, video_ids=[1, 2])
        detail = made(events.Detail, offset, 1, video_id=rng.choice(VIDEOS))
        log.append(record(events.VIEWS, offset, rng.choice((hot, detail, detail, detail))))
    fold(Views, sql, log, seed)
    found = [events.decode_view(item.value) for item in log]
    expected = Counter(event.video_id for event in found if isinstance(event, events.Detail))
    assert {video.id: video.clicks for video in sql.videos(VIDEOS).values()} == {v: expected[v] for v in VIDEOS}


def test_an_event_id_that_no_column_takes_is_poison(sql: SqlStore) -> None:
    bad = made(events.Detail, 1, 1, video_id=1)
    value = events.encode(bad).replace(bad.event_id.encode(), ("é" * 36).encode())
    projection = Views(sql)
    projection.open(0, LOG, 0)
    applied = projection.apply(0, [MadeRecord(events.VIEWS, 0, 0, BEGIN, value)])
    assert [letter.error for letter in applied.dead] == [f"event_id is {'é' * 36!r}; allowed: a UUID"]
