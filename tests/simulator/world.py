"""A simulated world: one seed, one clock, the log and the stores, and how likely what goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from models import events
from models.errors import OutcomeUnknown, Unavailable
from models.eventlog.port import TopicState
from models.stores.port import Checkpoint, Film, PositionStore
from tests.simulator.memory_broker import Broker, StoredRecord
from tests.simulator.memory_plays import MemoryPlays, PlayData, Row
from tests.simulator.memory_sql import MemorySql, SqlData
from tests.simulator.virtual import VirtualLoop

TOPIC_OF: Final = {"reactions": events.REACTIONS, "views": events.VIEWS, "plays": events.PLAYS}
PROJECTIONS: Final = ("reactions", "views", "plays", "plays")
"""What a seed chooses from; plays have the most moments at which something can happen."""

KNOWN_VIDEOS: Final = 30
"""Videos of the catalogue; the traffic also knows some above."""


WEAK_STEPS: Final = ("put row", "put top", "put part", "put head", "put head", "read head", "commit", "none")
WEAK_FAILS: Final = 0.3


class World:
    """
    Everything that is not the memory of a process.

    Attributes:
        missed: Called with the name of a process that has died or hangs.
        violations: What must never be, as it was seen.
        trace: Every step, when tracing.
        faults: Whether anything goes wrong now.
        store_fails, log_fails, crash, hang, slow, stops: Probabilities, of a seed's own.
        weak: What the names of steps begin with that fail more often than others, so that half a flush is common.
        latency: Seconds that a step of a store takes at most, usually.
        store_away, log_away: Until when everything fails there.
    """

    def __init__(self, seed: int, tracing: bool = False) -> None:
        self.rng = rng = random.Random(seed)
        self.loop = VirtualLoop()
        self.violations: list[str] = []
        self.missed: Callable[[str], None] = lambda name: None
        self.trace: list[str] | None = [] if tracing else None
        self.projection = rng.choice(PROJECTIONS)
        self.topic = TOPIC_OF[self.projection]
        self.faults = True
        self.store_fails, self.log_fails = rng.choice((0.0, 0.02, 0.1)), rng.choice((0.0, 0.01, 0.1))
        self.crash, self.hang = rng.choice((0.0, 0.01, 0.05)), rng.choice((0.0, 0.01, 0.05))
        self.slow, self.stops = rng.choice((0.0, 0.01, 0.05)), rng.choice((0.2, 0.5, 0.9))
        self.weak = rng.choice(WEAK_STEPS)
        self.latency = rng.choice((0.02, 0.3, 2.0))
        self.store_away = self.log_away = 0.0
        gaps = rng.choice((0.0, 0.2))
        self.broker = Broker(lambda: rng.randint(1, 3) if rng.random() < gaps else 0)
        self.broker.at_most = lambda wanted: rng.randint(1, wanted)
        # Shorter than a poll waits: members that live are taken for dead, and two own a partition.
        self.broker.session = rng.choice((1.0, 4.0, 10.0, 30.0))
        self.broker.create(self.topic, TopicState(rng.choice((1, 1, 2, 3)), 1, {}))
        self.broker.create(events.DEAD, TopicState(1, 1, {}))
        films = {number: Film(id=number, title=f"film {number}") for number in range(1, KNOWN_VIDEOS + 1)}
        self.sql = SqlData(films=films, moved=self._position_moved)
        self.plays = PlayData(seen=self._row_seen)

    def now(self) -> float:
        return self.loop.time()

    def note(self, who: str, what: str) -> None:
        """A line of the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.now():10.3f}  {who:8}  {what}")

    def violated(self, what: str) -> None:
        """Something that must never be has happened."""
        self.violations.append(what)
        self.note("VIOLATED", what)

    def fail_log(self, who: str, step: str) -> None:
        """Raise what the log's port allows at a step, by chance or because the log is away."""
        if not self.faults or (self.log_away <= self.now() and self.rng.random() >= self.log_fails):
            return
        self.note(who, f"{step} fails")
        if step == "appended":
            raise OutcomeUnknown("no answer")
        raise Unavailable("log", f"simulated at {step}", self.rng.choice((0.1, 1.0)))

    def fail_store(self, who: str, what: str) -> None:
        """Raise Unavailable, by chance or because the stores are away."""
        if not self.faults:
            return
        fails = WEAK_FAILS if what.startswith(self.weak) else self.store_fails
        if self.store_away > self.now() or self.rng.random() < fails:
            self.note(who, f"fails: {what}")
            raise Unavailable("sql", f"simulated: {what}")

    def records(self) -> Sequence[Sequence[StoredRecord]]:
        """The log by partition."""
        return self.broker.topic(self.topic).records

    def positions(self) -> dict[int, int]:
        """Where the projection stands, by partition, as its sink says."""
        store: PositionStore = MemoryPlays(self.plays) if self.projection == "plays" else MemorySql(self.sql)
        return {p: at.next_offset for p, at in store.positions(self.projection, self.topic).items()}

    def begin_epoch(self) -> None:
        """A new epoch that goes on where the old one stands; only for projections in SQL."""
        identity = self.broker.topic(self.topic).identity
        MemorySql(self.sql).new_epoch(self.projection, self.topic, identity, self.positions())

    def _position_moved(self, old: Checkpoint, new: Checkpoint) -> None:
        if (old.epoch, old.next_offset) > (new.epoch, new.next_offset):
            self.violated(f"a position went back from {old} to {new}")

    def _row_seen(self, table: bytes, key: bytes, old: Row, new: Row) -> None:
        """Whatever a reader may have seen of plays, it sees no less afterwards."""
        if table != b"video" or not old:
            return
        for column in (b"play:times", b"play:duration"):
            (before, stamp), (after, later) = old[column], new[column]
            if int(after) < int(before):
                self.violated(f"{column.decode()} of {key.decode()} shrank from {before.decode()} to {after.decode()}")
            if stamp == later and before != after:
                self.violated(f"{column.decode()} of {key.decode()} changed at the same timestamp {stamp}")
