"""From when to when: what ``--from`` and ``--to`` say, and the offsets that they mean in the log now."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from models.errors import Refused
from models.eventlog.port import LogReader

UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

ALLOWED: Final = (
    "a time such as 2026-11-24 or 2026-11-24T06:30:00Z (UTC unless it says otherwise), -48h (s, m, h, d or w), now, "
    "seconds or milliseconds since 1970, @OFFSET, or @PARTITION:OFFSET,…"
)


class Moment(NamedTuple):
    """A time, in milliseconds since 1970; it is compared with the records' own times."""

    ms: int


class Offsets(NamedTuple):
    """Offsets: of single partitions, and of all others (None: not bounded)."""

    others: int | None
    each: Mapping[int, int]


Bound: TypeAlias = Moment | Offsets


class Span(NamedTuple):
    """Offsets of one partition, ``end`` not included."""

    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pinned:
    """
    What a replay reads, decided once at its start.

    Attributes:
        spans: By ascending partition; empty ones are left out.
        bounds: Of every partition of the topic: the first offset kept, and the end that is pinned.
        since, until: Records before ``since`` or at ``until`` and later are left out, milliseconds; None: no limit.
    """

    spans: tuple[Span, ...]
    bounds: Mapping[int, tuple[int, int]]
    since: int | None = None
    until: int | None = None


def parse(field: str, text: str, now: int) -> Bound:
    """What the option ``field`` says; ``now`` in milliseconds. Raises Refused."""
    text = text.strip()
    if text.startswith("@"):
        return _offsets(field, text)
    if text == "now":
        return Moment(now)
    if relative := re.fullmatch(r"-(\d{1,9})([smhdw])", text):
        return Moment(now - int(relative[1]) * UNITS[relative[2]])
    if re.fullmatch(r"\d{9,10}", text):
        return Moment(int(text) * 1000)
    if re.fullmatch(r"\d{12,13}", text):
        return Moment(int(text))
    return Moment(_iso(field, text))


def _iso(field: str, text: str) -> int:
    try:
        if not re.match(r"\d{4}-\d\d-\d\d", text):
            raise ValueError(text)
        found = datetime.fromisoformat(text)
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise Refused(field, text, ALLOWED) from error


def _offsets(field: str, text: str) -> Offsets:
    if re.fullmatch(r"@\d{1,18}", text):
        return Offsets(int(text[1:]), {})
    if not re.fullmatch(r"@\d{1,6}:\d{1,18}(,\d{1,6}:\d{1,18})*", text):
        raise Refused(field, text, ALLOWED)
    pairs = [pair.split(":") for pair in text[1:].split(",")]
    each = {int(partition): int(offset) for partition, offset in pairs}
    if len(each) < len(pairs):
        raise Refused(field, text, "each partition once")
    return Offsets(None, each)


async def pin(
    reader: LogReader, topic: str, begin: Bound | None, end: Bound | None, slack: int, only: Collection[int] = ()
) -> Pinned:
    """
    The offsets that the bounds mean now.

    A time becomes an offset by the log's own index. At the start that is exact: what is before the first record that
    is not earlier is earlier. At the end it is not, since a record carries its writer's time and may have come late (by
    way of a spool): what came up to ``slack`` milliseconds late is still read. Single records are judged by their times
    in any case.

    Raises Refused for a partition or an offset that the log does not have.
    """
    bounds = await reader.bounds(topic)
    for partition in only:
        _known("--partition", partition, bounds)
    since = begin.ms if isinstance(begin, Moment) else None
    until = end.ms if isinstance(end, Moment) else None
    starts = {p: first for p, (first, _) in bounds.items()}
    ends = {p: last for p, (_, last) in bounds.items()}
    if since is not None:
        starts = {**ends, **await reader.offsets_at(topic, since)}
    if until is not None:
        ends = {
            p: min(last, ends[p]) for p, last in ({**ends, **await reader.offsets_at(topic, until + slack)}).items()
        }
    if isinstance(begin, Offsets):
        starts = _placed("--from", begin, bounds, starts)
    if isinstance(end, Offsets):
        ends = _placed("--to", end, bounds, ends)
    wanted = sorted(only or bounds)
    spans = tuple(Span(p, starts[p], ends[p]) for p in wanted if starts[p] < ends[p])
    return Pinned(spans, dict(bounds), since, until)


def _placed(
    field: str, given: Offsets, bounds: Mapping[int, tuple[int, int]], default: Mapping[int, int]
) -> dict[int, int]:
    for partition, offset in given.each.items():
        _known(field, partition, bounds)
        first, last = bounds[partition]
        if not first <= offset <= last:
            raise Refused(field, f"@{partition}:{offset}", f"an offset of partition {partition}, {first} to {last}")
    if given.others is None:
        return {**default, **given.each}
    return {p: min(max(given.others, first), last) for p, (first, last) in bounds.items()}


def _known(field: str, partition: int, bounds: Collection[int]) -> None:
    if partition not in bounds:
        raise Refused(field, partition, f"a partition, 0 to {len(bounds) - 1}")
