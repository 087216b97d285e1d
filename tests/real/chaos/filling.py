"""Fills a topic with millions of events in about a minute: whole batches, without the writer of the product."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer

from models import events
from models.eventlog.port import partition_for

VIDEOS: Final = 10_000
USERS: Final = 500_000
BEATS: Final = 10
"""Heartbeats of a play session."""

ALIVE: Final = 5_000
"""Sessions that play side by side."""

SPAN_MS: Final = 48 * 3_600_000
"""The events are spread over two days: sessions are remembered for one."""

BEGIN_MS: Final = 1_790_000_000_000
BATCH_BYTES: Final = 500_000


class Made(NamedTuple):
    """One record to be; ``ms`` is its time."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    ms: int


class Span(NamedTuple):
    """When the events happened: evenly over ``length_ms`` from ``begin_ms`` on."""

    begin_ms: int = BEGIN_MS
    length_ms: int = SPAN_MS


async def fill(servers: str, topic: str, count: int) -> None:
    """Append ``count`` heartbeats or reactions, in the order of time, to the partitions that their keys have."""
    await append(servers, topic, plays(count) if topic == events.PLAYS else reactions(count))


async def append(servers: str, topic: str, made: Iterable[Made]) -> None:
    """Append records, in the order of time, to the partitions that their keys have."""
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", compression_type="lz4", max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        partitions = len(await producer.partitions_for(topic))
        batches: dict[int, Any] = {}
        for key, value, headers, ms in made:
            partition = partition_for(key, partitions)
            batch = batches.get(partition) or batches.setdefault(partition, producer.create_batch())
            if batch.append(key=key, value=value, timestamp=ms, headers=headers) is None:
                await _send(producer, batch, topic, partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(key=key, value=value, timestamp=ms, headers=headers)
        await asyncio.gather(*(_send(producer, batch, topic, p) for p, batch in batches.items()))
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> None:
    batch.close()
    await (await producer.send_batch(batch, topic, partition=partition))


def plays(
    count: int,
    *,
    videos: int = VIDEOS,
    beats: int = BEATS,
    zipf: bool = False,
    span: Span | None = None,
    seed: int = 1,
) -> Iterator[Made]:
    """
    Heartbeats of sessions that play side by side, each of ``beats`` heartbeats 15 s apart.

    With ``zipf`` the n-th video is watched 1/n as often as the first, else all equally. Another ``seed`` gives other
    sessions.
    """
    rng = random.Random(seed)
    begun = _sessions(rng, videos, zipf)
    alive = [next(begun) for _ in range(min(ALIVE, max(1, count // beats)))]
    for n in range(count):
        at = rng.randrange(len(alive))
        session, video, seq = alive[at]
        alive[at] = next(begun) if seq + 1 == beats else (session, video, seq + 1)
        fields = f'"video_id":{video},"session":"{session}","seq":{seq},"play_time":{15 * seq},"cur_time":{15 * seq}'
        kind = "start" if seq == 0 else "ping"
        yield _event(n, count, span, kind, f"/video/play/{video}", rng.randint(1, USERS), fields, b"%d" % video)


def _sessions(rng: random.Random, videos: int, zipf: bool) -> Iterator[tuple[str, int, int]]:
    """(session, video, 0) for ever; videos are drawn by the thousand, which is ten times faster than one by one."""
    weights = list(accumulate(1 / n if zipf else 1.0 for n in range(1, videos + 1)))
    while True:
        for video in rng.choices(range(1, videos + 1), cum_weights=weights, k=1000):
            yield str(uuid.UUID(int=rng.getrandbits(128))), video, 0


def reactions(count: int, *, span: Span | None = None) -> Iterator[Made]:
    """Likes of random users on random videos; one in five takes a like back."""
    rng = random.Random(2)
    for n in range(count):
        user, video = rng.randint(1, USERS), rng.randint(1, VIDEOS)
        kind = "like" if rng.random() < 0.8 else "no_like"
        yield _event(n, count, span, kind, f"/video/like/{video}", user, f'"video_id":{video}', b"%d" % user)


def _event(n: int, count: int, span: Span | None, kind: str, url: str, user: int, fields: str, key: bytes) -> Made:
    """As the gateway writes it, with an id that ascends; put together as text, which is faster than by Struct."""
    begin, length = span or Span()
    ms = begin + n * length // count
    event_id = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{n:012x}"
    time = _rfc3339(ms)
    value = (
        f'{{"event":"{kind}","event_id":"{event_id}","occurred_at":"{time}","schema":1,"user_id":{user},'
        f'"url":"{url}","method":"post","msg":"a measurement",{fields}}}'
    )
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", f"playtrail.{kind}".encode()),
        ("ce_source", url.encode()),
        ("ce_time", time.encode()),
        ("content-type", b"application/json"),
    ]
    return Made(key, value.encode(), headers, ms)


_seconds: dict[int, str] = {}


def _rfc3339(ms: int) -> str:
    second = ms // 1000
    if second not in _seconds:
        _seconds.clear()
        _seconds[second] = events.rfc3339(second * 1000)[:-4]
    return f"{_seconds[second]}{ms % 1000:03d}Z"
