"""How events spread over partitions: videos by Zipf's law, and one that everybody watches."""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

HEAD: Final = 1_000
"""Videos placed one by one; the rest is so many and so small that every partition gets its even part of it."""
SIZES: Final = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)


class Share(NamedTuple):
    """A partition's part of the events, and how many rows a batch of n of its events changes."""

    weight: float
    rows: Callable[[int], float]


def even(partitions: int) -> list[Share]:
    """Keys that are many and small, such as users; each event is a row of its own."""
    return [Share(1 / partitions, float)] * partitions


def zipf(videos: int, partitions: int, rng: random.Random, viral: float = 0.0) -> list[Share]:
    """Videos by Zipf's law with exponent 1; ``viral`` is the part of all events that one more video gets."""
    harmonic = sum(1 / rank for rank in range(1, HEAD + 1)) + math.log(videos / HEAD)
    scale = (1 - viral) / harmonic
    placed: list[list[float]] = [[] for _ in range(partitions)]
    for rank in range(1, min(HEAD, videos) + 1):
        placed[rng.randrange(partitions)].append(scale / rank)
    if viral:
        placed[rng.randrange(partitions)].append(viral)
    tail = _tail(videos, partitions, scale)
    return [_share(head, tail) for head in placed]


def _tail(videos: int, partitions: int, scale: float) -> list[tuple[float, float]]:
    """One partition's part of the tail: (how many videos, weight of each), by doubling ranks."""
    groups, low = [], HEAD
    while low < videos:
        high = min(videos, 2 * low)
        groups.append(((high - low) / partitions, scale * math.log(high / low) / (high - low)))
        low = high
    return groups


def _share(head: Sequence[float], tail: Sequence[tuple[float, float]]) -> Share:
    weight = sum(head) + sum(count * each for count, each in tail)
    groups = [*((1.0, each) for each in head), *tail]
    # Videos seen in n draws: each is missed with probability (1 - p) ** n.
    missed = [(count, math.log1p(-min(each / weight, 1 - 1e-12))) for count, each in groups]
    seen = [sum(-count * math.expm1(n * log) for count, log in missed) for n in SIZES]
    return Share(weight, lambda n: _between(seen, n))


def _between(seen: Sequence[float], n: int) -> float:
    at = max(1, min(bisect.bisect_left(SIZES, n), len(SIZES) - 1))
    low, high = SIZES[at - 1], SIZES[at]
    return seen[at - 1] + (seen[at] - seen[at - 1]) * (n - low) / (high - low)
