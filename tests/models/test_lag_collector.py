"""The lag for Prometheus: names, labels, and what has no series."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from models.events import VIEWS
from models.lag.collector import LagCollector
from models.lag.report import Report
from models.lag.sampler import Sampler
from tests.models.lagging import GROUP, NUMBER, Bench, views


def text(collector: LagCollector) -> list[str]:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode().splitlines()


async def test_the_series_have_the_names_and_labels_of_kafka_lag_exporter(bench: Bench, sampler: Sampler) -> None:
    collector = LagCollector(["views"])
    await bench.open()
    await bench.append(4)
    bench.clock.advance(9)
    report = await sampler.report()
    collector.update(report)
    cluster = f'cluster_name="{views(report).cluster}"'
    place = f'partition="{NUMBER}"'
    member = f'client_id="",{cluster},consumer_id="",group="{GROUP}",member_host="",{place},topic="{VIEWS}"'
    series = text(collector)
    assert f"kafka_consumergroup_group_offset{{{member}}} 0.0" in series
    assert f"kafka_consumergroup_group_lag{{{member}}} 4.0" in series
    assert f"kafka_consumergroup_group_lag_seconds{{{member}}} 9.0" in series
    for name, value in (("max_lag", 4.0), ("max_lag_seconds", 9.0), ("sum_lag", 4.0)):
        assert f'kafka_consumergroup_group_{name}{{{cluster},group="{GROUP}"}} {value}' in series
    assert f'kafka_consumergroup_group_topic_sum_lag{{{cluster},group="{GROUP}",topic="{VIEWS}"}} 4.0' in series
    assert f'kafka_partition_latest_offset{{{cluster},{place},topic="{VIEWS}"}} 4.0' in series
    assert f'kafka_partition_earliest_offset{{{cluster},{place},topic="{VIEWS}"}} 0.0' in series


async def test_unknown_has_no_series_and_infinity_is_one(bench: Bench, sampler: Sampler) -> None:
    collector = LagCollector(["views"])
    collector.update(await sampler.report())
    assert not [s for s in text(collector) if s.startswith(("kafka_consumergroup", "playtrail_lag_epoch"))]
    await bench.open()
    await bench.append(1)
    await sampler.report()
    bench.clock.advance(1)
    collector.update(await sampler.report())
    (never,) = [s for s in text(collector) if s.startswith("playtrail_lag_group_catch_up_seconds{")]
    assert never.endswith(" +Inf")


async def test_a_look_that_failed_is_counted_and_the_last_one_stays(bench: Bench, sampler: Sampler) -> None:
    collector = LagCollector(["views"])
    await bench.open()
    collector.update(await sampler.report())
    before = [s for s in text(collector) if s.startswith("kafka_")]
    assert before
    collector.update(Report(sampled_at="", level=0, projections=(), errors={"views": "away"}))
    assert [s for s in text(collector) if s.startswith("kafka_")] == before
    assert f'playtrail_lag_failures_total{{group="{GROUP}"}} 1.0' in text(collector)
