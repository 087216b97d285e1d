"""
What the read models have to be: one plain pass over the log in the words of the contract.

Written apart from the consumers and without their help: values are read with the json module, encodings spelled out.
A record that the traffic meant to be no event carries the header ``poison``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tests.simulator.memory_broker import StoredRecord

BUCKET_MS = 6 * 60 * 60 * 1000
FORGOTTEN_AFTER = 4
LISTED = 16

SWITCHES = {
    "like": ("like", "video_id", 1),
    "no_like": ("like", "video_id", 0),
    "collect": ("collect", "video_id", 1),
    "no_collect": ("collect", "video_id", 0),
    "follow": ("follow", "followee_id", 1),
    "no_follow": ("follow", "followee_id", 0),
}


def is_poison(record: StoredRecord) -> bool:
    """Whether the record has to end as a dead letter."""
    return ("poison", b"1") in record.headers


def dead_letters(records: Iterable[StoredRecord]) -> set[tuple[int, int]]:
    """(partition, offset) of what has to be put aside."""
    return {(record.partition, record.offset) for record in records if is_poison(record)}


def _events(records: Iterable[StoredRecord]) -> Iterator[tuple[StoredRecord, dict[str, Any]]]:
    return ((record, json.loads(record.value)) for record in records if not is_poison(record))


class Reactions(NamedTuple):
    """(status, event_id, time) by kind, user and target; and how many are on by kind and target."""

    rows: dict[tuple[str, int, int], tuple[int, str, int]]
    counts: dict[tuple[str, int], int]


def reactions(records: Iterable[StoredRecord]) -> Reactions:
    """The word with the largest event_id counts; of the same event_id, the first in the log."""
    rows: dict[tuple[str, int, int], tuple[int, str, int]] = {}
    for record, event in _events(records):
        kind, target, status = SWITCHES[event["event"]]
        key = kind, event["user_id"], event[target]
        if key not in rows or event["event_id"] > rows[key][1]:
            rows[key] = status, event["event_id"], record.timestamp
    counts = Counter((kind, target) for (kind, _, target), (status, _, _) in rows.items() if status)
    return Reactions(rows, dict(counts))


def clicks(records: Iterable[StoredRecord]) -> dict[int, int]:
    """Times that each video's page was opened."""
    return dict(Counter(event["video_id"] for _, event in _events(records) if event["event"] == "detail"))


class Plays(NamedTuple):
    """The bytes of the tables ``video`` (by row key and column) and ``video_top`` (by row key)."""

    rows: dict[bytes, dict[bytes, bytes]]
    tops: dict[bytes, bytes]


def plays(partitions: Iterable[Sequence[StoredRecord]]) -> Plays:
    """Each partition has videos, sessions and a top list of its own."""
    rows: dict[bytes, dict[bytes, bytes]] = {}
    tops: dict[bytes, bytes] = {}
    for number, records in enumerate(partitions):
        times, seconds = _partition(records)
        for video in times:
            rows[str(video).zfill(10)[::-1].encode()] = {
                b"video:content_id": str(video).encode(),
                b"play:times": str(times[video]).encode(),
                b"play:duration": str(seconds[video]).encode(),
            }
        if times:
            lists = json.dumps([_best(times), _best(seconds)], separators=(",", ":"))
            tops[f"p{number:04d}".encode()] = lists.encode()
    return Plays(rows, tops)


def _partition(records: Iterable[StoredRecord]) -> tuple[dict[int, int], dict[int, int]]:
    """Plays and seconds by video. A session idle for more than four buckets of the watermark is a new play."""
    times: dict[int, int] = {}
    seconds: dict[int, int] = {}
    sessions: dict[str, tuple[int, int]] = {}
    watermark = 0
    for record, event in _events(records):
        watermark = max(watermark, record.timestamp)
        bucket, video, session = watermark // BUCKET_MS, event["video_id"], event["session"]
        counted, touched = sessions.get(session, (0, -FORGOTTEN_AFTER - 1))
        if bucket - touched > FORGOTTEN_AFTER:
            counted = 0
            times[video] = times.get(video, 0) + 1
        gained = max(0, event["play_time"] - counted)
        sessions[session] = counted + gained, bucket
        if gained or video in times:
            times.setdefault(video, 0)
            seconds[video] = seconds.get(video, 0) + gained
    return times, seconds


def _best(values: dict[int, int]) -> list[list[int]]:
    return [[video, values[video]] for video in sorted(values, key=lambda v: (-values[v], v))[:LISTED]]
