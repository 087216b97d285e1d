"""From what was read of the log and the sinks to the report; nothing here reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec

from models.eventlog.port import Owner
from models.lag.report import PartitionLag, ProjectionLag, Seconds, known, level_of, seconds, worst
from models.lag.window import Rates, Sample, appended_ms, catch_up, rates, state
from models.stores.port import Checkpoint
from models.topics import Topic

NOBODY: Final = Owner("")


class Found(NamedTuple):
    """What was read of one topic; ``now_ms`` is when its ends were."""

    positions: Mapping[int, Checkpoint]
    committed: Mapping[int, int]
    owners: Mapping[int, Owner]
    bounds: Mapping[int, tuple[int, int]]
    now_ms: int


class Seen(NamedTuple):
    """One partition over time; ``first_ms`` is the time of the first record that is not folded, if it was read."""

    window: Sequence[Sample]
    epoch: int | None
    first_ms: int | None


def group_of(projection: str) -> str:
    """The name of a projection's consumer group."""
    return f"playtrail-{projection}"


def retention_ms(topic: Topic) -> int | None:
    """How long the topic keeps a record; None for ever."""
    value = int(topic.config.get("retention.ms", "-1"))
    return value if value >= 0 else None


def partition_lag(number: int, seen: Seen, found: Found, topic: Topic) -> PartitionLag:
    """One partition; of one without a position only what the log knows."""
    (earliest, end), owner = found.bounds[number], found.owners.get(number, NOBODY)
    lag = PartitionLag(
        partition=number,
        state=state(seen.window),
        committed=found.committed.get(number),
        earliest=earliest,
        end=end,
        owner=owner.member,
        client=owner.client,
        host=owner.host,
    )
    return _measured(lag, seen, found.now_ms, retention_ms(topic)) if seen.window else lag


def _measured(lag: PartitionLag, seen: Seen, now_ms: int, retention: int | None) -> PartitionLag:
    last, speed = seen.window[-1], rates(seen.window)
    estimated = last.lag > 0 and seen.first_ms is None
    waited = _waited(seen, now_ms)
    return msgspec.structs.replace(
        lag,
        position=last.position,
        epoch=seen.epoch,
        lag=last.lag,
        lag_seconds=waited,
        estimated=estimated,
        rate_in=round(speed.into, 3) if speed else None,
        rate_out=round(speed.out, 3) if speed else None,
        catch_up_seconds=seconds(catch_up(last.lag, speed)),
        headroom_seconds=_headroom(retention, waited, lost=last.position < lag.earliest),
    )


def _waited(seen: Seen, now_ms: int) -> float:
    """Seconds since the first record that is not folded; a record that is dated in the future has not waited."""
    last = seen.window[-1]
    if not last.lag:
        return 0.0
    first_ms = appended_ms(seen.window, last.position) if seen.first_ms is None else seen.first_ms
    return max(0.0, (now_ms - (now_ms if first_ms is None else first_ms)) / 1000)


def _headroom(retention: int | None, waited: float, *, lost: bool) -> float | None:
    if retention is None:
        return None
    return 0.0 if lost else round(max(0.0, retention / 1000 - waited), 3)


def projection_lag(
    name: str, topic: Topic, cluster: str, partitions: Sequence[PartitionLag], now_ms: int, span_ms: int
) -> ProjectionLag:
    """A projection from its partitions; ``span_ms`` is the time that they were watched."""
    target, retention = topic.lag_seconds, retention_ms(topic)
    lags = [p.lag for p in partitions if p.lag is not None]
    into, out = known((p.rate_in for p in partitions), sum), known((p.rate_out for p in partitions), sum)
    return ProjectionLag(
        projection=name,
        group=group_of(name),
        topic=topic.name,
        cluster=cluster,
        sampled_ms=now_ms,
        window_seconds=span_ms / 1000,
        level=level_of(partitions, target.warn, target.page),
        state=worst(p.state for p in partitions),
        lag=sum(lags) if lags else None,
        lag_seconds=known((p.lag_seconds for p in partitions), max),
        rate_in=into,
        rate_out=out,
        catch_up_seconds=_catch_up(lags, into, out),
        headroom_seconds=known((p.headroom_seconds for p in partitions), min),
        skew=round(max(lags) / max(1.0, median(lags)), 3) if lags else None,
        unowned=tuple(p.partition for p in partitions if not p.owner),
        warn_seconds=target.warn,
        page_seconds=target.page,
        retention_seconds=None if retention is None else retention / 1000,
        partitions=tuple(partitions),
    )


def _catch_up(lags: Sequence[int], into: float | None, out: float | None) -> Seconds | None:
    """By the sums: a partition that is one record behind and stands still does not make a projection hopeless."""
    if not lags:
        return None
    return seconds(catch_up(sum(lags), None if into is None or out is None else Rates(into, out)))
