"""What the lag is, by other means than the model's: what was appended, and what the SQL server says was folded."""

from __future__ import annotations

import asyncio
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.eventlog.port import EventWriter
from models.events import REACTIONS, Like
from models.lag.report import PartitionLag
from tests.consumers.making import message
from tests.real.install import KAFKA_LIB
from tests.real.kafka import Kafka
from tests.real.mariadb import MariaDB
from tests.real.processes import java

TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


class Load:
    """
    Appends likes of changing users, and knows the time of each record.

    Attributes:
        times: Milliseconds by partition and offset.
        started: How many appends were begun.
    """

    def __init__(self, writer: EventWriter) -> None:
        self.times: dict[int, dict[int, int]] = defaultdict(dict)
        self.started = 0
        self._writer = writer

    async def append(self, count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._one())

    async def _one(self) -> None:
        self.started += 1
        made = message(Like, user=self.started % 100 + 1, video_id=self.started % 9 + 1)
        position = await self._writer.append(made)
        self.times[position.partition][position.offset] = made.timestamp

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Some 200 records a second inside of the block, one after the other."""

        async def run() -> None:
            while not ended.is_set():
                await self._one()
                await asyncio.sleep(0.005)

        ended = asyncio.Event()
        task = asyncio.create_task(run())
        try:
            yield
        finally:
            ended.set()
            await task

    def ends(self) -> dict[int, int]:
        """The end of each partition that has a record."""
        return {partition: max(offsets) + 1 for partition, offsets in self.times.items()}


def folded(mariadb: MariaDB, url: str) -> dict[int, int]:
    """The position of the reactions in each partition, as the server has it."""
    connection = mariadb.connect()
    try:
        with connection.cursor() as cursor:
            table = f"`{url.rpartition('/')[2]}`.consumer_offset"
            cursor.execute(f"SELECT partition_id, next_offset FROM {table} WHERE projection = 'reactions'")
            return dict(cursor.fetchall())
    finally:
        connection.close()


def described(kafka: Kafka, group: str) -> dict[int, tuple[int, int, int]]:
    """By partition of behavior.reactions: CURRENT-OFFSET, LOG-END-OFFSET and LAG of Kafka's own tool."""
    command = java(
        KAFKA_LIB, TOOL, "--bootstrap-server", kafka.address, "--describe", "--group", group, heap="256m", quick=True
    )
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [line.split() for line in output.splitlines() if f" {REACTIONS} " in line]
    return {int(row[2]): (int(row[3]), int(row[4]), int(row[5])) for row in rows}


def triple(lag: PartitionLag) -> tuple[int | None, int, int | None]:
    """A partition of the model, as ``described`` has it."""
    return lag.position, lag.end, lag.lag
