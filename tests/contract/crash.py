"""A consumer killed with -9 in the middle of its work: afterwards every count equals a fold of the log."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator

import playtrail
from models import events, settings
from models.eventlog.port import EventWriter, Message
from models.stores.port import PlayStores, SqlStores
from tests.contract.fold import difference, fold
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
                writing = asyncio.create_task(write(writer))
                for share in (0.1, 0.4, 0.7):
                    await _reached(sql, plays, share)
                    await consumer.kill9()
                    await consumer.start()
                await writing
            await _reached(sql, plays, 1.0)
            await consumer.stop()
            found = await difference(await fold(log), sql, plays, range(1, VIDEOS + 1))
            assert not found.lines
        finally:
            await consumer.stop()
            sql.close()
            plays.close()


def messages() -> Iterator[Message]:
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


async def write(writer: EventWriter) -> None:
    """Append all ``messages``."""
    pending: set[asyncio.Task[object]] = set()
    for message in messages():
        pending.add(asyncio.create_task(writer.append(message)))
        if len(pending) >= 200:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)


async def _reached(sql: SqlStores, plays: PlayStores, share: float) -> None:
    """Wait until both projections have folded this share of all that will be written."""

    async def check() -> bool:
        done = []
        for name, topic, store in (("reactions", events.REACTIONS, sql), ("plays", events.PLAYS, plays)):
            positions = await asyncio.to_thread(store.positions, name, topic)
            done.append(sum(checkpoint.next_offset for checkpoint in positions.values()))
        return all(n >= share * EACH for n in done)

    await eventually(check, f"{share:.0%} folded", within=120)
