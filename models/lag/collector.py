"""
The lag for Prometheus, under the names of kafka-lag-exporter, so that its dashboards and alerts work as they are.

What it has no name for begins with ``playtrail_lag_``. What is not known has no series: it is never 0. The series are
made from the last report each time somebody asks, so that an owner or a topic that is gone leaves none behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.lag.measure import group_of
from models.lag.report import PartitionLag, ProjectionLag, Report, Seconds
from models.lag.window import STATES

Value: TypeAlias = float | Seconds | None

_MEMBER: Final = ("cluster_name", "group", "topic", "partition", "member_host", "consumer_id", "client_id")
"""Of kafka-lag-exporter; what is about less has the first of them."""

_OF_MEMBERS: Final[Mapping[str, tuple[str, Callable[[PartitionLag], Value]]]] = MappingProxyType(
    {
        "kafka_consumergroup_group_offset": ("Offset that is folded next, by the sink", lambda p: p.position),
        "kafka_consumergroup_group_lag": ("Records that are not folded", lambda p: p.lag),
        "kafka_consumergroup_group_lag_seconds": ("Age of the first of them", lambda p: p.lag_seconds),
    }
)
_OF_PLACES: Final[Mapping[str, tuple[str, Callable[[PartitionLag], Value]]]] = MappingProxyType(
    {
        "playtrail_lag_committed_offset": ("The copy of the position in the group", lambda p: p.committed),
        "playtrail_lag_epoch": ("Epoch of the position", lambda p: p.epoch),
        "playtrail_lag_owned": ("1 when the group has a member for the partition", lambda p: float(bool(p.owner))),
        "playtrail_lag_estimated": ("1 when the age is an estimate: the record is unreadable", lambda p: p.estimated),
        "playtrail_lag_catch_up_seconds": ("Until the lag is gone, at these rates", lambda p: p.catch_up_seconds),
        "playtrail_lag_retention_headroom_seconds": (
            "Until the first record that is not folded may be deleted",
            lambda p: p.headroom_seconds,
        ),
    }
)
_OF_GROUPS: Final[Mapping[str, tuple[str, Callable[[ProjectionLag], Value]]]] = MappingProxyType(
    {
        "kafka_consumergroup_group_max_lag": ("Largest lag of a partition", lambda g: _largest(g.partitions)),
        "kafka_consumergroup_group_max_lag_seconds": ("Largest age of a partition", lambda g: g.lag_seconds),
        "kafka_consumergroup_group_sum_lag": ("Lag of all partitions", lambda g: g.lag),
    }
)
_OF_TOPICS: Final[Mapping[str, tuple[str, Callable[[ProjectionLag], Value]]]] = MappingProxyType(
    {
        "kafka_consumergroup_group_topic_sum_lag": ("Lag of all partitions of a topic", lambda g: g.lag),
        "playtrail_lag_in_per_second": ("Records appended a second", lambda g: g.rate_in),
        "playtrail_lag_out_per_second": ("Records folded a second", lambda g: g.rate_out),
        "playtrail_lag_group_catch_up_seconds": ("Until all lag is gone, at these rates", lambda g: g.catch_up_seconds),
        "playtrail_lag_skew": ("Largest lag over the median one", lambda g: g.skew),
        "playtrail_lag_retention_seconds": ("How long the topic keeps a record", lambda g: g.retention_seconds),
        "playtrail_lag_sampled_timestamp_seconds": ("When this was last looked at", lambda g: g.sampled_ms / 1000),
    }
)


class LagCollector(Collector):
    """Shows the reports given to it; of a projection that a report could not look at, the last that could."""

    def __init__(self, projections: Iterable[str]) -> None:
        self._last: Mapping[str, ProjectionLag] = {}
        self._failures = dict.fromkeys(projections, 0)

    def update(self, report: Report) -> None:
        """Take a report."""
        self._last = {**self._last, **{lag.projection: lag for lag in report.projections}}
        for name in report.errors:
            self._failures[name] = self._failures.get(name, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """The families; called by the registry, in any thread."""
        groups = list(self._last.values())
        yield from (_partitions(name, *what, _MEMBER, groups) for name, what in _OF_MEMBERS.items())
        yield from (_partitions(name, *what, _MEMBER[:4], groups) for name, what in _OF_PLACES.items())
        yield from (_sums(name, *what, _MEMBER[:2], groups) for name, what in _OF_GROUPS.items())
        yield from (_sums(name, *what, _MEMBER[:3], groups) for name, what in _OF_TOPICS.items())
        yield from (_states(groups), _targets(groups), *_bounds(groups))
        failures = CounterMetricFamily("playtrail_lag_failures", "Looks that failed", labels=["group"])
        for name, count in self._failures.items():
            failures.add_metric([group_of(name)], count)
        yield failures


def _partitions(
    name: str,
    text: str,
    value: Callable[[PartitionLag], Value],
    labels: tuple[str, ...],
    groups: Iterable[ProjectionLag],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for group in groups:
        for p in group.partitions:
            _add(family, [*_of(group), str(p.partition), p.host, p.owner, p.client][: len(labels)], value(p))
    return family


def _sums(
    name: str,
    text: str,
    value: Callable[[ProjectionLag], Value],
    labels: tuple[str, ...],
    groups: Iterable[ProjectionLag],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for group in groups:
        _add(family, _of(group)[: len(labels)], value(group))
    return family


def _states(groups: Iterable[ProjectionLag]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("playtrail_lag_state", "1 for the state it is in", labels=(*_MEMBER[:4], "state"))
    for group in groups:
        for p in group.partitions:
            for state in STATES:
                family.add_metric([*_of(group), str(p.partition), state], float(p.state == state))
    return family


def _targets(groups: Iterable[ProjectionLag]) -> GaugeMetricFamily:
    text = "Age at which an operator is warned, and paged"
    family = GaugeMetricFamily("playtrail_lag_target_seconds", text, labels=(*_MEMBER[:3], "level"))
    for group in groups:
        family.add_metric([*_of(group), "warn"], group.warn_seconds)
        family.add_metric([*_of(group), "page"], group.page_seconds)
    return family


def _bounds(groups: Iterable[ProjectionLag]) -> Iterator[GaugeMetricFamily]:
    """Of each topic once, though several groups may read it."""
    labels = ("cluster_name", "topic", "partition")
    latest = GaugeMetricFamily("kafka_partition_latest_offset", "Offset of the next record", labels=labels)
    earliest = GaugeMetricFamily("kafka_partition_earliest_offset", "Offset of the first record kept", labels=labels)
    for group in {(group.cluster, group.topic): group for group in groups}.values():
        for p in group.partitions:
            place = [group.cluster, group.topic, str(p.partition)]
            latest.add_metric(place, p.end)
            earliest.add_metric(place, p.earliest)
    yield from (latest, earliest)


def _of(group: ProjectionLag) -> list[str]:
    return [group.cluster, group.group, group.topic]


def _add(family: GaugeMetricFamily, labels: list[str], value: Value) -> None:
    if value is not None:
        family.add_metric(labels, float("inf") if isinstance(value, str) else value)


def _largest(partitions: Iterable[PartitionLag]) -> int | None:
    return max((p.lag for p in partitions if p.lag is not None), default=None)
