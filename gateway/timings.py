"""How many requests were answered and how long they took: plain numbers, made into metrics when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_UPPER: Final = (*map(str, BUCKETS), "+Inf")


class _Times:
    """Of one route, method and status: how many took how long (one number a bucket), and the sum of seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * len(_UPPER)
        self.seconds = 0.0


class Timings(Collector):
    """
    ``playtrail_http_requests`` and ``playtrail_http_request_seconds``.

    prometheus-client's Counter and Histogram take a lock for each number, and 1 µs more of a request.
    """

    def __init__(self) -> None:
        self._times: dict[tuple[str, str, int], _Times] = {}

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer. ``route`` and ``method`` are of ours: labels from outside would fill the memory."""
        times = self._times.get((route, method, status))
        if times is None:
            times = self._times[route, method, status] = _Times()
        times.counts[bisect_left(BUCKETS, seconds)] += 1
        times.seconds += seconds

    def collect(self) -> Iterable[Metric]:
        """The metrics as of now; called by the registry, in any thread."""
        requests = CounterMetricFamily(
            "playtrail_http_requests", "Requests by route, method and status", labels=("route", "method", "status")
        )
        together: dict[tuple[str, str], _Times] = {}
        for (route, method, status), times in sorted(self._times.copy().items()):
            counts = times.counts.copy()
            requests.add_metric((route, method, str(status)), sum(counts))
            both = together.setdefault((route, method), _Times())
            both.counts = [a + b for a, b in zip(both.counts, counts, strict=True)]
            both.seconds += times.seconds
        durations = HistogramMetricFamily(
            "playtrail_http_request_seconds", "Time to answer, by route and method", labels=("route", "method")
        )
        for labels, times in together.items():
            buckets = list(zip(_UPPER, accumulate(times.counts), strict=True))
            durations.add_metric(labels, buckets, times.seconds)
        return requests, durations
