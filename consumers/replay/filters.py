"""Which events are wanted: by event, user, video, time and condition."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from consumers.replay.expression import Predicate, both, parse
from models.errors import Refused
from models.eventlog.port import Record
from models.events import BY_TOPIC, name_of


def wanted(
    topic: str,
    events: Collection[str] = (),
    users: Collection[int] = (),
    videos: Collection[int] = (),
    where: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> Predicate | None:
    """
    Whether a record and its event are wanted; None when all are.

    Of each kind of filter one value must fit, and all kinds must. Raises Refused for what the topic does not have.
    """
    if topic not in BY_TOPIC and (events or users or videos):
        raise Refused("TOPIC", topic, f"for --event, --user and --video: {', '.join(BY_TOPIC)}")
    tests: list[Predicate] = []
    if since is not None or until is not None:
        tests.append(_between(since, until))
    if events:
        tests.append(_of_events(topic, events))
    if users:
        chosen_users = frozenset(users)
        tests.append(lambda _, event: event.user_id in chosen_users)
    if videos:
        tests.append(_of_videos(frozenset(videos)))
    if where is not None:
        tests.append(parse(where, topic))
    return functools.reduce(both, tests) if tests else None


def _between(since: int | None, until: int | None) -> Predicate:
    first, end = since or 0, until if until is not None else 1 << 63
    return lambda record, _: first <= record.timestamp < end


def _of_events(topic: str, names: Collection[str]) -> Predicate:
    known = {name_of(each): each for each in BY_TOPIC[topic]}
    for name in names:
        if name not in known:
            raise Refused("--event", name, f"events of {topic}: {', '.join(known)}")
    classes = frozenset(known[name] for name in names)
    return lambda _, event: type(event) in classes


def _of_videos(videos: frozenset[int]) -> Predicate:
    def test(_: Record, event: Any) -> bool:
        found = getattr(event, "video_id", None)
        return found in videos if found is not None else not videos.isdisjoint(getattr(event, "video_ids", ()))

    return test
