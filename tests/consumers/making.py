"""Logs made from a seed, and what a plain fold makes of them: the truth that projections are compared with."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from models import events
from models.errors import PoisonRecord
from models.eventlog.port import EventWriter, Headers, Message

HOUR = 3_600_000
BEGIN = 1_700_000_000_000


class MadeRecord(NamedTuple):
    """A record; see models.eventlog.port.Record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes
    key: bytes | None = b"1"
    headers: Headers = ()


def event_id(number: int) -> str:
    """Larger for a larger number."""
    return f"01890000-0000-7000-8000-{number:012x}"


def ping(offset: int, timestamp: int, session: int, video: int, play_time: int, partition: int = 0) -> MadeRecord:
    """A heartbeat as a record."""
    event = events.Ping(
        event_id=event_id(offset),
        occurred_at="2026-11-24T06:30:00.123Z",
        user_id=None,
        url=f"/video/play/{video}",
        method="post",
        msg="video ping",
        video_id=video,
        session=str(uuid.UUID(int=session)),
        seq=0,
        play_time=play_time,
    )
    return MadeRecord(events.PLAYS, partition, offset, timestamp, events.encode(event))


def plays_log(seed: int, size: int) -> list[MadeRecord]:
    """
    Heartbeats with repeats, steps back in time and in play_time, and idle times long enough that sessions expire.

    Offsets have gaps, some records are no events. Every other seed has few sessions, repeats and long idle times.
    """
    rng = random.Random(seed)
    many = rng.randint(1, 12)
    idle: tuple[int, ...] = (0, 1_000, 30_000, HOUR, HOUR * 8, HOUR * 31)
    if seed % 2:
        many, idle = rng.choice((1, 2, 2, 3, 6)), (0, 1_000, HOUR * 7, rng.choice((HOUR * 7, HOUR * 13, HOUR * 31)))
    videos = rng.randint(1, 2 * many)
    log: list[MadeRecord] = []
    offset, now = rng.randint(0, 5), BEGIN
    for _ in range(size):
        now += rng.choice(idle)
        session = rng.randint(1, many)
        if rng.random() < 0.03:
            log.append(MadeRecord(events.PLAYS, 0, offset, now, b"no event"))
        else:
            late = rng.choice((0, 0, 0, HOUR * 7))
            log.append(ping(offset, now - late, session, session % videos + 1, rng.choice((0, 5, 10, 300))))
        offset += rng.choice((1, 1, 1, 2))
    return log


class Truth(NamedTuple):
    """(times, duration) by video, and the sessions not forgotten at the end."""

    rows: dict[int, tuple[int, int]]
    sessions: dict[bytes, int]


def plain_fold(log: Sequence[MadeRecord]) -> Truth:
    """Event by event, in the words of the definition."""
    rows: dict[int, tuple[int, int]] = {}
    known: dict[str, tuple[int, int]] = {}
    watermark = 0
    for record in log:
        try:
            event = events.decode_play(record.value)
        except PoisonRecord:
            continue
        watermark = max(watermark, record.timestamp)
        bucket = watermark // (6 * HOUR)
        seconds, touched = known.get(event.session, (0, -1_000))
        new = bucket - touched > 4
        seconds = 0 if new else seconds
        times, duration = rows.get(event.video_id, (0, 0))
        gained = max(0, event.play_time - seconds)
        if new or gained:
            rows[event.video_id] = (times + new, duration + gained)
        known[event.session] = (seconds + gained, bucket)
    alive = {s: v for s, (v, touched) in known.items() if watermark // (6 * HOUR) - touched <= 4}
    return Truth(rows, {uuid.UUID(s).bytes: v for s, v in alive.items()})


def best(rows: dict[int, tuple[int, int]], column: int, size: int = 16) -> tuple[tuple[int, int], ...]:
    """The top list by a column of the rows."""
    ranked = sorted((-values[column], video_id) for video_id, values in rows.items())
    return tuple((video_id, -value) for value, video_id in ranked[:size])


_ids = events.EventIds()


def message(kind: type[events.Event], user: int | None = 1, **fields: object) -> Message:
    """A new event, as the gateway appends it."""
    event_id_, ms = _ids.next()
    common = {"event_id": event_id_, "occurred_at": events.rfc3339(ms), "user_id": user}
    common |= {"url": "/test", "method": "post", "msg": "test"}
    event = kind(**common, **fields)  # type: ignore[arg-type]
    topic = next(name for name, kinds in events.BY_TOPIC.items() if kind in kinds)
    return Message(topic, events.key_of(event), events.encode(event), events.headers_of(event), ms)


def junk(topic: str, key: int) -> Message:
    """A record that is no event."""
    return Message(topic, b"%d" % key, b"junk", [("original", b"header")], BEGIN)


async def append(writer: EventWriter, *messages: Message) -> None:
    """Append in order for each key, side by side, so that they share fsyncs."""
    await asyncio.gather(*(writer.append(made) for made in messages))
