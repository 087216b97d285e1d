"""What a deployment needs, by arithmetic that is shown; and which parts everybody shares."""

from __future__ import annotations

import math
from typing import NamedTuple

from benchmarks.scale.cluster import BATCH
from benchmarks.scale.costs import Costs

DAY = 86_400
MB, GB, TB = 1e6, 1e9, 1e12


class Need(NamedTuple):
    """One line: what, how it is worked out, how much."""

    what: str
    how: str
    much: str


class Plan:
    """The quantities that depend on each other, from the costs; rates in events/s."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.rate = costs["events"]
        self.plays, self.views = self.rate * costs["plays"], self.rate * costs["views"]
        self.reactions = self.rate * costs["reactions"]
        self.posts = self.plays + self.reactions
        self.util = costs["utilisation"]
        self.gateway_cores = (self.posts * costs["like_cpu"] + self.views * costs["detail_cpu"]) / 1e6
        self.gateways = math.ceil(self.gateway_cores / self.util)
        self.sessions_a_second = self.plays * costs["heartbeat"] / (costs["session_minutes"] * 60)
        self.sessions = self.sessions_a_second * costs["kept_hours"] * 3600
        self.by_restore = math.ceil(self.sessions * costs["restore"] / 1e6 / costs["restore_seconds"])
        self.by_events = math.ceil(self.plays * costs["plays_cpu"] / 1e6 / self.util)
        self.plays_consumers = max(self.by_events, self.by_restore)
        self.parts = math.ceil(self.sessions * costs["session_bytes"] / costs["part_bytes"] / self.util)
        self.plays_partitions = _round(max(2 * self.plays_consumers, self.parts))
        self.flushes = self.plays_partitions * costs["flushes"]
        self.by_flushes = math.ceil(self.flushes * costs["flush_cpu"] / 1e3 / self.util)
        self.by_cpu = self.by_events + self.by_flushes
        self.consumers = max(self.by_cpu, self.by_restore)
        self.reactions_consumers = math.ceil(self.reactions * costs["reactions_cpu"] / 1e6 / self.util)
        self.views_consumers = math.ceil(self.views * costs["views_cpu"] / 1e6 / self.util)
        self.primaries = math.ceil(self.reactions / costs["reactions_rate"] / self.util)
        self.bytes_in = self.rate * costs["record_bytes_lz4"]
        self.replicated = self.bytes_in * costs["replication"]
        self.brokers = max(3, math.ceil(self.replicated / MB / costs["broker_megabytes"] / self.util))
        self.rows = self.plays  # every event a row, since batches of so many partitions are small
        self.region_servers = math.ceil(self.rows / costs["hbase_rows"] / self.util)
        self.snapshots = self.sessions * costs["session_bytes"] * costs["flushes"] / costs["deltas"]

    def needs(self) -> list[Need]:
        """All of it, in the order of an event's way."""
        return [*self._gateways(), *self._kafka(), *self._plays(), *self._sql(), *self._connections(), *self._totals()]

    def _gateways(self) -> list[Need]:
        c = self.costs
        cores = (
            f"({self.posts:,.0f} POST/s × {c['like_cpu']:g} µs + {self.views:,.0f} GET/s × {c['detail_cpu']:g} µs)"
            f" / 10⁶ = {self.gateway_cores:,.0f} cores; / {self.util:g}"
        )
        memory = f"{self.gateways:,} × {c['gateway_memory']:g} MB"
        return [
            Need("gateway processes, one core each", cores, f"{self.gateways:,}"),
            Need("memory of the gateways", memory, _size(self.gateways * c["gateway_memory"] * MB)),
        ]

    def _kafka(self) -> list[Need]:
        c = self.costs
        bytes_ = f"{self.rate:,.0f} × {c['record_bytes_lz4']:g} bytes"
        disk = f"{_size(self.bytes_in)}/s × {c['replication']:g} × 86,400 s"
        plain = f"the same at {c['record_bytes']:g} bytes: what a gateway that sends one at a time comes to"
        brokers = f"{_size(self.replicated)}/s with copies / {c['broker_megabytes']:g} MB/s / {self.util:g}; 3 at least"
        return [
            Need("into Kafka", bytes_, f"{_size(self.bytes_in)}/s"),
            Need("disk of a day, all copies", disk, _size(self.replicated * DAY)),
            Need(
                "disk of a day, without batches", plain, _size(self.rate * c["record_bytes"] * c["replication"] * DAY)
            ),
            Need("brokers", brokers, f"{self.brokers:,}"),
        ]

    def _plays(self) -> list[Need]:
        c = self.costs
        live = (
            f"{self.plays:,.0f} heartbeats/s × {c['heartbeat']:g} s / ({c['session_minutes']:g} × 60 s) ="
            f" {self.sessions_a_second:,.0f} new/s; × {c['kept_hours']:g} h × 3,600 s"
        )
        memory = f"{_millions(self.sessions)} × {c['session_memory']:g} bytes"
        cpu = f"{self.plays:,.0f} × {c['plays_cpu']:g} µs / 10⁶ / {self.util:g}"
        restore = f"{_millions(self.sessions)} × {c['restore']:g} µs / {c['restore_seconds']:g} s"
        parts = (
            f"more of 2 × {self.plays_consumers:,} consumers and {_millions(self.sessions)} × {c['session_bytes']:g}"
            f" bytes / {c['part_bytes'] / MB:g} MB a snapshot / {self.util:g} = {self.parts:,}; rounded up"
        )
        flushes = f"{self.plays_partitions:,} × {c['flushes']:g}/s × {c['flush_cpu']:g} ms / 1,000 / {self.util:g}"
        rows = f"{self.rows:,.0f} rows/s / {c['hbase_rows']:,.0f} / {self.util:g}"
        regions = f"4 × {self.region_servers:,}, so that they can be moved; split by hand, see below"
        snapshots = (
            f"{_millions(self.sessions)} × {c['session_bytes']:g} bytes × {c['flushes']:g} flushes/s"
            f" / {c['deltas']:g} deltas"
        )
        return [
            Need("sessions remembered", live, _millions(self.sessions)),
            Need("memory of the plays consumers", memory, _size(self.sessions * c["session_memory"])),
            Need("plays consumers, by events", cpu, f"{self.by_events:,}"),
            Need("plays consumers, by the time of a start", restore, f"{self.by_restore:,}"),
            Need("partitions of behavior.plays", parts, f"{self.plays_partitions:,}"),
            Need("plays consumers, by flushes", flushes, f"{self.by_flushes:,}"),
            Need("plays consumers", f"the larger of {self.by_restore:,} and {self.by_cpu:,}", f"{self.consumers:,}"),
            Need("HBase region servers", rows, f"{self.region_servers:,}"),
            Need("regions of video and of plays_checkpoint", regions, f"{4 * self.region_servers:,}"),
            Need("snapshots of sessions into HBase", snapshots, f"{_size(self.snapshots)}/s"),
        ]

    def _sql(self) -> list[Need]:
        c = self.costs
        reactions = f"{self.reactions:,.0f} × {c['reactions_cpu']:g} µs / 10⁶ / {self.util:g}"
        views = f"{self.views:,.0f} × {c['views_cpu']:g} µs / 10⁶ / {self.util:g}"
        primaries = f"{self.reactions:,.0f} / {c['reactions_rate']:,.0f} / {self.util:g}"
        partitions = f"2 × {self.reactions_consumers + self.views_consumers}; 12 each at least"
        return [
            Need("reactions consumers", reactions, f"{self.reactions_consumers:,}"),
            Need("views consumers", views, f"{self.views_consumers:,}"),
            Need("partitions of reactions and views", partitions, f"{self._sql_partitions():,}"),
            Need("MySQL primaries, by reactions", primaries, f"{self.primaries:,}"),
        ]

    def _sql_partitions(self) -> int:
        return sum(max(12, _round(2 * n)) for n in (self.reactions_consumers, self.views_consumers))

    def _connections(self) -> list[Need]:
        c = self.costs
        consumers = self.consumers + self.reactions_consumers + self.views_consumers
        sql = self.gateways * c["sql_readers"] + consumers * c["sql_writers"]
        each = 2 * math.ceil(self.plays_partitions / self.consumers)
        thrift = self.gateways * c["thrift_connections"] + self.consumers * each
        kafka = (self.gateways + consumers) * self.brokers
        everyone = f"{self.gateways:,} gateways + {consumers:,} consumers"
        return [
            Need(
                "connections to MySQL, at most",
                f"{self.gateways:,} × {c['sql_readers']:g} + {consumers:,} × {c['sql_writers']:g}",
                f"{sql:,.0f}",
            ),
            Need(
                "connections to Thrift, at most",
                f"{self.gateways:,} × {c['thrift_connections']:g} + {self.consumers:,} × {each}, two a partition",
                f"{thrift:,.0f}",
            ),
            Need("connections to Kafka", f"({everyone}) × {self.brokers} brokers", f"{kafka:,.0f}"),
        ]

    def _totals(self) -> list[Need]:
        consumers = self.by_cpu + self.reactions_consumers + self.views_consumers
        viewers = self.rate * 1_000
        out = f"{_size(self.bytes_in)}/s × ({self.costs['replication']:g} copies + 1 reader)"
        return [
            Need("from viewers", f"{self.rate:,.0f} requests/s × 1,000 bytes", f"{_size(viewers)}/s"),
            Need("within the cluster", out, f"{_size(self.bytes_in * (self.costs['replication'] + 1))}/s"),
            Need(
                "cores, without the servers",
                f"{self.gateways:,} + {consumers:,} (consumers, by CPU)",
                f"{self.gateways + consumers:,}",
            ),
        ]


