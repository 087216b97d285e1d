"""The table of `playtrail lag`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rich.table import Table

from models.lag.report import PartitionLag, ProjectionLag, Report, Seconds

COLUMNS: Final = (
    "projection", "part", "state", "lag", "behind", "position", "copy", "end", "in/s", "out/s", "caught up in",
    "headroom", "owner",
)  # fmt: skip
_LEFT: Final = frozenset({"projection", "state", "owner"})
_STYLES: Final[Mapping[str, str]] = MappingProxyType({"OK": "green", "WARN": "yellow"})
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
_LEVELS: Final = ("within its targets", "at its target warn", "at its target page, or unknown")


def table(report: Report) -> Table:
    """A row for each partition, and above them one for the projection."""
    drawn = Table(title=_title(report), caption=_caption(report), title_justify="left", caption_justify="left")
    for name in COLUMNS:
        drawn.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
    for projection in report.projections:
        drawn.add_section()
        drawn.add_row(*_sum(projection), style="bold")
        for partition in projection.partitions:
            drawn.add_row(*_row(partition, projection.retention_seconds))
    return drawn


def _title(report: Report) -> str:
    span = max((projection.window_seconds for projection in report.projections), default=0.0)
    return f"Lag at {report.sampled_at}; states and rates of {time(span)}"


def _caption(report: Report) -> str:
    levels = [f"{lag.projection} is {_LEVELS[lag.level]}" for lag in report.projections if lag.level]
    unowned = [f"{lag.projection}: {len(lag.unowned)} without an owner" for lag in report.projections if lag.unowned]
    errors = [f"{name}: {reason}" for name, reason in report.errors.items()]
    return "\n".join([*levels, *unowned, *errors])


def _sum(lag: ProjectionLag) -> tuple[str, ...]:
    skew = "" if lag.skew is None or lag.skew < 2 else f"skew {lag.skew:g}"
    ends = sum(partition.end for partition in lag.partitions)
    return (
        lag.projection, "all", _state(lag.state), _count(lag.lag), time(lag.lag_seconds), "", "", f"{ends:,}",
        _rate(lag.rate_in), _rate(lag.rate_out), time(lag.catch_up_seconds),
        _headroom(lag.headroom_seconds, lag.retention_seconds), skew,
    )  # fmt: skip


def _row(lag: PartitionLag, retention: float | None) -> tuple[str, ...]:
    behind = ("about " if lag.estimated else "") + time(lag.lag_seconds)
    return (
        "", str(lag.partition), _state(lag.state), _count(lag.lag), behind, _count(lag.position), _count(lag.committed),
        f"{lag.end:,}", _rate(lag.rate_in), _rate(lag.rate_out), time(lag.catch_up_seconds),
        _headroom(lag.headroom_seconds, retention), lag.owner or "nobody",
    )  # fmt: skip


def _state(state: str) -> str:
    style = _STYLES.get(state, "red")
    return f"[{style}]{state}[/{style}]"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _headroom(value: float | None, retention: float | None) -> str:
    return "for ever" if retention is None else time(value)


def time(value: Seconds | None) -> str:
    """``-`` when it is not known, ``never``, or two figures that a person can take in."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return "never"
    for seconds, unit in _UNITS:
        if value >= seconds:
            return f"{value / seconds:.1f} {unit}"
    return f"{value:.1f} s"
