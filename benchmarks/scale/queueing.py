"""What waits in one partition, by when it came."""

from __future__ import annotations

import math
import random
from collections import deque


class Waiting:
    """
    Events of one partition that are not folded: arrivals by a Poisson process, drawn when somebody looks.

    Attributes:
        count: How many wait, as of the last look.
    """

    def __init__(self, rate: float, backlog: int, rng: random.Random) -> None:
        self.count = backlog
        self._rate, self._rng = rate, rng
        self._drawn = 0.0
        self._spans: deque[tuple[float, float, int]] = deque([(0.0, 0.0, backlog)] if backlog else [])

    def look(self, now: float) -> int:
        """How many wait now."""
        arrived = _poisson(self._rate * (now - self._drawn), self._rng)
        if arrived:
            self._spans.append((self._drawn, now, arrived))
            self.count += arrived
        self._drawn = now
        return self.count

    def oldest(self, now: float) -> float:
        """When the event came that has waited longest; ``now`` when none waits."""
        return self._spans[0][0] if self._spans else now

    def take(self, wanted: int) -> list[tuple[float, float, int]]:
        """Remove the oldest ``wanted`` events; returns them as (came from, came until, how many)."""
        taken = []
        self.count -= wanted
        while wanted:
            begin, end, size = self._spans.popleft()
            part = min(size, wanted)
            middle = begin + (end - begin) * part / size
            taken.append((begin, middle, part))
            if part < size:
                self._spans.appendleft((middle, end, size - part))
            wanted -= part
        return taken

    def put_back(self, taken: list[tuple[float, float, int]]) -> None:
        """Undo a ``take``: whoever took them has died."""
        self._spans.extendleft(reversed(taken))
        self.count += sum(size for _, _, size in taken)


def _poisson(mean: float, rng: random.Random) -> int:
    """Knuth's method for small means, the normal distribution for large ones."""
    if mean > 15:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
