"""
A simulated consumer group: partitions, consumers with one core each, and the servers of the sink.

It goes from event to event of a schedule, not by ticks. A batch is what waits in a partition when its last one is
durable, and no sooner than the linger; its consumer's core works on it, in turn with the consumer's other partitions;
then the servers of the sink, each in turn; then the round trips. That is the loop of consumers/partition.py, without
what goes on beside it (commits to the group, metrics).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, NamedTuple

from benchmarks.scale.keys import Share
from benchmarks.scale.queueing import Waiting
from consumers.tuning import Tuning

LINGER: Final = Tuning().linger
BATCH: Final = Tuning().flush_records
Spans = list[tuple[float, float, int]]


class Work(NamedTuple):
    """
    What folding costs, in seconds.

    Attributes:
        event: Of a consumer's core, each event.
        row: Of a server of the sink, each row.
        flush: Round trips of a flush, whatever its size; they keep nothing busy.
        batch: Of a consumer's core, each flush.
        write: Of a server of the sink, each flush; with ``spread`` of all of them together.
        restore: Of a consumer's core, each session of a partition that it opens.
        spread: Whether the rows of a batch go to all servers of the sink; else all to the partition's own.
    """

    event: float
    row: float
    flush: float
    batch: float = 0.0
    write: float = 0.0
    restore: float = 0.0
    spread: bool = True


class Group(NamedTuple):
    """How large: partitions, consumers, servers of the sink."""

    partitions: int
    consumers: int
    servers: int


@dataclass(slots=True)
class Partition:
    """
    Attributes:
        turn: Raised when the partition changes hands: what was scheduled for its last owner no longer counts.
        flying: The batch under way.
        ages: (seconds from event to visible, how many events), one for each batch.
    """

    share: Share
    waiting: Waiting
    owner: int
    turn: int = 0
    begun: float = 0.0
    flying: Spans = field(default_factory=list)
    folded: int = 0
    ages: list[tuple[float, int]] = field(default_factory=list)


class Cluster:
    """
    Runs a group on a load.

    Args:
        group: How large.
        work: What folding costs.
        shares: How the load spreads; one for each partition.
        rate: Events a second, all together.
        rng: Decides arrivals.
        backlog: Events that wait at the start, all together.
        sessions: Live sessions, all together.

    Attributes:
        now: Seconds since the start.
        busy: Seconds of work by (``core`` or ``sink``, number).
        history: (second, age of the oldest event that waits), each second.
    """

    def __init__(
        self,
        group: Group,
        work: Work,
        shares: Sequence[Share],
        rate: float,
        rng: random.Random,
        *,
        backlog: int = 0,
        sessions: int = 0,
    ) -> None:
        self.group, self.work, self.now = group, work, 0.0
        self.busy: dict[tuple[Literal["core", "sink"], int], float] = {}
        self.history: list[tuple[float, float]] = []
        self.partitions = [
            Partition(share, Waiting(share.weight * rate, round(share.weight * backlog), rng), number % group.consumers)
            for number, share in enumerate(shares)
        ]
        self._sessions = sessions / group.partitions
        self._free = {("core", n): 0.0 for n in range(group.consumers)} | {
            ("sink", n): 0.0 for n in range(group.servers)
        }
        self._schedule: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        for number, partition in enumerate(self.partitions):
            self.at(0.0, partial(self._take, partition, number, 0))
        self.at(1.0, self._look)

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Schedule something."""
        self._number += 1
        heapq.heappush(self._schedule, (when, self._number, do))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Go on until ``seconds``, or until ``until`` holds after a batch became durable."""
        while self._schedule and self._schedule[0][0] <= seconds and not until():
            self.now, _, do = heapq.heappop(self._schedule)
            do()

    def move(self, partitions: Sequence[int], owners: Sequence[int]) -> None:
        """Give partitions to owners in turn; each is opened, and its sessions are restored, before it is read."""
        for place, number in enumerate(partitions):
            partition = self.partitions[number]
            self.stop([number])
            partition.owner = owners[place % len(owners)]
            opened = self._work("core", partition.owner, self._sessions * self.work.restore)
            self.at(opened, partial(self._take, partition, number, partition.turn))

    def stop(self, partitions: Sequence[int]) -> None:
        """Nobody folds these any more; a batch under way is lost, and will be folded again."""
        for partition in (self.partitions[number] for number in partitions):
            partition.turn += 1
            partition.waiting.put_back(partition.flying)
            partition.flying = []

    def _take(self, partition: Partition, number: int, turn: int) -> None:
        if turn != partition.turn:
            return
        size = min(BATCH, partition.waiting.look(self.now))
        if not size:
            self.at(self.now + LINGER, lambda: self._take(partition, number, turn))
            return
        partition.begun, partition.flying = self.now, partition.waiting.take(size)
        folded = self._work("core", partition.owner, size * self.work.event + self.work.batch)
        self.at(folded, lambda: self._flush(partition, number, turn, size))

    def _flush(self, partition: Partition, number: int, turn: int, size: int) -> None:
        if turn != partition.turn:
            return
        servers = range(self.group.servers) if self.work.spread else [number % self.group.servers]
        each = (partition.share.rows(size) * self.work.row + self.work.write) / len(servers)
        written = max(self._work("sink", server, each) for server in servers) + self.work.flush
        self.at(written, lambda: self._durable(partition, number, turn, size))

    def _durable(self, partition: Partition, number: int, turn: int, size: int) -> None:
        if turn != partition.turn:
            return
        partition.ages += [(self.now - (begin + end) / 2, count) for begin, end, count in partition.flying]
        partition.flying, partition.folded = [], partition.folded + size
        self.at(max(self.now, partition.begun + LINGER), lambda: self._take(partition, number, turn))

    def _work(self, kind: Literal["core", "sink"], number: int, seconds: float) -> float:
        """When a core or a server will have done this too."""
        self._free[kind, number] = max(self.now, self._free[kind, number]) + seconds
        self.busy[kind, number] = self.busy.get((kind, number), 0.0) + seconds
        return self._free[kind, number]

    def _look(self) -> None:
        waits = [self.now - p.waiting.oldest(self.now) for p in self.partitions if p.waiting.look(self.now)]
        self.history.append((self.now, max(waits, default=0.0)))
        self.at(self.now + 1.0, self._look)

    @property
    def folded(self) -> int:
        return sum(partition.folded for partition in self.partitions)

    def load(self, kind: Literal["core", "sink"]) -> float:
        """How busy the busiest core or server was, as a part of the time."""
        done = (min(seconds, self.now) for (of, _), seconds in self.busy.items() if of == kind)
        return max(done, default=0.0) / self.now


def percentile(ages: Sequence[tuple[float, int]], share: float) -> float:
    """The age that this share of the events stays below; ages are (seconds, how many)."""
    left = share * sum(count for _, count in ages)
    for age, count in sorted(ages):
        left -= count
        if left <= 0:
            return age
    return 0.0
