"""Looks at the log and the sinks, again and again, and remembers what states and rates are judged on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from models.clock import Clock, SystemClock
from models.errors import LogMismatch, PlaytrailError, Unavailable
from models.eventlog.port import EventLog, LogReader
from models.events import rfc3339
from models.lag.measure import Found, Seen, group_of, partition_lag, projection_lag
from models.lag.report import Level, ProjectionLag, Report
from models.lag.window import Sample, kept
from models.stores.port import Checkpoint, PlayStores, PositionStore, SqlStores
from models.topics import Topic, Topics


def sinks_of(sql: SqlStores, plays: PlayStores, names: Sequence[str]) -> dict[str, PositionStore]:
    """Where each of these projections keeps its position."""
    return {name: plays if name == "plays" else sql for name in names}


class Partition:
    """What is remembered of one partition: the samples of one epoch, and the time of the record read last."""

    def __init__(self) -> None:
        self.window: Sequence[Sample] = ()
        self.epoch: int | None = None
        self.first: tuple[int, int] | None = None

    def add(self, checkpoint: Checkpoint | None, sample: Sample | None) -> None:
        """A new epoch, or no position any more, makes what was seen meaningless."""
        epoch = checkpoint.epoch if checkpoint else None
        if epoch != self.epoch:
            self.window, self.epoch, self.first = (), epoch, None
        if sample is not None:
            self.window = kept([*self.window, sample], sample.at_ms)


class Sampler:
    """
    Looks at projections; each ``report`` is one look, and those before it are what states and rates come from.

    An async context manager. It has a reader of its own, connected when first needed and again after the log was
    away, so it does not slow a consumer in the same process and may be entered while the log is away.

    Args:
        log: The event log.
        sinks: Where each projection that is looked at keeps its position.
        topics: The contract: topics, targets and retention.
        clock: The time that the age of a record is measured by.
    """

    def __init__(
        self, log: EventLog, sinks: Mapping[str, PositionStore], topics: Topics, clock: Clock | None = None
    ) -> None:
        self._log, self._sinks, self._topics, self._clock = log, sinks, topics, clock or SystemClock()
        self._reader: LogReader | None = None
        self._clusters: dict[str, str] = {}
        self._partitions: dict[tuple[str, int], Partition] = {}

    async def __aenter__(self) -> Sampler:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    async def report(self) -> Report:
        """Look once. What cannot be reached is in ``errors``, and the rest is looked at all the same."""
        lags: list[ProjectionLag] = []
        errors: dict[str, str] = {}
        for name in self._sinks:
            try:
                lags.append(await self._look(name))
            except PlaytrailError as error:
                errors[name] = str(error)
                if isinstance(error, Unavailable) and error.part == "log":
                    await self._close()
                    # Each further projection would wait just as long for the same.
                    errors |= dict.fromkeys(list(self._sinks)[len(lags) + len(errors) :], str(error))
                    break
        levels: list[Level] = [lag.level for lag in lags]
        sampled_at = rfc3339(self._clock.now_ms())
        return Report(sampled_at=sampled_at, level=max(levels, default=0), projections=tuple(lags), errors=errors)

    async def _open(self) -> LogReader:
        if self._reader is None:
            self._reader = await self._log.reader().__aenter__()
        return self._reader

    async def _close(self) -> None:
        reader, self._reader = self._reader, None
        self._clusters.clear()
        if reader is not None:
            await reader.__aexit__(None, None, None)

    async def _look(self, name: str) -> ProjectionLag:
        topic, reader = self._topics.of_projection(name), await self._open()
        if name not in self._clusters:
            self._clusters[name] = (await reader.identity(topic.name)).cluster
        found = await self._read(reader, name, topic)
        seen = {number: self._seen(name, number, found) for number in found.bounds}
        times = await self._first_times(reader, topic, found, seen)
        looks = {n: Seen(part.window, part.epoch, times.get(n)) for n, part in seen.items()}
        partitions = [partition_lag(number, look, found, topic) for number, look in looks.items()]
        span_ms = max(
            (look.window[-1].at_ms - look.window[0].at_ms for look in looks.values() if look.window), default=0
        )
        return projection_lag(name, topic, self._clusters[name], partitions, found.now_ms, span_ms)

    async def _read(self, reader: LogReader, name: str, topic: Topic) -> Found:
        """Positions first and ends last: the other way round a busy topic would show a lag below 0, or a spike."""
        group = group_of(name)
        committed = await reader.committed(group, topic.name)
        owners = await reader.owners(group, topic.name)
        positions = await asyncio.to_thread(self._sinks[name].positions, name, topic.name)
        bounds = await reader.bounds(topic.name)
        return Found(positions, committed, owners, bounds, self._clock.now_ms())

    def _seen(self, name: str, number: int, found: Found) -> Partition:
        partition = self._partitions.setdefault((name, number), Partition())
        checkpoint, sample = found.positions.get(number), None
        if checkpoint is not None:
            owned = number in found.owners
            sample = Sample(found.now_ms, checkpoint.next_offset, found.bounds[number][1], owned)
        partition.add(checkpoint, sample)
        return partition

    async def _first_times(
        self, reader: LogReader, topic: Topic, found: Found, seen: Mapping[int, Partition]
    ) -> Mapping[int, int]:
        """The time of each first record that is not folded; a position that has not moved is not read again."""
        wanted = {
            number: max(part.window[-1].position, found.bounds[number][0])
            for number, part in seen.items()
            if part.window and part.window[-1].lag
        }
        times = {p: part.first[1] for p, part in seen.items() if part.first and part.first[0] == wanted.get(p)}
        try:
            fresh = await reader.times(topic.name, {p: o for p, o in wanted.items() if p not in times})
        except LogMismatch:  # deleted between two questions: estimated this time
            fresh = {}
        for number, time_ms in fresh.items():
            seen[number].first = wanted[number], time_ms
        return {**times, **fresh}
