"""A member of a Kafka consumer group."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError
from aiokafka.structs import TopicPartition

from models.errors import Unavailable
from models.eventlog.kafka_client import CALL_SECONDS, REQUEST_MS, describe, started, topic_of, translated, within
from models.eventlog.kafka_listener import Assignments
from models.eventlog.port import OnAssigned, OnRevoked, Record, Subscription

log = logging.getLogger(__name__)

SESSION_MS: Final = 30_000
"""A member that was not heard of for this long has lost its partitions."""

REBALANCE_MS: Final = 60_000
"""How long the group waits for a member to give its partitions back."""

FETCH_WAIT_MS: Final = 200
"""How long the broker waits for a record; a new position takes effect after it."""

GATHER_MS: Final = 20
GATHER_BYTES: Final = 65_536
"""
Once records come the broker waits for so many bytes, and so long at most: else nearly every record has a fetch of its
own. At 1,000 events a second the consumers take 26% of a core so, and took 35% (`python -m benchmarks --only visible`).
"""

SILENCE_SECONDS: Final = 10.0
"""A broker that has not answered a fetch for this long is away."""

COMMIT_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 3.0


class KafkaSubscription(Subscription):
    """
    Static member of a group, by aiokafka; its consumer is made again when it has died.

    The callbacks run inside of ``poll``, one after the other: aiokafka's own listener runs in a task of its own and
    swallows exceptions, so it only notes what has changed, and holds the rebalance until ``poll`` has told.
    A partition is assigned paused, at 0, which keeps aiokafka from looking for the group's committed position. One that
    the caller pauses is not asked for: aiokafka's own pause would throw away what it has fetched, to fetch it again.
    """

    def __init__(self, servers: str, names: tuple[str, str, str], callbacks: tuple[OnAssigned, OnRevoked]) -> None:
        self._servers = servers
        self._group, self._member, self._topic = names
        self._on_assigned, self._on_revoked = callbacks
        self._consumer: Any = None
        self._assignments = Assignments(self._topic)
        self._held: frozenset[int] = frozenset()
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._heard = 0.0
        self._dead = False

    async def __aenter__(self) -> KafkaSubscription:
        await self._start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    async def poll(self, wait: float, max_records: int) -> Mapping[int, Sequence[Record]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            await self._settle()
            found = await self._fetch(max(0.0, deadline - loop.time()), max_records)
            records = {tp.partition: r for tp, r in found.items() if self._is_next(tp.partition, r)}
            for partition, some in records.items():
                self._positions[partition] = some[-1].offset + 1
            if records or loop.time() >= deadline:
                self._check_silence(bool(records))
                return records

    def seek(self, partition: int, offset: int) -> None:
        place = TopicPartition(self._topic, partition)
        if self._places([partition]):
            self._positions[partition] = offset
            self._heard = time.time()
            self._consumer.seek(place, offset)
            self._consumer.resume(place)

    def pause(self, partitions: Collection[int]) -> None:
        self._paused |= self._held & frozenset(partitions)

    def resume(self, partitions: Collection[int]) -> None:
        self._paused.difference_update(partitions)
        self._heard = time.time()

    async def commit(self, positions: Mapping[int, int]) -> None:
        offsets = {TopicPartition(self._topic, p): offset for p, offset in positions.items()}
        if self._consumer is None:  # between two consumers, while the log is away
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._consumer.commit(offsets)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            log.warning("positions of %s were not copied to the group: %s", self._group, describe(error))

    def _places(self, partitions: Collection[int]) -> list[TopicPartition]:
        assigned = self._consumer.assignment() if self._consumer is not None else ()
        places = [TopicPartition(self._topic, p) for p in partitions if p in self._held]
        return [place for place in places if place in assigned]

    def _is_next(self, partition: int, records: Sequence[Record]) -> bool:
        """Whether the records are what the caller has sought, and not of a partition just lost or moved."""
        position = self._positions.get(partition)
        return position is not None and partition not in self._paused and records[0].offset >= position

    async def _settle(self) -> None:
        """Tell the caller what has changed; a failure of a callback comes out of ``poll``, and is tried again."""
        if self._dead:
            self._assignments.lose_all()
        if gone := self._held & self._assignments.revoked:
            try:
                await self._on_revoked(sorted(gone))
            finally:
                self._forget(gone)
        self._assignments.give_back()
        if self._dead:
            await self._start()
        if new := self._assignments.granted - self._held:
            self._held |= new
            try:
                await self._on_assigned(sorted(new))
            except BaseException:
                self._forget(new)
                raise

    def _forget(self, partitions: Collection[int]) -> None:
        self._held -= frozenset(partitions)
        self._paused.difference_update(partitions)
        for partition in partitions:
            self._positions.pop(partition, None)

    async def _fetch(self, wait: float, max_records: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Until there are records, the time is over, or the assignment changes."""
        getting = asyncio.create_task(self._getmany(wait, max_records))
        changed = asyncio.create_task(self._assignments.changed.wait())
        try:
            await asyncio.wait({getting, changed}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            if not getting.done():
                getting.cancel()
                await asyncio.wait({getting})
                self._count_back()
        found = {} if getting.cancelled() else self._result(getting)
        self._gather(bool(found))
        return found

    def _gather(self, more: bool) -> None:
        """How the next fetches wait: a first record is answered at once, and more of them together."""
        fetcher = self._consumer._fetcher
        fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms = (GATHER_BYTES, GATHER_MS) if more else (1, FETCH_WAIT_MS)

    async def _getmany(self, wait: float, max_records: int) -> Mapping[TopicPartition, Sequence[Record]]:
        asked = self._places(self._positions.keys() - self._paused)
        if asked:
            found = await self._consumer.getmany(*asked, timeout_ms=round(wait * 1000), max_records=max_records)
            return found  # type: ignore[no-any-return]
        # What aiokafka does about errors and the membership; asked for no partition it would return all.
        self._consumer._coordinator.check_errors()
        with self._consumer._subscription.fetch_context():
            await asyncio.sleep(wait)
        return {}

    def _count_back(self) -> None:
        """aiokafka does not after an error, and would then never notice a caller that polls no more."""
        self._consumer._subscription._fetch_count = 0

    def _result(self, getting: asyncio.Task[Any]) -> Mapping[TopicPartition, Sequence[Record]]:
        error = getting.exception()
        if error is None:
            return getting.result()  # type: ignore[no-any-return]
        self._count_back()
        self._dead = self._is_dead()
        if isinstance(error, NoOffsetForPartitionError):
            return {}
        with translated():
            raise error

    def _is_dead(self) -> bool:
        """Whether one of the tasks has ended that aiokafka does not start again."""
        ended = [task for task in _tasks(self._consumer) if task.done()]
        for task in ended:
            if not task.cancelled():
                task.exception()  # aiokafka has logged it; else asyncio would, as never retrieved
        return bool(ended)

    def _check_silence(self, found: bool) -> None:
        """aiokafka tries for ever and tells nobody; the time of the last answer is what it shows."""
        asked = self._places(self._positions.keys() - self._paused)
        if found or not asked:
            self._heard = time.time()
            return
        heard = max([self._heard, *((self._consumer.last_poll_timestamp(place) or 0) / 1000 for place in asked)])
        if (silence := time.time() - heard) > SILENCE_SECONDS:
            self._dead = self._is_dead()
            raise Unavailable("log", f"no answer to a fetch for {silence:.0f} s")

    async def _start(self) -> None:
        await self._close()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=self._group,
            group_instance_id=self._member,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            request_timeout_ms=REBALANCE_MS + REQUEST_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        try:
            with translated():
                async with asyncio.timeout(CALL_SECONDS):
                    await started(self._consumer.start)
                    await topic_of(self._consumer._client, self._topic)
        except BaseException:
            await self._close()
            raise
        self._dead, self._heard = False, time.time()
        self._assignments.attach(self._consumer)
        self._consumer.subscribe([self._topic], listener=self._assignments)

    async def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._assignments.give_back(closing=True)
        if consumer is None or await within(CLOSE_SECONDS, consumer.stop):
            return
        for task in _tasks(consumer):
            task.cancel()
        await within(CLOSE_SECONDS, consumer._client.close)


def _tasks(consumer: Any) -> list[asyncio.Task[None]]:
    """What must run for a consumer to be of use, and is not started again by aiokafka when it has ended."""
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    return [*([coordinator._coordination_task] if coordinator else []), *([fetcher._fetch_task] if fetcher else [])]
