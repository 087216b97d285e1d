"""
Builds a new version of a read model beside the one that is read, compares it with the log, and switches.

What was folded is durable with its position, so a rebuild that was killed goes on where it was when it is run again.
Consumers go on with the old version meanwhile, and are held for the last stretch alone: from then on the old version
stands still, the new one is folded to the end of the log and so past all that the old one ever showed, and one row is
changed. Nobody who reads sees anything go back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol

from consumers.building import History, Part, records_of, together
from consumers.port import Projection
from consumers.reference import REFERENCES, Digest, digest
from models.clock import Clock, SystemClock
from models.errors import Fenced, PlaytrailError, Refused
from models.eventlog.port import EventLog, Record
from models.stores.versions import LEASE_SECONDS, Version, Versions

CLOSE: Final = 2_000
"""With no more records than this to go, the consumers are held and the switch begins."""
HOLD_MS: Final = 10_000
"""How long a switch may hold the consumers; one that died is over then."""
LOOK_MS: Final = 1_000
_ROUNDS: Final = 50


class Differs(PlaytrailError):  # noqa: N818 -- the tree of errors is named by decisions
    """The version that was built is not what the log says; it is not switched to."""


class Tell(Protocol):
    """Told of progress: what is being done, how many records of how many."""

    def __call__(self, phase: str, done: int, total: int) -> None: ...


class Report(NamedTuple):
    """What a rebuild did; ``digest`` is None when nothing was compared."""

    version: int
    records: int
    digest: Digest | None
    held_ms: int


class Rebuild:
    """
    One rebuild of one projection.

    Args:
        log: The event log.
        store: Where the projection keeps its read model and versions.
        make: The projection on a store, which ``store.at`` made for the version that is built.
        tell: Told of progress.
        history: Where records come from that the log no longer has.
    """

    def __init__(
        self,
        log: EventLog,
        store: Versions,
        make: Callable[[Any], Projection],
        *,
        tell: Tell | None = None,
        history: History | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._log, self._store, self._make, self._tell = log, store, make, tell or _silent
        self._history, self._clock = history, clock or SystemClock()
        self._row, self._built = Version(), 0
        self._projection = make(store)
        self._name, self._topic = self._projection.name, self._projection.topic
        self._looked_ms = 0

    async def run(self, *, restart: bool = False) -> Report:
        """
        Build, compare, switch.

        Raises:
            Refused: The log no longer has the beginning, and there is no ``history``.
            Differs: What was built is not what the log says.
            Fenced: Another rebuild of this projection was started, and goes on in the place of this one.
            Unavailable: A server is away; running it again goes on.
        """
        self._row = await self._begin(restart)
        self._built = self._row.building
        async with self._parts() as parts:
            pinned = await self._ends()
            await self._fold(parts, pinned, "fold")
            compared = await self._compare(pinned)
            return await self._catch_up_and_switch(parts, compared)

    async def back(self) -> Report:
        """
        Fold the version kept by the last switch to where the log is now, and switch to it.

        The row names it as kept until it is switched to, so what was cut short can be run again; a version that is
        being built stays so. Raises Refused when none is kept; else as ``run``.
        """
        row = await asyncio.to_thread(self._store.version, self._name)
        if not row.kept:
            raise Refused("--back", self._name, "a projection with a version kept from an earlier rebuild")
        self._row, self._built = await self._change(row, row.changed()), row.kept
        async with self._parts() as parts:
            return await self._catch_up_and_switch(parts, None)

    async def _begin(self, restart: bool) -> Version:
        row = await asyncio.to_thread(self._store.version, self._name)
        if row.building and not restart:
            # Counted as a change, so that another rebuild that runs now finds out that this one took over.
            return await self._change(row, row.changed())
        await self._check_history()
        row = await self._change(row, row.changed(building=row.free, kept=0))
        await asyncio.sleep(LEASE_SECONDS)  # until nobody reads by an older row
        # All that ever were, so that none is left behind by a rebuild that was killed right here.
        for version in range(1, row.building):
            if version != row.active:
                await asyncio.to_thread(self._store.remove, self._name, version)
        return row

    async def _check_history(self) -> None:
        async with self._log.reader() as reader:
            bounds = await reader.bounds(self._topic)
        cut = [f"{self._topic}/{p} begins at offset {first}" for p, (first, _) in bounds.items() if first]
        if cut and self._history is None:
            allowed = "a log with all its records, or --from DIR with what `playtrail replay` exported of the rest"
            raise Refused("log", ", ".join(cut), allowed)

    @asynccontextmanager
    async def _parts(self) -> AsyncIterator[list[Part]]:
        """Every partition of the version that is built, open."""
        await asyncio.to_thread(self._store.make, self._name, self._built)
        projection = self._make(self._store.at(self._name, self._built))
        async with AsyncExitStack() as stack:
            # A reader for each: one that goes from partition to partition waits a moment at each.
            numbers = sorted(await self._ends())
            readers = [await stack.enter_async_context(self._log.reader()) for _ in numbers]
            parts = [Part(n, reader, projection) for n, reader in zip(numbers, readers, strict=True)]
            await together(part.open(self._history) for part in parts)
            yield parts

    async def _ends(self) -> Mapping[int, int]:
        async with self._log.reader() as reader:
            return {number: end for number, (_, end) in (await reader.bounds(self._topic)).items()}

    async def _fold(self, parts: Sequence[Part], ends: Mapping[int, int], phase: str) -> None:
        """Bring every partition to its end; Fenced when another rebuild has taken over."""
        total, done = sum(max(0, ends[part.number] - part.at) for part in parts), 0

        async def count(records: int) -> None:
            nonlocal done
            done += records
            self._tell(phase, done, total)
            await self._still_ours()

        await together(part.to(ends[part.number], count) for part in parts)

    async def _still_ours(self) -> None:
        """Looked at once a second; raises Fenced."""
        now_ms = self._clock.now_ms()
        if now_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = now_ms
        if await asyncio.to_thread(self._store.version, self._name) != self._row:
            raise Fenced(f"another rebuild of {self._name} was started; this one ends")

    async def _compare(self, pinned: Mapping[int, int]) -> Digest:
        """What was built against the plainest fold of the same records."""
        reference, total, done = REFERENCES[self._name](), sum(pinned.values()), 0

        async def read(partition: int, end: int) -> None:
            nonlocal done
            async for records in self._all_records(partition, end):
                await asyncio.to_thread(reference.add, records)
                done += len(records)
                self._tell("compare", done, total)

        # One after the other: the reference is not made for several threads.
        for partition, end in sorted(pinned.items()):
            await read(partition, end)
        wanted = await asyncio.to_thread(lambda: digest(reference.rows()))
        built = self._store.at(self._name, self._built)
        found = await asyncio.to_thread(lambda: digest(built.contents(self._name)))
        if found != wanted:
            pairs = zip(Digest._fields, found, wanted, strict=True)
            apart = ", ".join(f"{name} {here} instead of {there}" for name, here, there in pairs if here != there)
            remedy = f"to build it again from the start: playtrail rebuild {self._name} --restart"
            raise Differs(f"version {self._built} of {self._name} is not what the log says: {apart}; {remedy}")
        return found

    async def _all_records(self, partition: int, end: int) -> AsyncIterator[Sequence[Record]]:
        async with self._log.reader() as reader:
            first, _ = (await reader.bounds(self._topic))[partition]
            if self._history is not None and first:
                async for records in self._history(partition, first):
                    yield records
            async for records in records_of(reader, self._topic, partition, first, end):
                yield records

    async def _catch_up_and_switch(self, parts: Sequence[Part], compared: Digest | None) -> Report:
        for _ in range(_ROUNDS):
            ends = await self._ends()
            if sum(ends[part.number] - part.at for part in parts) <= CLOSE:
                break
            await self._fold(parts, ends, "catch up")
        held_ms = await self._switch(parts)
        return Report(self._built, sum(part.folded for part in parts), compared, held_ms)

    async def _switch(self, parts: Sequence[Part]) -> int:
        """Hold the consumers, fold what is left, change the row; returns how long they were held."""
        begun = self._clock.now_ms()
        self._row = await self._change(self._row, self._row.changed(switch_until=begun + HOLD_MS))
        try:
            await asyncio.sleep(LEASE_SECONDS)  # until every consumer has heard of it
            await self._fold(parts, await self._ends(), "switch")
            row, built = self._row, self._built
            building = 0 if built == row.building else row.building
            done = row.changed(active=built, kept=row.active, building=building, switch_until=0)
            self._row = await self._change(row, done)
        except BaseException:
            with suppress(PlaytrailError):
                await self._change(self._row, self._row.changed(switch_until=0))
            raise
        return self._clock.now_ms() - begun

    async def _change(self, seen: Version, to: Version) -> Version:
        await asyncio.to_thread(self._store.change, self._name, seen, to)
        return to


def _silent(phase: str, done: int, total: int) -> None:
    pass
