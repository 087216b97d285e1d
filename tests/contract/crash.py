"""A consumer killed with -9 in the middle of its work: afterwards every count equals a fold of the log."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

import playtrail
from models import events, settings
from models.eventlog.port import EventLog, EventWriter, Message, Record
from models.stores.port import PlayStores, SqlStores
from models.topics import Topics
from tests.running import Process, command, eventually

EACH = 20_000
VIDEOS = 50
USERS = 400


class CrashContract:
    """20,000 likes and 20,000 plays, the consumer killed three times while it folds them."""

    async def test_every_count_equals_a_fold_of_the_log(self, env: dict[str, str]) -> None:
        await command("topics", "apply", env=env)
        config = settings.read(env)
        contract = playtrail.contract_of(config)
        log, sql, plays = playtrail.open_log(config, contract), playtrail.open_sql(config), playtrail.open_plays(config)
        consumer = Process("consume", "--metrics", "127.0.0.1:0", env=env)
        try:
            async with log.writer() as writer:
                await consumer.start()
                writing = asyncio.create_task(_write(writer))
                for share in (0.1, 0.4, 0.7):
                    await _reached(log, sql, plays, contract, share)
                    await consumer.kill9()
                    await consumer.start()
                await writing
            await _reached(log, sql, plays, contract, 1.0)
            await consumer.stop()
            await _compare(log, sql, plays, contract)
        finally:
            await consumer.stop()
            sql.close()
            plays.close()


def _messages() -> Iterator[Message]:
    """Likes and their cancelling, and heartbeats with repeats; in an order that is the same for each run."""
    rng, ids = random.Random(3), events.EventIds()
    sessions = [(str(uuid.UUID(int=rng.getrandbits(128))), rng.randint(1, VIDEOS)) for _ in range(EACH // 8)]
    for _ in range(EACH):
        event_id, ms = ids.next()
        like = rng.random() < 0.6
        common = {"event_id": event_id, "occurred_at": events.rfc3339(ms), "user_id": rng.randint(1, USERS)}
        common |= {"url": "/test", "method": "post", "msg": "test"}
        kind = events.Like if like else events.NoLike
        yield _message(events.REACTIONS, kind(**common, video_id=rng.randint(1, VIDEOS)), ms)  # type: ignore[arg-type]
        session, video = rng.choice(sessions)
        beat = {"session": session, "video_id": video, "seq": rng.randint(0, 9), "play_time": rng.randint(0, 300)}
        common["event_id"] = ids.next()[0]
        yield _message(events.PLAYS, events.Ping(**common, **beat), ms)  # type: ignore[arg-type]


def _message(topic: str, event: events.Event, ms: int) -> Message:
    return Message(topic, events.key_of(event), events.encode(event), events.headers_of(event), ms)


async def _write(writer: EventWriter) -> None:
    pending: set[asyncio.Task[object]] = set()
    for message in _messages():
        pending.add(asyncio.create_task(writer.append(message)))
        if len(pending) >= 200:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)


async def _reached(log: EventLog, sql: SqlStores, plays: PlayStores, contract: Topics, share: float) -> None:
    """Wait until both projections have folded this share of all that will be written."""

    async def check() -> bool:
        done = []
        for name, topic, store in (("reactions", events.REACTIONS, sql), ("plays", events.PLAYS, plays)):
            positions = await asyncio.to_thread(store.positions, name, topic)
            done.append(sum(checkpoint.next_offset for checkpoint in positions.values()))
        return all(n >= share * EACH for n in done)

    await eventually(check, f"{share:.0%} folded", within=120)


async def _records(log: EventLog, topic: str) -> Sequence[Record]:
    """The whole topic; in order within a partition."""
    found: list[Record] = []
    async with log.reader() as reader:
        for partition, (start, end) in (await reader.bounds(topic)).items():
            while start < end:
                batch = await reader.read(topic, partition, start, 5000)
                found += batch
                start = batch[-1].offset + 1
    return found


async def _compare(log: EventLog, sql: SqlStores, plays: PlayStores, contract: Topics) -> None:
    newest: dict[tuple[int, int], tuple[str, int]] = {}
    for record in await _records(log, events.REACTIONS):
        like = events.decode_reaction(record.value)
        key = like.user_id, like.video_id
        newest[key] = max(newest.get(key, ("", 0)), (like.event_id, int(isinstance(like, events.Like))))
    statuses = await asyncio.to_thread(sql.statuses, "like", list(newest))
    assert statuses == {key: status for key, (_, status) in newest.items()}
    likes = Counter(video for (_, video), (_, status) in newest.items() if status)
    counts = await asyncio.to_thread(sql.counts, range(1, VIDEOS + 1))
    assert {video: c.likes for video, c in counts.items() if c.likes} == dict(likes)

    longest: dict[tuple[int, str], int] = {}
    for record in await _records(log, events.PLAYS):
        play = events.decode_play(record.value)
        key2 = play.video_id, play.session
        longest[key2] = max(longest.get(key2, 0), play.play_time)
    times, seconds = Counter(v for v, _ in longest), Counter[int]()
    for (video, _), watched in longest.items():
        seconds[video] += watched
    rows = await asyncio.to_thread(plays.rows, range(1, VIDEOS + 1))
    assert {video: (row.times, row.duration) for video, row in rows.items()} == {
        v: (times[v], seconds[v]) for v in times
    }
    tops = (await asyncio.to_thread(plays.tops)).values()
    best = sorted((pair for top in tops for pair in top.by_duration), key=lambda p: (-p[1], p[0]))[:10]
    assert best == sorted(seconds.items(), key=lambda p: (-p[1], p[0]))[:10]
