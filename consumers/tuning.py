"""Sizes and times of a runner, and how long it waits after failures."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """
    How a runner works; times in seconds.

    Attributes:
        max_records: Records of a poll, and folded at once; a partition holds three times as many at most.
        flush_records: After so many folded records comes a flush, also when more wait.
        linger: Least time between two flushes of a partition, so that small batches gather.
        gather: How long after a flush more records are waited for, when there are so many that a poll was filled.
        wait: How long a poll waits.
        budget: How long a running flush is waited for when its partition is revoked.
        first_delay, last_delay: Back-off after failures, doubling.
        commit_every: How often positions are copied to the group.
        forward: Limit for sending a dead letter to behavior.dead.
    """

    max_records: int = 1_000
    flush_records: int = 20_000
    linger: float = 0.06
    gather: float = 0.25
    wait: float = 0.1
    budget: float = 10.0
    first_delay: float = 0.2
    last_delay: float = 10.0
    commit_every: float = 0.5
    forward: float = 5.0


class Backoff:
    """Delays that double from ``first`` to ``last``, each shortened at random by up to half: no herd."""

    def __init__(self, tuning: Tuning) -> None:
        self._first, self._last = tuning.first_delay, tuning.last_delay
        self._next = self._first

    def delay(self) -> float:
        delay, self._next = self._next, min(self._next * 2, self._last)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret

    def reset(self) -> None:
        self._next = self._first
