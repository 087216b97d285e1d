"""Time, injected: the system's clock, and one for tests that moves only when told."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of wall time; nothing that is folded from the log may use it."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock for tests; ``advance`` moves it."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._now = start_ms

    def now_ms(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * 1000)
