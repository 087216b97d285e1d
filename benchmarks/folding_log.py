"""Backlogs in real Kafka, and what a plain fold in Python makes of the same events."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from models import events
from tests.real.chaos import filling

EVENTS: Final = int(os.environ.get("BENCH_EVENTS", "1000000"))
"""Plays to fold; BENCH_EVENTS changes it for a quick look."""

VIDEOS: Final = 10_000
BEATS: Final = 3
"""Heartbeats of a session: there are a third as many sessions as events."""

PARTITIONS: Final = 6
HOUR_MS: Final = 3_600_000

Totals: TypeAlias = dict[int, tuple[int, int]]
"""By video: plays, and seconds watched."""


class Backlog(NamedTuple):
    """Plays in a topic, and what folding them must give."""

    servers: str
    topic: str
    events: int
    totals: Totals


async def plays(servers: str, topic: str, count: int) -> Backlog:
    """Append heartbeats over 10,000 videos by Zipf's law, of the hour that ends now."""
    fold = PlaysFold()
    made = filling.plays(count, videos=VIDEOS, beats=BEATS, zipf=True, span=last_hour())
    await filling.append(servers, topic, watched(made, fold.add))
    return Backlog(servers, topic, count, fold.totals())


async def reactions(servers: str, count: int) -> Mapping[int, int]:
    """Append likes of random users on random videos; returns the number of likes that each video must have."""
    fold = ReactionsFold()
    await filling.append(servers, events.REACTIONS, watched(filling.reactions(count, span=last_hour()), fold.add))
    return fold.likes()


def last_hour() -> filling.Span:
    """Sessions are forgotten after a day of the log; a fold that keeps all must see none of that."""
    return filling.Span(time.time_ns() // 1_000_000 - HOUR_MS, HOUR_MS)


async def make_topic(servers: str, name: str) -> None:
    """A topic beside ours, with as many partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    finally:
        await admin.close()


def watched(made: Iterable[filling.Made], add: Callable[[Any], None]) -> Iterator[filling.Made]:
    """The same records; each event is shown to ``add`` as it was decoded from its bytes."""
    for one in made:
        add(orjson.loads(one.value))
        yield one


class PlaysFold:
    """Two dictionaries."""

    def __init__(self) -> None:
        self._longest: dict[tuple[int, str], int] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        session = event["video_id"], event["session"]
        self._longest[session] = max(self._longest.get(session, 0), event["play_time"])

    def totals(self) -> Totals:
        """A play for each session, and the largest play_time of each."""
        found: Totals = {}
        for (video, _), seconds in self._longest.items():
            plays, watched = found.get(video, (0, 0))
            found[video] = plays + 1, watched + seconds
        return found


class ReactionsFold:
    """Who likes what, by the newest event."""

    def __init__(self) -> None:
        self._newest: dict[tuple[int, int], tuple[str, int]] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        pair, said = (event["user_id"], event["video_id"]), (event["event_id"], int(event["event"] == "like"))
        self._newest[pair] = max(self._newest.get(pair, said), said)

    def likes(self) -> Mapping[int, int]:
        """The number of users who like each video; videos without any are absent."""
        found: dict[int, int] = {}
        for (_, video), (_, liked) in self._newest.items():
            if liked:
                found[video] = found.get(video, 0) + 1
        return found
