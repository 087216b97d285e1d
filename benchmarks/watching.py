"""When a projection's position passed an event: read from its store again and again, by a thread of its own."""

from __future__ import annotations

import bisect
import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from models.stores.port import PositionStore

EVERY: Final = 0.01
"""Seconds between two looks: an event is seen that much later, and a look, than it could be."""


class Watch:
    """
    Where a projection stood, and when.

    ``seen`` may be asked when the watch has ended.
    """

    def __init__(self, store: PositionStore, projection: str, topic: str) -> None:
        self._store, self._projection, self._topic = store, projection, topic
        self._offsets: defaultdict[int, list[int]] = defaultdict(list)
        self._times: defaultdict[int, list[float]] = defaultdict(list)
        self._ended = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Look, from now to the end of the block."""
        thread = threading.Thread(target=self._run, name=f"watch-{self._projection}")
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def position(self, partition: int) -> int:
        """The offset that is folded next, as last seen."""
        offsets = self._offsets.get(partition)
        return offsets[-1] if offsets else 0

    def seen(self, partition: int, offset: int) -> float | None:
        """When the event was first seen folded, in seconds of ``time.monotonic``; None when it was not."""
        at = bisect.bisect_right(self._offsets[partition], offset)
        return self._times[partition][at] if at < len(self._offsets[partition]) else None

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            places = self._store.positions(self._projection, self._topic)
            now = time.monotonic()  # after the answer: what it says was true by now
            for partition, place in places.items():
                offsets = self._offsets[partition]
                if not offsets or place.next_offset > offsets[-1]:
                    offsets.append(place.next_offset)
                    self._times[partition].append(now)
