"""Counts and durations of requests, as Prometheus sees them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from gateway.timings import BUCKETS, Timings

SEEN = [
    ("/a", "GET", 200, 0.0004),
    ("/a", "GET", 200, 0.001),
    ("/a", "GET", 404, 0.3),
    ("/a", "POST", 200, 7.0),
    ("/b", "GET", 200, 0.02),
]


def _samples(registry: CollectorRegistry) -> set[str]:
    """The lines of the page, without those that tell when a counter began."""
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if "_created" not in line}


def test_the_page_is_that_of_a_counter_and_a_histogram() -> None:
    ours, theirs, timings = CollectorRegistry(), CollectorRegistry(), Timings()
    ours.register(timings)
    labels = ("route", "method", "status")
    counter = Counter("playtrail_http_requests", "Requests by route, method and status", labels, registry=theirs)
    histogram = Histogram(
        "playtrail_http_request_seconds", "Time to answer, by route and method", labels[:2], buckets=BUCKETS,
        registry=theirs,
    )  # fmt: skip
    for route, method, status, seconds in SEEN:
        timings.add(route, method, status, seconds)
        counter.labels(route, method, status).inc()
        histogram.labels(route, method).observe(seconds)
    assert _samples(ours) == _samples(theirs)
