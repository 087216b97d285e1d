"""What is simulated: growth, one video that everybody watches, a consumer that is lost, a backlog."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

from benchmarks.scale.cluster import LINGER, Cluster, Group, Work, percentile
from benchmarks.scale.costs import Costs
from benchmarks.scale.keys import Share, even, zipf

SEED: Final = 1
SMALL: Final = Group(12, 4, 4)
"""The group of the scenarios that look at one event; by the growth table a larger one does the same, larger."""
DIED: Final = 5.0
FULL: Final = 0.97
KEPT_UP: Final = 0.97
"""Of what was offered; arrivals are drawn, and something is always under way."""
LARGE: Final = Group(24, 8, 8)
"""The group in which one video can be too much for its partition."""


class Scenarios:
    """What every scenario is made of; all is a function of the costs and the seed."""

    def __init__(self, costs: Costs, seed: int = SEED) -> None:
        self.costs, self._seed = costs, seed

    def rng(self) -> random.Random:
        return random.Random(self._seed)

    def plays(self) -> Work:
        """Of the plays projection into HBase."""
        costs = self.costs
        event, row, flush = costs["plays_cpu"] / 1e6, 1 / costs["hbase_rows"], costs["hbase_flush"] / 1e3
        return Work(event, row, flush, batch=costs["flush_cpu"] / 1e3, restore=costs["restore"] / 1e6)

    def reactions(self) -> Work:
        """Of the reactions projection into SQL; a partition's rows are on one primary, since both go by user."""
        costs = self.costs
        event, row, flush = costs["reactions_cpu"] / 1e6, 1 / costs["reactions_rate"], costs["sql_commit"] / 1e3
        return Work(event, row, flush, batch=costs["flush_cpu"] / 1e3, spread=False)

    def videos(self, partitions: int, viral: float = 0.0) -> list[Share]:
        """The load of behavior.plays."""
        return zipf(int(self.costs["videos"]), partitions, self.rng(), viral)

    def steady(self, work: Work, consumers: int) -> float:
        """Events/s that so many consumers are planned for."""
        return self.costs["utilisation"] * consumers * min(1 / work.event, 1 / work.row)


class Growth(NamedTuple):
    """One size of one projection; rates in events/s. ``limit`` is what holds the rest up."""

    projection: str
    group: Group
    offered: float
    folded: float
    limit: str


def growth(scenarios: Scenarios, sizes: Sequence[int] = (8, 16, 32, 64), seconds: float = 2.0) -> list[Growth]:
    """Load, partitions and consumers doubled; the servers of the sink with them, or not."""
    plays, reactions = scenarios.plays(), scenarios.reactions()
    found = []
    for size in sizes:
        shares = scenarios.videos(3 * size)
        found.append(_grown(scenarios, "plays", Group(3 * size, size, size), plays, shares, seconds))
    for size in sizes:
        shares = scenarios.videos(3 * size)
        name = f"plays, {sizes[0]} region servers"
        found.append(_grown(scenarios, name, Group(3 * size, size, sizes[0]), plays, shares, seconds))
    for name, servers in (("reactions", 0), ("reactions, one primary", 1)):
        for size in sizes:
            group = Group(3 * size, size, servers or size)
            found.append(_grown(scenarios, name, group, reactions, even(3 * size), seconds))
    return found


def _grown(scenarios: Scenarios, name: str, group: Group, work: Work, shares: list[Share], seconds: float) -> Growth:
    offered = scenarios.steady(work, group.consumers)
    cluster = Cluster(group, work, shares, offered, scenarios.rng())
    cluster.run(seconds / 2)
    before = cluster.folded
    cluster.run(seconds)
    rate = (cluster.folded - before) / (seconds / 2)
    return Growth(name, group, offered, rate, "nothing" if rate > KEPT_UP * offered else _limit(cluster, offered))


def _limit(cluster: Cluster, offered: float) -> str:
    """What is full in a group that does not keep up."""
    if cluster.load("sink") > FULL:
        return "the sink"
    behind = max(cluster.partitions, key=lambda p: cluster.now - p.waiting.oldest(cluster.now))
    alone = behind.share.weight * offered * cluster.work.event
    return "the hottest video's partition" if alone > FULL / 2 else "the busiest consumer"


