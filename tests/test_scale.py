"""benchmarks/SCALE.md says what the simulation and the arithmetic say, and they say the same each time."""

from __future__ import annotations

import random

import msgspec
import pytest

from benchmarks.scale import costs, keys, needs, scenarios, tables
from benchmarks.scale.cluster import BATCH, Cluster, Group, Work, percentile
from benchmarks.scale.queueing import Waiting
from consumers import parts, sessions
from gateway import catalogue, plays, positions, statistics, workers
from models import events
from models.eventlog import kafka_subscription
from models.stores import plays_hbase, sql_database
from models.topics import load as load_topics

COSTS = costs.load()
HALF_USED = Work(event=10e-6, row=0.0, flush=0.005)
"""A flush of one partition takes 5 ms beside its events."""


def test_the_page_has_the_tables_that_are_printed() -> None:
    page = tables.PAGE.read_text(encoding="utf-8")
    blocks = tables.blocks(COSTS)
    assert tables.filled(page, blocks) == page, "python -m benchmarks.scale --write"
    assert [name for name, block in blocks.items() if block not in page] == []


def test_what_is_assumed_of_the_code_is_what_the_code_has() -> None:
    topics = load_topics().by_name
    assert {
        "heartbeat": plays.NEXT_PING,
        "replication": topics[events.PLAYS].replication,
        "part_bytes": plays_hbase.PART_BYTES,
        "thrift_connections": workers.THREADS,
        "sql_readers": sql_database.READERS,
        "sql_writers": sql_database.WRITERS,
        "deltas": parts.MOST_DELTAS,
        "session_timeout": kafka_subscription.SESSION_MS / 1000,
        "top_reads": 1 / statistics.AHEAD_SECONDS,
        "position_looks": int(1 / positions.POLL_SECONDS),
        "catalogue_rows": catalogue.PAGE,
    }.items() <= {name: assumed.value for name, assumed in COSTS.assumed.items()}.items()
    buckets = sessions.KEPT_BUCKETS * sessions.BUCKET_MS / 3_600_000
    assert buckets <= COSTS["kept_hours"] <= buckets + sessions.BUCKET_MS / 3_600_000


def test_a_seed_decides_everything() -> None:
    one, same, other = (scenarios.hot(scenarios.Scenarios(COSTS, seed), (0.1,), 2.0) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("projection", ["plays", "reactions"])
def test_doubling_everything_doubles_what_is_folded(projection: str) -> None:
    simulated = scenarios.Scenarios(COSTS)
    found = [g for g in scenarios.growth(simulated, (2, 4), 2.0) if g.projection == projection]
    assert [g.limit for g in found] == ["nothing", "nothing"]
    assert found[1].folded / found[0].folded == pytest.approx(2, rel=0.05)


def test_what_does_not_grow_is_named() -> None:
    found = scenarios.growth(scenarios.Scenarios(COSTS), (8, 16))
    primary = [g for g in found if g.projection == "reactions, one primary"]
    assert [g.limit for g in primary] == ["the sink", "the sink"]
    assert primary[1].folded == pytest.approx(primary[0].folded, rel=0.1)


def test_one_partition_folds_what_a_batch_takes() -> None:
    cluster = Cluster(Group(1, 1, 1), HALF_USED, keys.even(1), 0.0, random.Random(1), backlog=10_000_000)
    cluster.run(11.0)
    assert cluster.folded / cluster.now == pytest.approx(BATCH / (BATCH * 10e-6 + 0.005), rel=0.05)


def test_a_load_below_the_capacity_is_seen_within_two_lingers() -> None:
    cluster = Cluster(Group(2, 1, 1), HALF_USED, keys.even(2), 10_000.0, random.Random(1))
    cluster.run(10.0)
    assert cluster.folded == pytest.approx(100_000, rel=0.02)
    assert percentile([age for p in cluster.partitions for age in p.ages], 0.99) < 0.06


def test_what_a_lost_owner_had_in_hand_is_folded_once_by_the_next() -> None:
    cluster = Cluster(Group(2, 2, 1), HALF_USED, keys.even(2), 0.0, random.Random(1), backlog=100_000)
    cluster.at(0.1, lambda: cluster.stop([0]))
    cluster.at(0.5, lambda: cluster.move([0], [1]))
    cluster.run(60.0, lambda: cluster.folded >= 100_000)
    assert (cluster.folded, cluster.partitions[0].owner) == (100_000, 1)
    assert not any(p.waiting.count or p.flying for p in cluster.partitions)


def test_sessions_make_a_start_longer() -> None:
    few, many = (
        next(loss for loss in scenarios.loss(scenarios.Scenarios(COSTS), (size,)) if "again" in loss.what)
        for size in (100_000, 10_000_000)
    )
    assert many.oldest - few.oldest > COSTS["restore"] * 9_900_000 / 1e6 / scenarios.SMALL.consumers / 2


def test_the_shares_of_partitions_are_the_whole_load() -> None:
    shares = keys.zipf(1_000_000, 24, random.Random(1), viral=0.1)
    assert sum(share.weight for share in shares) == pytest.approx(1, rel=0.01)
    assert max(share.weight for share in shares) > 0.1
    assert all(share.rows(1) == pytest.approx(1, rel=0.01) and share.rows(5_000) < 5_000 for share in shares)


def test_what_waits_leaves_in_order() -> None:
    waiting = Waiting(100.0, 10, random.Random(1))
    count = waiting.look(10.0)
    taken = waiting.take(count // 2)
    waiting.put_back(taken)
    assert (waiting.count, waiting.oldest(10.0)) == (count, 0.0)
    ends = [span for span in waiting.take(count) if span[2]]
    assert ends == sorted(ends)
    assert (sum(size for _, _, size in ends), waiting.oldest(10.0)) == (count, 10.0)


def test_needs_grow_with_the_load() -> None:
    double = msgspec.structs.replace(COSTS.assumed["events"], value=2 * COSTS["events"])
    larger = msgspec.structs.replace(COSTS, assumed={**COSTS.assumed, "events": double})
    small, large = needs.Plan(COSTS), needs.Plan(larger)
    assert large.gateways == pytest.approx(2 * small.gateways, rel=0.02)
    assert large.sessions == 2 * small.sessions
    assert large.plays_partitions >= 1.8 * small.plays_partitions
