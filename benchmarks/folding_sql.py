"""
Two plain ways to write reactions into MariaDB, beside ours; nothing here counts likes or is exactly once.

``python -m benchmarks.folding_sql naive DATABASE_URL EVENTS FOLDER SERVERS`` reads the log and writes each event by an
upsert of its own, committed; ``… bare DATABASE_URL EVENTS FOLDER`` upserts rows made beforehand, 5,000 in a transaction
on one connection, and reads no log. The answer is FOLDER/result.json.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import create_engine, text

from benchmarks.folding_log import PARTITIONS
from models import events
from models.stores.sql import SqlStore
from models.stores.sql_upsert import newest
from models.tables import content_like

BATCH: Final = 5_000
USERS: Final = 500_000
VIDEOS: Final = 10_000
UPSERT: Final = newest(content_like, ["status", "updated_at"], guard="event_id").for_server
Row: TypeAlias = dict[str, Any]
Usage: TypeAlias = tuple[float, float]
"""Wall and processor seconds so far."""


def usage() -> Usage:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), used.ru_utime + used.ru_stime


async def naive(servers: str, count: int, write: Callable[[Row], None]) -> Usage:
    """Read the log from its beginning and hand ``count`` rows on; returns the usage when the first was there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(events.REACTIONS, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        begun, left = None, count
        while left:
            found = await consumer.getmany(timeout_ms=1000, max_records=min(left, BATCH))
            begun = begun or (usage() if found else None)
            for records in found.values():
                for record in records:
                    write(row_of(orjson.loads(record.value), record.timestamp))
                left -= len(records)
        assert begun is not None
        return begun
    finally:
        await consumer.stop()


def row_of(event: Row, at_ms: int) -> Row:
    """The row of content_like."""
    return {
        "user_id": event["user_id"],
        "content_id": event["video_id"],
        "status": int(event["event"] == "like"),
        "event_id": event["event_id"],
        "updated_at": at_ms,
    }


def made_rows(count: int) -> list[Row]:
    """Rows of random users and videos, as the log has them; each 5,000 in the order of the primary key."""
    rng = random.Random(2)
    rows = [
        {
            "user_id": rng.randint(1, USERS),
            "content_id": rng.randint(1, VIDEOS),
            "status": 1,
            "event_id": str(uuid.UUID(int=number)),
            "updated_at": number,
        }
        for number in range(count)
    ]
    pieces = (rows[at : at + BATCH] for at in range(0, count, BATCH))
    return [row for piece in pieces for row in sorted(piece, key=lambda row: (row["user_id"], row["content_id"]))]


def main(kind: str, url: str, count: int, folder: Path, servers: Sequence[str]) -> None:
    store = SqlStore(url)
    store.create()
    store.close()
    engine = create_engine(url)
    rows = made_rows(count) if kind == "bare" else []
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))

        def write(some: Row | list[Row]) -> None:
            connection.execute(UPSERT, some)
            connection.commit()

        if kind == "naive":
            begun = asyncio.run(naive(servers[0], count, write))
        else:
            begun = usage()
            for at in range(0, count, BATCH):
                write(rows[at : at + BATCH])
        ended = usage()
    engine.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {"seconds": ended[0] - begun[0], "cpu": ended[1] - begun[1], "peak": peak}
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
