"""What `playtrail doctor` finds at the servers, and between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from commands.behind import behind
from commands.finding import Finding, fail, ok, warn
from commands.machine import disk, packages, spooled
from consumers.checks import check_log
from models.clock import SystemClock
from models.errors import LogMismatch, PlaytrailError
from models.eventlog.plan import Change, compare
from models.eventlog.port import EventLog, LogReader
from models.events import rfc3339
from models.lag.sampler import sinks_of
from models.settings import Settings, without_password
from models.stores.port import PlayStores, PositionStore, SqlStores, Tables
from models.stores.versions import Version, Versions
from models.topics import PROJECTIONS, Topics
from playtrail import contract_of, open_log, open_plays, open_sql

Store: TypeAlias = Literal["sql", "plays"]

_SETTINGS: Final[Mapping[Store, str]] = MappingProxyType({"sql": "PLAYTRAIL_DB", "plays": "PLAYTRAIL_PLAYS"})
CLOCK_MS: Final = 2_000
"""How far a clock may be off: event_ids and lags are by the clocks of gateways and consumers."""
NTP: Final = "set the clocks of all machines by NTP"
MAKES: Final = "playtrail topics apply makes it, and so does playtrail up"


async def examine(config: Settings) -> AsyncIterator[Finding]:
    """Each thing that was looked at, as soon as it is known; raises Refused when topics.yaml cannot be used."""
    contract = contract_of(config)
    for finding in (*packages(), disk(config), *spooled(config)):
        yield finding
    async with AsyncExitStack() as stack:
        sql, plays = open_sql(config), open_plays(config)
        stack.callback(sql.close)
        stack.callback(plays.close)
        async for finding in _Servers(config, contract, sql, plays).findings():
            yield finding


class _Servers:
    """Looks at the log and the stores; what is away is not asked again."""

    def __init__(self, config: Settings, contract: Topics, sql: SqlStores, plays: PlayStores) -> None:
        self._config, self._contract, self._clock = config, contract, SystemClock()
        self._log: EventLog = open_log(config, contract)
        self._sinks = sinks_of(sql, plays, PROJECTIONS)
        self._sql, self._plays = sql, plays
        self._topics: frozenset[str] = frozenset()
        self._good: set[str] = set()

    async def findings(self) -> AsyncIterator[Finding]:
        for finding in await self._of_log():
            yield finding
        stores: Iterable[tuple[Store, str, Tables]]
        stores = ("sql", self._config.db, self._sql), ("plays", self._config.plays, self._plays)
        for part, url, store in stores:
            for finding in await asyncio.to_thread(self._of_store, part, url, store):
                yield finding
        async for finding in self._of_projections():
            yield finding
        for finding in await behind(self._log, self._foldable(), self._contract):
            yield finding
        if "sql" in self._good:
            yield await asyncio.to_thread(self._dead)

    async def _of_log(self) -> list[Finding]:
        if missing := _missing_file("log", self._config.events):
            return [missing]
        try:
            async with self._log.admin() as admin:
                found = await admin.describe(list(self._contract.by_name))
                version = await admin.version()
        except PlaytrailError as error:
            return [fail("log", str(error), "start the servers of PLAYTRAIL_EVENTS, or set it right")]
        self._topics = frozenset(found)
        answers = ok("log", f"{self._config.events} answers: {version}")
        changes = compare(self._contract, found)
        same = ok("topics", f"{len(found)} topics are as {self._contract.path.name} says")
        return [answers, *([_change(change) for change in changes] or [same])]

    def _of_store(self, part: Store, url: str, store: Tables) -> list[Finding]:
        if missing := _missing_file(part, url):
            return [missing]
        try:
            before = self._clock.now_ms()
            about = store.about()
            after, lacks = self._clock.now_ms(), store.missing()
        except PlaytrailError as error:
            return [fail(part, str(error), f"start the server of {_SETTINGS[part]}, or set it right")]
        found = [ok(part, f"{without_password(url)} answers: {about.version}")]
        if lacks:
            return [*found, fail(part, f"without the tables {', '.join(lacks)}", "playtrail topics apply")]
        self._good.add(part)
        return found if about.now_ms is None else [*found, _clock(part, about.now_ms, before, after)]

    async def _of_projections(self) -> AsyncIterator[Finding]:
        if not self._topics:
            return
        try:
            async with self._log.reader() as reader:
                for name, sink in self._foldable().items():
                    topic = self._contract.of_projection(name).name
                    for finding in await _projection(reader, name, topic, sink):
                        yield finding
                yield await self._newest(reader)
        except PlaytrailError as error:
            yield fail("log", str(error), "see whether every broker runs, and every partition has a leader")

    def _foldable(self) -> Mapping[str, PositionStore]:
        """The sinks of the projections whose topic and store can be asked."""
        stores: dict[str, Store] = {name: "plays" if name == "plays" else "sql" for name in self._sinks}
        known = {name: self._contract.of_projection(name).name in self._topics for name in self._sinks}
        return {name: sink for name, sink in self._sinks.items() if known[name] and stores[name] in self._good}

    async def _newest(self, reader: LogReader) -> Finding:
        """A record from the future tells of a gateway whose clock is ahead; its reactions win over newer ones."""
        ahead: dict[str, int] = {}
        for topic in sorted(self._topics):
            bounds = await reader.bounds(topic)
            last = {partition: end - 1 for partition, (first, end) in bounds.items() if end > first}
            times = await reader.times(topic, last) if last else {}
            ahead[topic] = max(times.values(), default=0) - self._clock.now_ms()
        topic, most = max(ahead.items(), key=lambda pair: pair[1])
        if most > CLOCK_MS:
            return warn("clock", f"the newest record of {topic} is {most / 1000:.1f} s ahead of this machine", NTP)
        return ok("clock", "no record is ahead of that of this machine")

    def _dead(self) -> Finding:
        counts = self._sql.dead_counts()
        if not counts:
            return ok("dead letters", "there are none")
        what = ", ".join(f"{count} of {name}" for name, count in sorted(counts.items()))
        return warn("dead letters", what, "playtrail deadletters list")


def _clock(part: str, theirs_ms: int, before_ms: int, after_ms: int) -> Finding:
    off = theirs_ms - (before_ms + after_ms) // 2
    if abs(off) > CLOCK_MS + (after_ms - before_ms) // 2:
        return warn("clock", f"that of {part} is {off / 1000:+.1f} s off that of this machine", NTP)
    return ok("clock", f"that of {part} is that of this machine, within {CLOCK_MS // 1000} s")


def _missing_file(part: str, url: str) -> Finding | None:
    """Of the embedded default: to open a file would make it."""
    if not url.startswith("sqlite:"):
        return None
    path = url.removeprefix("sqlite:///").partition("?")[0]
    return None if Path(path).exists() else warn(part, f"{path} is not there yet", MAKES)


def _change(change: Change) -> Finding:
    differs = f"{change.topic} has {change.what} {change.have} instead of {change.want}"
    if change.action == "create":
        return fail("topics", f"{change.topic} is not there", "playtrail topics apply")
    if change.action == "configure":
        return warn("topics", differs, "playtrail topics apply")
    mend = f"put topics.yaml right: {change.have}; another value means a new topic and a rebuild"
    return fail("topics", differs, mend)


async def _projection(reader: LogReader, name: str, topic: str, sink: PositionStore) -> list[Finding]:
    """Whether a read model was folded from this log, and goes on where the log does."""
    identity, bounds = await reader.identity(topic), await reader.bounds(topic)
    stored = await asyncio.to_thread(sink.positions, name, topic)
    epoch = max((checkpoint.epoch for checkpoint in stored.values()), default=0)
    # Those of an older epoch are remains of partitions that the log no longer has.
    known = {partition: at for partition, at in stored.items() if at.epoch == epoch}
    wrong: list[str] = []
    for partition, checkpoint in sorted(known.items()):
        try:
            await asyncio.to_thread(sink.open, name, topic, partition, identity, checkpoint.next_offset)
            await check_log(reader, name, topic, partition, checkpoint)
        except LogMismatch as error:
            wrong.append(str(error).partition("; to ")[0])
    versions = await asyncio.to_thread(_versions, name, sink)
    if wrong:
        mend = f"playtrail consume {name} --new-epoch goes on with this log; playtrail rebuild {name} folds it anew"
        return [*versions, *(fail(name, what, mend) for what in dict.fromkeys(wrong))]
    if lacking := sorted(bounds.keys() - known.keys()):
        what = f"partitions {', '.join(map(str, lacking))} were never folded" if known else "nothing was folded yet"
        return [*versions, warn(name, what, f"playtrail consume {name}")]
    return [*versions, ok(name, f"epoch {epoch}: {len(known)} partitions, folded from this log")]


def _versions(name: str, sink: PositionStore) -> list[Finding]:
    row = sink.version(name) if isinstance(sink, Versions) else Version()
    found, goes_on = [], f"playtrail rebuild {name} goes on with it"
    if row.building:
        what = f"version {row.building} is being built beside version {row.active}, or was left half built"
        found.append(warn(name, what, goes_on))
    if row.switch_until:
        what = f"a switch holds the consumers until {rfc3339(row.switch_until)}"
        # One that was killed. The consumers themselves end it when they write next.
        overdue = f"{what}, and is overdue: who began it has died"
        found.append(warn(name, overdue if SystemClock().now_ms() > row.switch_until else what, goes_on))
    return found