class Shared(NamedTuple):
    """A part that does not grow with partitions and consumers: when it is full, and what then."""

    what: str
    how: str
    full: str
    then: str


def shared(plan: Plan) -> list[Shared]:
    """What everybody shares: the sinks and keys, the sessions, and what gateways read."""
    return [*_of_sinks(plan), *_of_sessions(plan), *_of_reads(plan)]


def _of_sinks(plan: Plan) -> list[Shared]:
    c = plan.costs
    one = BATCH / (BATCH * c["plays_cpu"] / 1e6 + (c["flush_cpu"] + c["hbase_flush"]) / 1e3)
    return [
        Shared(
            "one MySQL primary",
            f"{c['reactions_rate']:,.0f} reactions/s, at {c['reactions']:.0%} of the events",
            f"{_events(c['reactions_rate'] / c['reactions'])}",
            "MySQL that shards by user_id behind one address; playtrail knows one URL",
        ),
        Shared(
            "the partition of the hottest video",
            f"one batch after the other, {one:,.0f} plays/s; by Zipf one video has {_top(c):.1%} of the plays",
            _events(one / _top(c) / c["plays"]),
            "nothing: a video's rows have one owner. A viral video is behind, the others are not",
        ),
    ]


def _of_sessions(plan: Plan) -> list[Shared]:
    c = plan.costs
    return [
        Shared(
            "sessions in memory",
            f"{_millions(plan.sessions)} at {plan.rate:,.0f} events/s; each start reads its part of them",
            "grows with the load, divided by the consumers",
            "more consumers and partitions; or remember sessions for less than a day",
        ),
        Shared(
            "snapshots of sessions",
            f"{_size(plan.snapshots)}/s, and {plan.sessions * c['snapshot'] / 1e6 * c['flushes'] / c['deltas']:,.0f}"
            " cores to make them",
            "grows with the sessions, whatever the consumers",
            "a longer linger, or more deltas to a snapshot (consumers/parts.py)",
        ),
        Shared(
            "the group coordinator, and a rebalance of aiokafka",
            "every member opens all of its partitions again when one is given up",
            "the time of a start, for all of the group at once",
            "static membership: a restart within "
            f"{c['session_timeout']:g} s moves nothing. One group for each range of videos divides it",
        ),
    ]


