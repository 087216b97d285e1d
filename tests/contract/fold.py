"""A plain fold of the whole log, and where the read models differ from it: the judge of the tests that break things."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models import events
from models.eventlog.port import EventLog, Record
from models.stores.port import PlayStores, SqlStores

FOLDED = (("views", events.VIEWS), ("reactions", events.REACTIONS), ("plays", events.PLAYS))
"""Projections and their topics."""

EventKey = tuple[int, int]
"""(user, target) of a reaction."""


@dataclass
class Folded:
    """
    What the log says, by the simplest rules.

    Attributes:
        copies: Records of reactions and plays that repeat an event_id: harmless, but worth counting.
        clicks: Details by video.
        likes: Status by (user, video), of the newest event_id.
        times, seconds: Plays and seconds watched by video, of each session's largest play_time.
        beats: (session, seq) of every heartbeat.
    """

    copies: int = 0
    clicks: Counter[int] = field(default_factory=Counter)
    likes: dict[EventKey, int] = field(default_factory=dict)
    times: Counter[int] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)
    beats: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Difference:
    """
    Where the read models differ from the log.

    Attributes:
        missing: What they lack, as a sum over all counts and rows.
        surplus: What they have too much.
        lines: One for each kind that differs, for a person.
    """

    missing: int = 0
    surplus: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, what: str, want: Mapping[Any, int], have: Mapping[Any, int]) -> None:
        """Compare counts by any key; an absent one is 0."""
        apart = {i: have.get(i, 0) - want.get(i, 0) for i in want.keys() | have.keys()}
        self.missing -= sum(n for n in apart.values() if n < 0)
        self.surplus += sum(n for n in apart.values() if n > 0)
        if any(apart.values()):
            shown = {i: f"{have.get(i, 0)} not {want.get(i, 0)}" for i, n in sorted(apart.items()) if n}
            self.lines.append(f"{what}: {dict(list(shown.items())[:5])} ({len(shown)} differ)")


async def records(log: EventLog, topic: str) -> Sequence[Record]:
    """The whole topic; in order within a partition."""
    async with log.reader() as reader:
        bounds = await reader.bounds(topic)
    # A reader for each partition: one that goes from partition to partition waits a moment at each.
    found = await asyncio.gather(*(_partition(log, topic, p, *bounds[p]) for p in sorted(bounds)))
    return [record for each in found for record in each]


async def _partition(log: EventLog, topic: str, partition: int, start: int, end: int) -> Sequence[Record]:
    found: list[Record] = []
    async with log.reader() as reader:
        while start < end:
            batch = await reader.read(topic, partition, start, 5000)
            found += batch
            start = batch[-1].offset + 1
    return found


async def fold(log: EventLog) -> Folded:
    """Fold all three topics."""
    views, likes, plays = await asyncio.gather(*(records(log, topic) for _, topic in FOLDED))
    folded = Folded()
    for record in views:
        view = events.decode_view(record.value)
        if isinstance(view, events.Detail):
            folded.clicks[view.video_id] += 1
    _fold_likes(folded, likes)
    _fold_plays(folded, plays)
    return folded


def _fold_likes(folded: Folded, found: Iterable[Record]) -> None:
    newest: dict[EventKey, tuple[str, int]] = {}
    seen: set[str] = set()
    for record in found:
        like = events.decode_reaction(record.value)
        folded.copies += like.event_id in seen
        seen.add(like.event_id)
        if isinstance(like, events.Like | events.NoLike):
            key = like.user_id, like.video_id
            newest[key] = max(newest.get(key, ("", 0)), (like.event_id, int(isinstance(like, events.Like))))
    folded.likes = {key: status for key, (_, status) in newest.items()}


def _fold_plays(folded: Folded, found: Iterable[Record]) -> None:
    longest: dict[tuple[int, str], int] = {}
    seen: set[str] = set()
    for record in found:
        play = events.decode_play(record.value)
        folded.copies += play.event_id in seen
        seen.add(play.event_id)
        folded.beats.add((play.session, play.seq))
        key = play.video_id, play.session
        longest[key] = max(longest.get(key, 0), play.play_time)
    for (video, _), watched in longest.items():
        folded.times[video] += 1
        folded.seconds[video] += watched


async def difference(folded: Folded, sql: SqlStores, plays: PlayStores, videos: Sequence[int]) -> Difference:
    """Compare every count, every like and the top lists; ``videos`` are all there are."""
    found = Difference()
    statuses = await asyncio.to_thread(sql.statuses, "like", list(folded.likes))
    # Plus one, so that a row with status 0 is not the same as none.
    rows_of_likes = {key: status + 1 for key, status in folded.likes.items()}
    found.add("likes of viewers", rows_of_likes, {key: status + 1 for key, status in statuses.items()})
    counts = await asyncio.to_thread(sql.counts, videos)
    liked = Counter(video for (_, video), status in folded.likes.items() if status)
    found.add("likes", liked, {video: c.likes for video, c in counts.items()})
    clicked = await asyncio.to_thread(sql.videos, videos)
    if clicked:  # a test without a catalogue has nowhere to count clicks
        found.add("clicks", folded.clicks, {video: v.clicks for video, v in clicked.items()})
    rows = await asyncio.to_thread(plays.rows, videos)
    found.add("plays", folded.times, {video: row.times for video, row in rows.items()})
    found.add("seconds", folded.seconds, {video: row.duration for video, row in rows.items()})
    await _compare_tops(folded, plays, found)
    return found


async def _compare_tops(folded: Folded, plays: PlayStores, found: Difference) -> None:
    tops = (await asyncio.to_thread(plays.tops)).values()
    for what, want, pairs in (
        ("top ten by plays", folded.times, [pair for top in tops for pair in top.by_times]),
        ("top ten by seconds", folded.seconds, [pair for top in tops for pair in top.by_duration]),
    ):
        found.add(what, dict(_ten(want.items())), dict(_ten(pairs)))


def _ten(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:10]


async def ends(log: EventLog) -> dict[str, dict[int, int]]:
    """By projection and partition: the offset that the next append will get."""
    async with log.reader() as reader:
        bounds = {name: await reader.bounds(topic) for name, topic in FOLDED}
    return {name: {p: end for p, (_, end) in of_one.items()} for name, of_one in bounds.items()}


async def behind(wanted: Mapping[str, Mapping[int, int]], sql: SqlStores, plays: PlayStores) -> int:
    """How many offsets the projections still have to fold until they reach ``wanted``, by what their sinks say."""
    lag = 0
    for name, topic in FOLDED:
        store = plays if name == "plays" else sql
        positions = await asyncio.to_thread(store.positions, name, topic)
        reached = {p: checkpoint.next_offset for p, checkpoint in positions.items()}
        lag += sum(max(0, end - reached.get(p, 0)) for p, end in wanted[name].items())
    return lag
