"""An event loop whose time jumps to the next thing that is due: hours take milliseconds, and nothing waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class Stalled(AssertionError):  # noqa: N818 -- said of the world, as the other words of the simulator
    """Everybody waits for somebody else: nothing will ever happen again."""


class _NoFiles(selectors.BaseSelector):
    """Waiting is what moves the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stalled("nothing is scheduled any more")
        self.now += max(0.0, timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise NotImplementedError("files have no place in simulated time")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise NotImplementedError("files have no place in simulated time")

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs callbacks in the order of their times; ``time`` is in seconds from 0."""

    def __init__(self) -> None:
        self._clock = _NoFiles()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

    # The base class wakes itself through a pair of sockets, which one thread at a time does not need.

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
