"""Fills a topic with millions of events in about a minute: whole batches, without the writer of the product."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from models import events
from models.eventlog.port import partition_for

VIDEOS: Final = 10_000
USERS: Final = 500_000
BEATS: Final = 10
"""Heartbeats of a play session."""

SPAN_MS: Final = 48 * 3_600_000
"""The events are spread over two days: sessions are remembered for one."""

BEGIN_MS: Final = 1_790_000_000_000
BATCH_BYTES: Final = 500_000


async def fill(servers: str, topic: str, count: int) -> None:
    """Append ``count`` heartbeats or reactions, in the order of time, to the partitions that their keys have."""
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", compression_type="lz4", max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        partitions = len(await producer.partitions_for(topic))
        make = _plays if topic == events.PLAYS else _reactions
        batches: dict[int, Any] = {}
        for key, value, headers, ms in make(count):
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


Made = tuple[bytes, bytes, list[tuple[str, bytes]], int]


def _plays(count: int) -> Iterator[Made]:
    """Sessions of ten heartbeats, some thousands of them side by side."""
    rng = random.Random(1)
    alive = [_session(rng) for _ in range(5_000)]
    for n in range(count):
        at = rng.randrange(len(alive))
        session, video, seq = alive[at]
        alive[at] = _session(rng) if seq + 1 == BEATS else (session, video, seq + 1)
        fields = f'"video_id":{video},"session":"{session}","seq":{seq},"play_time":{15 * seq},"cur_time":{15 * seq}'
        kind = "start" if seq == 0 else "ping"
        yield _event(n, count, kind, f"/video/play/{video}", rng.randint(1, USERS), fields, b"%d" % video)


def _session(rng: random.Random) -> tuple[str, int, int]:
    return str(uuid.UUID(int=rng.getrandbits(128))), rng.randint(1, VIDEOS), 0


def _reactions(count: int) -> Iterator[Made]:
    rng = random.Random(2)
    for n in range(count):
        user, video = rng.randint(1, USERS), rng.randint(1, VIDEOS)
        kind = "like" if rng.random() < 0.8 else "no_like"
        yield _event(n, count, kind, f"/video/like/{video}", user, f'"video_id":{video}', b"%d" % user)


def _event(n: int, count: int, kind: str, url: str, user: int, fields: str, key: bytes) -> Made:
    """As the gateway writes it, with an id that ascends; put together as text, which is faster than by Struct."""
    ms = BEGIN_MS + n * SPAN_MS // count
    event_id = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{n:012x}"
    time = _rfc3339(ms)
    value = (
        f'{{"event":"{kind}","event_id":"{event_id}","occurred_at":"{time}","schema":1,"user_id":{user},'
        f'"url":"{url}","method":"post","msg":"a test of memory",{fields}}}'
    )
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", f"playtrail.{kind}".encode()),
        ("ce_source", url.encode()),
        ("ce_time", time.encode()),
        ("content-type", b"application/json"),
    ]
    return key, value.encode(), headers, ms


_seconds: dict[int, str] = {}


def _rfc3339(ms: int) -> str:
    second = ms // 1000
    if second not in _seconds:
        _seconds.clear()
        _seconds[second] = events.rfc3339(second * 1000)[:-4]
    return f"{_seconds[second]}{ms % 1000:03d}Z"
