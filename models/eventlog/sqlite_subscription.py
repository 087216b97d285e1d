"""A member of a group that reads the SQLite file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from models.clock import Clock
from models.errors import LogMismatch, PlaytrailError
from models.eventlog import sqlite_groups as groups
from models.eventlog.port import OnAssigned, OnRevoked, Record, Subscription
from models.eventlog.sqlite_file import Session
from models.eventlog.sqlite_records import StoredRecord, TopicRow, find_topic, read_range, save_committed

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.02
"""How often an idle poll looks for what other processes have appended."""

REBALANCE_SECONDS: Final = 1.0
"""How often a poll compares its partitions with its share."""

RENEW_SECONDS: Final = 2.0
SILENCE_SECONDS: Final = 30.0
"""A member that has not polled for this long is not renewed any more."""


class Bell:
    """Wakes the idle polls of this process as soon as one of its writers has committed."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        for listener in self._listeners:
            listener.set()

    def add(self, listener: asyncio.Event) -> None:
        self._listeners.add(listener)

    def remove(self, listener: asyncio.Event) -> None:
        self._listeners.discard(listener)


class SqliteSubscription(Subscription):
    """Reads ranges in the session's thread; membership is renewed by a task of its own and used in ``poll``."""

    def __init__(
        self,
        session: Session,
        bell: Bell,
        clock: Clock,
        names: tuple[str, str, str],
        callbacks: tuple[OnAssigned, OnRevoked],
    ) -> None:
        self._session, self._bell, self._clock = session, bell, clock
        self._group, self._member, self._topic_name = names
        self._on_assigned, self._on_revoked = callbacks
        self._rung = asyncio.Event()
        self._assigned: frozenset[int] = frozenset()
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._polled = self._rebalance_at = self._turn = 0.0
        self._me: groups.Membership | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SqliteSubscription:
        await self._session.open()
        try:
            topic = await self._session.run(find_topic, self._topic_name)
            self._me = groups.Membership(topic, self._group, self._member, str(uuid.uuid4()))
            await self._session.run(groups.join, self._me, self._clock.now_ms())
        except PlaytrailError:
            await self._session.close()
            raise
        self._bell.add(self._rung)
        self._polled = asyncio.get_running_loop().time()
        self._renewal = asyncio.create_task(self._renew(self._me), name="playtrail-log-member")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._bell.remove(self._rung)
        if self._renewal is not None and self._me is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
            try:
                await self._session.run(groups.leave, self._me)
            except PlaytrailError as error:
                log.warning("%s could not leave %s, its partitions wait: %s", self._member, self._group, error)
        await self._session.close()

    async def poll(self, wait: float, max_records: int) -> Mapping[int, Sequence[Record]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            self._polled = loop.time()
            self._rung.clear()
            if self._polled >= self._rebalance_at:
                await self._rebalance()
                self._rebalance_at = loop.time() + REBALANCE_SECONDS
            records = await self._fetch(max_records)
            left = deadline - loop.time()
            if records or left <= 0:
                return records
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), min(left, LOOK_SECONDS))

    def seek(self, partition: int, offset: int) -> None:
        if partition in self._assigned:
            self._positions[partition] = offset

    def pause(self, partitions: Collection[int]) -> None:
        self._paused.update(self._assigned & frozenset(partitions))

    def resume(self, partitions: Collection[int]) -> None:
        self._paused.difference_update(partitions)

    async def commit(self, positions: Mapping[int, int]) -> None:
        try:
            await self._session.run(save_committed, self._group, self._membership().topic, positions)
        except PlaytrailError as error:
            log.warning("positions of %s were not copied to the group: %s", self._group, error)

    def _membership(self) -> groups.Membership:
        if self._me is None:
            raise RuntimeError("a subscription is used inside of async with")
        return self._me

    async def _rebalance(self) -> None:
        me = self._membership()
        share = await self._session.run(groups.take, me, self._clock.now_ms())
        # What is read already comes first: as little as possible changes hands.
        by_use = sorted(share.held, key=lambda p: (p not in self._assigned, p))
        kept = frozenset(by_use[: share.quota])
        if gone := self._assigned - kept:
            try:
                await self._on_revoked(sorted(gone))
            finally:
                self._forget(gone)
        if excess := share.held - kept:
            await self._session.run(groups.release, me, excess)
        if new := kept - self._assigned:
            self._assigned |= new
            try:
                await self._on_assigned(sorted(new))
            except BaseException:
                self._forget(new)  # the next poll gets them again
                raise

    def _forget(self, partitions: Collection[int]) -> None:
        self._assigned -= frozenset(partitions)
        self._paused.difference_update(partitions)
        for partition in partitions:
            self._positions.pop(partition, None)

    async def _fetch(self, max_records: int) -> dict[int, Sequence[Record]]:
        asked = {p: offset for p, offset in self._positions.items() if p not in self._paused}
        if not asked:
            return {}
        order = sorted(asked, key=lambda p: (p - self._turn) % self._membership().topic.partitions)
        self._turn = order[0] + 1  # another partition is first next time, so that a full one starves no other
        found = await self._session.run(_read, self._membership().topic, {p: asked[p] for p in order}, max_records)
        return {p: self._advance(p, records) for p, records in found.items() if self._wanted(p, asked[p])}

    def _wanted(self, partition: int, asked: int) -> bool:
        """Whether nobody has moved or paused the partition while it was read."""
        return self._positions.get(partition) == asked and partition not in self._paused

    def _advance(self, partition: int, records: Sequence[Record]) -> Sequence[Record]:
        self._positions[partition] = records[-1].offset + 1
        return records

    async def _renew(self, me: groups.Membership) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if loop.time() - self._polled > SILENCE_SECONDS:
                continue
            try:
                await self._session.run(groups.renew, me, self._clock.now_ms())
            except PlaytrailError as error:  # poll meets the same, and tells
                log.debug("%s was not renewed in %s: %s", me.name, me.group, error)


def _read(
    connection: sqlite3.Connection, topic: TopicRow, positions: Mapping[int, int], max_records: int
) -> dict[int, list[StoredRecord]]:
    """Records of the partitions in the order given, ``max_records`` together."""
    row = connection.execute("SELECT id FROM topic WHERE name = ?", (topic.name,)).fetchone()
    if row is None or row[0] != topic.id:
        raise LogMismatch(f"topic {topic.name} was deleted or created again")
    found: dict[int, list[StoredRecord]] = {}
    for partition, offset in positions.items():
        if max_records <= 0:
            break
        records = read_range(connection, topic, partition, offset, max_records)
        if records:
            found[partition] = records
            max_records -= len(records)
    return found