class Hot(NamedTuple):
    """
    A viral video: what its partition gets and folds in events/s; how far it falls behind in a second.

    ``others`` is the 99th percentile of the time to visible on the other consumers, in seconds.
    """

    viral: float
    arriving: float
    folded: float
    falling: float
    others: float


def hot(scenarios: Scenarios, parts: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4), seconds: float = 10.0) -> list[Hot]:
    """A video that gets more and more of a steady load."""
    work = scenarios.plays()
    rate = scenarios.steady(work, LARGE.consumers)
    found = []
    for viral in parts:
        cluster = Cluster(LARGE, work, scenarios.videos(LARGE.partitions, viral), rate, scenarios.rng())
        cluster.run(seconds)
        hottest = max(cluster.partitions, key=lambda p: p.share.weight)
        others = [age for p in cluster.partitions if p.owner != hottest.owner for age in p.ages]
        falling = max(0.0, cluster.now - hottest.waiting.oldest(cluster.now) - 2 * LINGER) / cluster.now
        arriving = hottest.share.weight * rate
        found.append(Hot(viral, arriving, hottest.folded / cluster.now, falling, percentile(others, 0.99)))
    return found


class Loss(NamedTuple):
    """A consumer is lost: how old the oldest unseen event got, and after how long all was as before; seconds."""

    what: str
    sessions: int
    oldest: float
    over: float


def loss(scenarios: Scenarios, sessions: Sequence[int] = (1_000_000, 20_000_000)) -> list[Loss]:
    """Started again under its name; or given up, and its partitions divided among those that are left."""
    costs = scenarios.costs
    back, away = costs["process_start"], costs["session_timeout"] + costs["rebalance"]
    found = []
    for live in sessions:
        found.append(_lost(scenarios, live, "starts again under its name", back, survivors=False))
        found.append(_lost(scenarios, live, "is given up", away, survivors=True))
    return found


def _lost(scenarios: Scenarios, sessions: int, what: str, after: float, *, survivors: bool) -> Loss:
    work, shares = scenarios.plays(), scenarios.videos(SMALL.partitions)
    rate = scenarios.steady(work, SMALL.consumers - 1)
    cluster = Cluster(SMALL, work, shares, rate, scenarios.rng(), sessions=sessions)
    lost = [n for n, partition in enumerate(cluster.partitions) if partition.owner == 0]
    everything, others = list(range(SMALL.partitions)), list(range(1, SMALL.consumers))
    cluster.at(DIED, lambda: cluster.stop(lost))
    # aiokafka knows no incremental rebalance: when the group changes, every member opens all of its partitions again.
    moved, owners = (everything, others) if survivors else (lost, [0])
    cluster.at(DIED + after, lambda: cluster.move(moved, owners))
    cluster.run(900.0, lambda: cluster.now > DIED + after + 2 and _settled(cluster))
    return Loss(what, sessions, max(age for _, age in cluster.history), cluster.now - DIED)


def _settled(cluster: Cluster) -> bool:
    return cluster.history[-1][1] < 1.0


class CatchUp(NamedTuple):
    """
    A backlog of ``away`` seconds of the load, in seconds: simulated, and by the formula backlog / (capacity - load),
    of the whole group and of its busiest consumer.
    """

    away: float
    simulated: float
    group: float
    busiest: float


def catch_up(scenarios: Scenarios, aways: Sequence[float] = (5.0, 10.0, 20.0)) -> list[CatchUp]:
    """All consumers were away; the load goes on while they catch up."""
    work, shares = scenarios.plays(), scenarios.videos(SMALL.partitions)
    rate = scenarios.steady(work, SMALL.consumers)
    found = []
    for away in aways:
        cluster = Cluster(SMALL, work, shares, rate, scenarios.rng(), backlog=int(rate * away))
        cluster.run(900.0, lambda cluster=cluster: cluster.now > 2 and _settled(cluster))  # type: ignore[misc]
        parts = [sum(p.share.weight for p in cluster.partitions if p.owner == n) for n in range(SMALL.consumers)]
        busiest = max(parts) * rate
        capacity = 1 / work.event
        group = rate * away / (SMALL.consumers * capacity - rate)
        found.append(CatchUp(away, cluster.now, group, busiest * away / (capacity - busiest)))
    return found
