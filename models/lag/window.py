"""
What was seen of one partition lately, and what follows from it: the state, the rates, the age of a record.

Everything here is a function of the samples alone, so that each state is reached in a test without a server.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

State: TypeAlias = Literal["OK", "WARN", "STALL", "STOP", "REWIND", "unknown"]
"""How a projection does on a partition; see ``state``."""

STATES: Final[tuple[State, ...]] = ("OK", "WARN", "STALL", "STOP", "REWIND", "unknown")
"""From good to bad."""

WINDOW_MS: Final = 600_000
COUNT: Final = 60
"""A window has the samples of ten minutes, and no more than this: at a sample every five seconds, five minutes."""

RATE_MS: Final = 60_000
"""Rates are of the last minute: those of the whole window would say too late that a consumer has stopped."""

TREND: Final = 5
"""Samples that a growing lag must be seen in: two would call every second look at a busy topic a warning."""


class Sample(NamedTuple):
    """
    One look at a partition.

    Attributes:
        at_ms: When, in milliseconds since 1970.
        position: The offset that is folded next, by the sink; read before ``end``.
        end: The offset that the next record gets.
        owned: Whether the group had a member for the partition.
    """

    at_ms: int
    position: int
    end: int
    owned: bool

    @property
    def lag(self) -> int:
        """Records that are not folded; never negative, even when the log was cut below the position."""
        return max(0, self.end - self.position)


def kept(window: Sequence[Sample], now_ms: int) -> Sequence[Sample]:
    """The newest samples, within the bounds of a window."""
    return [sample for sample in window if sample.at_ms >= now_ms - WINDOW_MS][-COUNT:]


def state(window: Sequence[Sample]) -> State:
    """
    The state by Burrow's rules, judged on the sink's positions; ``window`` is in order of time.

    Burrow looks at a group's commits. Here a sample stands for a commit when the position has moved since the sample
    before, or when the partition has an owner: a living owner that stands still says the same position again.

    - ``unknown``: there is no sample, since there is no position. It is never taken for a lag of 0.
    - ``OK``: no lag at the last sample, or none of what follows; also when there is one sample only.
    - ``STOP``: no commit for longer than the commits of the window span, or none at all. Not when the log's end was at
      the position or below it within the window: on a slow topic the record that waits has only just come.
    - ``REWIND``: the position went back and has not regained where it was.
    - ``STALL``: lag in every sample, and the position never moved.
    - ``WARN``: lag in every sample, and it never shrank.

    Source: linkedin/Burrow, core/internal/evaluator/caching.go.
    """
    if not window:
        return "unknown"
    last = window[-1]
    if last.lag == 0 or len(window) == 1:
        return "OK"
    if _stopped(window):
        return "STOP"
    if max(sample.position for sample in window) > last.position:
        return "REWIND"
    if any(sample.lag == 0 for sample in window):
        return "OK"
    if all(sample.position == last.position for sample in window):
        return "STALL"
    return "WARN" if _growing(window) else "OK"


def _stopped(window: Sequence[Sample]) -> bool:
    if any(sample.end <= window[-1].position for sample in window):
        return False
    before = [window[0], *window]
    commits = [s.at_ms for b, s in zip(before, window, strict=False) if s.owned or s.position != b.position]
    return not commits or window[-1].at_ms - commits[-1] > commits[-1] - commits[0]


def _growing(window: Sequence[Sample]) -> bool:
    lags = [sample.lag for sample in window]
    return len(lags) >= TREND and all(a <= b for a, b in itertools.pairwise(lags))


class Rates(NamedTuple):
    """Records a second: appended to the partition, and folded from it."""

    into: float
    out: float


def rates(window: Sequence[Sample]) -> Rates | None:
    """The rates over the last minute; None when it has a single sample. A rewind counts as folding nothing."""
    if not window:
        return None
    last = window[-1]
    first = next(sample for sample in window if sample.at_ms >= last.at_ms - RATE_MS)
    seconds = (last.at_ms - first.at_ms) / 1000
    if seconds <= 0:
        return None
    return Rates(max(0.0, (last.end - first.end) / seconds), max(0.0, (last.position - first.position) / seconds))


def catch_up(lag: int, found: Rates | None) -> float | None:
    """Seconds until there is no lag, at these rates: infinite when no more is folded than comes in; None: not known."""
    if lag == 0:
        return 0.0
    if found is None:
        return None
    return lag / (found.out - found.into) if found.out > found.into else math.inf


def appended_ms(window: Sequence[Sample], offset: int) -> int | None:
    """
    About when the record at ``offset`` was appended, by how the end moved over it between two samples.

    For records whose own time cannot be read. One that was there before the window is as old as the window at least,
    and is given that age; None when it is not below the last end.
    """
    after = next((number for number, sample in enumerate(window) if sample.end > offset), None)
    if after is None:
        return None
    if after == 0:
        return window[0].at_ms
    a, b = window[after - 1], window[after]
    return a.at_ms + round((b.at_ms - a.at_ms) * (offset + 1 - a.end) / (b.end - a.end))
