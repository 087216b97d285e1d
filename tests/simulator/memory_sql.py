"""Reactions, clicks, positions and dead letters in memory, behind the port of the SQL store."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from models.errors import Fenced, LogMismatch, Refused
from models.eventlog.port import Identity, Position
from models.stores.port import (
    Advance,
    Checkpoint,
    Counts,
    DeadLetter,
    DeadLetters,
    Film,
    Kind,
    Pair,
    Place,
    Reaction,
    ReactionReader,
    ReactionSink,
    States,
    ViewSink,
)
from tests.simulator.steps import Step, undisturbed

Partition: TypeAlias = tuple[str, str, int]
"""Projection, topic, partition."""


class StoredReaction(NamedTuple):
    """One row of content_like, content_collect or user_follow."""

    status: int
    event_id: str
    at_ms: int


@dataclass
class SqlData:
    """
    What all processes see.

    Attributes:
        moved: Called with each position before and after a step.
    """

    positions: dict[Partition, Checkpoint] = field(default_factory=dict)
    logs: dict[tuple[str, str], list[Identity]] = field(default_factory=dict)
    rows: dict[tuple[Kind, int, int], StoredReaction] = field(default_factory=dict)
    counts: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    films: dict[int, Film] = field(default_factory=dict)
    clicks: Counter[int] = field(default_factory=Counter)
    letters: dict[Place, DeadLetter] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    moved: Callable[[Checkpoint, Checkpoint], None] = lambda old, new: None


class MemorySql(ReactionSink, ViewSink, DeadLetters, ReactionReader):
    """One process's view: each method is one step, and one transaction; ``logs`` has the epochs, the first is 1."""

    def __init__(self, data: SqlData, step: Step = undisturbed) -> None:
        self.data, self._step = data, step

    def open(self, projection: str, topic: str, partition: int, identity: Identity, earliest: int) -> Checkpoint:
        with self._step(f"open {partition}"), self.data.lock:
            epochs = self.data.logs.setdefault((projection, topic), [identity])
            _compare(projection, topic, epochs[-1], identity)
            first = Checkpoint(epoch=len(epochs), next_offset=earliest)
            return self.data.positions.setdefault((projection, topic, partition), first)

    def positions(self, projection: str, topic: str) -> Mapping[int, Checkpoint]:
        with self._step("positions"), self.data.lock:
            return {key[2]: at for key, at in self.data.positions.items() if key[:2] == (projection, topic)}

    def new_epoch(self, projection: str, topic: str, identity: Identity, starts: Mapping[int, int]) -> int:
        with self._step("new epoch"), self.data.lock:
            epochs = self.data.logs.setdefault((projection, topic), [])
            epochs.append(identity)
            kept = {key: at for key, at in self.data.positions.items() if key[:2] != (projection, topic)}
            begun = {(projection, topic, p): Checkpoint(epoch=len(epochs), next_offset=n) for p, n in starts.items()}
            self.data.positions = kept | begun
            return len(epochs)

    def apply_reactions(self, step: Advance, reactions: Sequence[Reaction], dead: Sequence[DeadLetter] = ()) -> None:
        with self._step(f"commit {step.partition}@{step.next_offset}"), self.data.lock:
            self._begin(step, dead)
            for reaction in reactions:
                self._react(step.partition, reaction)
            self._keep(dead)
            self._advance(step)

    def apply_clicks(self, step: Advance, clicks: Mapping[int, int], dead: Sequence[DeadLetter] = ()) -> None:
        with self._step(f"commit {step.partition}@{step.next_offset}"), self.data.lock:
            self._begin(step, dead)
            for video, count in clicks.items():
                if video in self.data.films and count:
                    self.data.clicks[video] += count
            self._keep(dead)
            self._advance(step)

    def redeem(self, letter: Place, clicks: Mapping[int, int]) -> bool:
        with self._step("redeem"), self.data.lock:
            there = self.data.letters.pop(letter, None) is not None
            if there:
                self.data.clicks.update({video: n for video, n in clicks.items() if video in self.data.films})
            return there

    def put_dead(self, letters: Sequence[DeadLetter]) -> None:
        with self._step("dead letters"), self.data.lock:
            self._keep(letters)

    def dead(self, projection: str | None = None, limit: int = 100, after: Place | None = None) -> Sequence[DeadLetter]:
        with self._step("read dead letters"), self.data.lock:
            found = [letter for letter in self.data.letters.values() if projection in (None, letter.projection)]
        behind = [letter for letter in found if after is None or _order(letter.place) > _order(after)]
        return sorted(behind, key=lambda letter: _order(letter.place))[:limit]

    def dead_at(self, position: Position) -> Sequence[DeadLetter]:
        with self._step("read a dead letter"), self.data.lock:
            return sorted(letter for letter in self.data.letters.values() if letter.position == position)

    def drop_dead(self, places: Collection[Place]) -> int:
        with self._step("drop dead letters"), self.data.lock:
            return sum(self.data.letters.pop(place, None) is not None for place in places)

    def dead_counts(self) -> Mapping[str, int]:
        with self._step("count dead letters"), self.data.lock:
            return Counter(letter.projection for letter in self.data.letters.values())

    def states(self, pairs: Mapping[Kind, Collection[Pair]], ids: Collection[int]) -> States:
        with self._step("states"), self.data.lock:
            rows = self.data.rows
            statuses = {k: {p: rows[k, *p].status for p in of if (k, *p) in rows} for k, of in pairs.items()}
            totals: Counter[tuple[str, int]] = Counter()
            for (kind, target, _), total in self.data.counts.items():
                totals[kind, target] += total
        found = {target: Counts(totals["like", target], totals["collect", target]) for target in ids}
        return States(statuses, {target: counts for target, counts in found.items() if any(counts)})

    def _begin(self, step: Advance, dead: Sequence[DeadLetter]) -> None:
        """Whatever can fail comes before anything is changed."""
        self._compare_position(step)
        for letter in dead:
            if letter.value is None:
                raise Refused("value", None, "bytes")

    def _compare_position(self, step: Advance) -> None:
        """The compare of the compare-and-swap."""
        at = self.data.positions.get((step.projection, step.topic, step.partition))
        if at is None or (at.epoch, at.next_offset) != (step.epoch, step.expected):
            raise Fenced(f"{step.projection} is no longer at {step.topic}/{step.partition}@{step.expected}")

    def _advance(self, step: Advance) -> None:
        key = step.projection, step.topic, step.partition
        new = Checkpoint(epoch=step.epoch, next_offset=step.next_offset, last_event_id=step.last_event_id)
        self.data.moved(self.data.positions[key], new)
        self.data.positions[key] = new

    def _react(self, partition: int, reaction: Reaction) -> None:
        kind, user, target, status, event_id, at_ms = reaction
        old = self.data.rows.get((kind, user, target), StoredReaction(0, "", 0))
        if event_id > old.event_id:
            self.data.rows[kind, user, target] = StoredReaction(status, event_id, at_ms)
            self.data.counts[kind, target, partition] += status - old.status

    def _keep(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            self.data.letters.setdefault(letter.place, letter)


def _order(place: Place) -> tuple[str, int, int, str]:
    return (*place[1:], place.projection)


def _compare(projection: str, topic: str, stored: Identity, found: Identity) -> None:
    pairs = (("cluster", "cluster"), ("topic", "topic id"), ("partitions", "partitions"))
    differing = [
        f"{name} stored {getattr(stored, key)}, found {getattr(found, key)}"
        for key, name in pairs
        if getattr(stored, key) != getattr(found, key)
    ]
    if differing:
        raise LogMismatch(
            f"{projection} was folded from another log of {topic}: {'; '.join(differing)}; "
            f"to begin with this one: playtrail consume {projection} --new-epoch"
        )
