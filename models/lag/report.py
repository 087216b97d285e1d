"""What one look at the projections found: the structure behind the table, the JSON, /metrics and the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from models.lag.window import STATES, State

Level: TypeAlias = Literal[0, 1, 2]
"""0: within the targets of topics.yaml. 1: the target ``warn`` is reached. 2: ``page`` is, or nobody knows."""

Seconds: TypeAlias = float | Literal["infinite"]
"""A time that may never come; JSON has no number for that."""

N = TypeVar("N", int, float)
INFINITE: Final = "infinite"


class PartitionLag(Struct, frozen=True, kw_only=True):
    """
    One partition of one projection. None is *not known*, and never 0.

    Attributes:
        position: The offset that is folded next, by the sink; None when the sink has none.
        epoch: The epoch of that position.
        committed: The copy of the position in the group, for Kafka's tools.
        earliest, end: The first offset that the log still has, and the one that the next record gets.
        lag: Records between position and end.
        lag_seconds: Age of the first record that is not folded, by its own time; 0 when there is none.
        estimated: Whether ``lag_seconds`` is only an estimate, since that record could not be read.
        rate_in, rate_out: Records a second appended and folded, over the last minute.
        catch_up_seconds: Until the lag is gone, at these rates.
        headroom_seconds: Until the first record that is not folded may be deleted by the topic's retention.ms, whether
            there is one or is one to come; 0 when one was. None when the topic keeps its records for ever.
        owner, client, host: Who has the partition in the group; empty when nobody does, or not known.
    """

    partition: int
    state: State
    position: int | None = None
    epoch: int | None = None
    committed: int | None = None
    earliest: int
    end: int
    lag: int | None = None
    lag_seconds: float | None = None
    estimated: bool = False
    rate_in: float | None = None
    rate_out: float | None = None
    catch_up_seconds: Seconds | None = None
    headroom_seconds: float | None = None
    owner: str = ""
    client: str = ""
    host: str = ""

    @property
    def empty(self) -> bool:
        """Whether the log has no record of the partition, so that no position is no lag."""
        return self.end <= self.earliest


class ProjectionLag(Struct, frozen=True, kw_only=True):
    """
    One projection over all partitions of its topic.

    Attributes:
        cluster: Id of the log that it folds.
        sampled_ms: When the ends of the log were read, in milliseconds since 1970.
        window_seconds: The time that states and rates are judged on; 0 after a first look.
        level: By the targets; a partition without a position is a 2, unless it has no records.
        state: The worst of its partitions.
        lag, rate_in, rate_out: Sums over the partitions where they are known; None when they are nowhere.
        lag_seconds, headroom_seconds: The worst partition's.
        catch_up_seconds: By the sums.
        skew: The largest lag over the median one, which counts as 1 when it is less.
        unowned: Partitions that nobody has.
        warn_seconds, page_seconds: The targets.
        retention_seconds: The topic's retention.ms; None when it keeps its records for ever.
    """

    projection: str
    group: str
    topic: str
    cluster: str
    sampled_ms: int
    window_seconds: float
    level: Level
    state: State
    lag: int | None
    lag_seconds: float | None
    rate_in: float | None
    rate_out: float | None
    catch_up_seconds: Seconds | None
    headroom_seconds: float | None
    skew: float | None
    unowned: tuple[int, ...]
    warn_seconds: float
    page_seconds: float
    retention_seconds: float | None
    partitions: tuple[PartitionLag, ...]


class Report(Struct, frozen=True, kw_only=True):
    """
    All projections at about the same time.

    Attributes:
        sampled_at: When, RFC 3339.
        level: The worst of ``projections``.
        errors: By projection, why it could not be looked at; it is not in ``projections`` then.
    """

    sampled_at: str
    level: Level
    projections: tuple[ProjectionLag, ...]
    errors: dict[str, str]

    def json(self) -> bytes:
        """One JSON object in one line."""
        return msgspec.json.encode(self)


def seconds(value: float | None) -> Seconds | None:
    """A time for the report: milliseconds exact, infinity as a word."""
    if value is None:
        return None
    return INFINITE if value == float("inf") else round(value, 3)


def level_of(partitions: Iterable[PartitionLag], warn: float, page: float) -> Level:
    """The worst level of the partitions, by targets in seconds."""
    levels: list[Level] = [0]
    for partition in partitions:
        if partition.lag_seconds is None:
            levels.append(0 if partition.empty else 2)
        else:
            levels.append(2 if partition.lag_seconds >= page else 1 if partition.lag_seconds >= warn else 0)
    return max(levels)


def worst(states: Iterable[State]) -> State:
    """The worst of some states; OK when there are none."""
    return max(states, key=STATES.index, default="OK")


def known(values: Iterable[N | None], join: Callable[[Sequence[N]], N]) -> N | None:
    """What ``join`` makes of those that are known; None when none is."""
    found = [value for value in values if value is not None]
    return join(found) if found else None