def _of_reads(plan: Plan) -> list[Shared]:
    c = plan.costs
    return [
        Shared(
            "rows of video_top in a statistics read",
            f"{plan.plays_partitions:,} rows × {c['top_reads']:g}/s × {plan.gateways:,} gateways: "
            f"{plan.plays_partitions * c['top_reads'] * plan.gateways / 1e6:,.1f} M rows/s",
            "grows with partitions × gateways",
            "a cache between gateways and Thrift, or a longer second (gateway/statistics.py)",
        ),
        Shared(
            "the first region of a table",
            f"a new table has one, and so one server: {c['hbase_rows']:,.0f} rows/s",
            _events(c["hbase_rows"] / c["plays"]),
            "split video by the first digits of its keys, which are even, and plays_checkpoint by partition, before",
        ),
        Shared(
            "positions, for reads that wait",
            f"{plan.plays_partitions:,} rows a look, {c['position_looks']:g} looks/s of a gateway where one waits",
            "grows with partitions × gateways",
            "read the partition that is waited for alone (gateway/positions.py)",
        ),
        Shared(
            "clicks of one video",
            f"every partition of behavior.views updates its row; a row is locked for a commit, {c['sql_commit']:g} ms",
            f"{1000 / c['sql_commit']:,.0f} transactions/s on that row; then batches grow, and the lag with them",
            "counts by partition, as reaction_count has them",
        ),
        Shared(
            "the catalogue",
            f"read again and again by each of {plan.gateways:,} gateways: "
            f"{plan.gateways * c['catalogue_rows'] / 1e6:,.2f} M rows/s; what was withdrawn is seen within "
            f"{c['videos'] / c['catalogue_rows'] / 60:,.0f} minutes",
            "grows with gateways; the time with videos",
            "a replica for reads, or fewer and larger machines",
        ),
        Shared("consumer_offset", "a row for each partition, written by its owner alone", "not shared", "–"),
        Shared(
            "the key set (JWKS)", "read by each gateway now and then, kept in memory", "not on the way of a write", "–"
        ),
    ]


def _top(costs: Costs) -> float:
    return 1 / (math.log(costs["videos"]) + 0.5772)


def _events(rate: float) -> str:
    return f"{rate / 1e6:,.1f} M events/s"


def _round(partitions: float) -> int:
    """Up to the next multiple of a power of two of about its own size, so that it divides evenly for long."""
    step = 1 << max(0, int(math.log2(max(1.0, partitions))) - 2)
    return math.ceil(partitions / step) * step


def _millions(number: float) -> str:
    return f"{number / 1e6:,.0f} M"


def _size(number: float) -> str:
    for unit, size in (("TB", TB), ("GB", GB)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number / MB:,.1f} MB"
