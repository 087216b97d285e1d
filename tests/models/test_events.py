"""The events: their JSON, their ids and times, and what is no event."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import events, topics
from models.clock import ManualClock
from models.errors import PoisonRecord
from models.events import PLAYS, REACTIONS, VIEWS, Event, EventIds

DECODERS: dict[str, Callable[[bytes], Event]] = {
    VIEWS: events.decode_view,
    REACTIONS: events.decode_reaction,
    PLAYS: events.decode_play,
}
CLASSES = [(topic, kind) for topic, kinds in events.BY_TOPIC.items() for kind in kinds]
FURTHER: dict[str, Any] = {
    "video_ids": [1, 2, 3],
    "video_id": 7,
    "followee_id": 8,
    "session": "0b2f0b5e-6a3e-4a3e-9a53-0f6f6f0c9a11",
    "seq": 3,
    "play_time": 40,
    "cur_time": 12.5,
}


def make(kind: type[Event], **changes: Any) -> Event:
    """An event of this class with every field filled."""
    event_id, ms = EventIds(ManualClock()).next()
    common: dict[str, Any] = {"event_id": event_id, "occurred_at": events.rfc3339(ms), "user_id": 5}
    common |= {"url": "/video/7", "method": "post", "msg": "video something"}
    further = {name: value for name, value in FURTHER.items() if name in kind.__struct_fields__}
    return kind(**common | further | changes)


def test_topics_yaml_and_the_classes_name_the_same_events() -> None:
    declared = {name: topic.events for name, topic in topics.load().by_name.items()}
    classes = {topic: [events.name_of(kind) for kind in kinds] for topic, kinds in events.BY_TOPIC.items()}
    assert declared == {**classes, events.DEAD: []}


def test_every_class_of_an_event_belongs_to_one_topic() -> None:
    def leaves(kind: type[Event]) -> list[type[Event]]:
        below = kind.__subclasses__()
        return [leaf for child in below for leaf in leaves(child)] if below else [kind]

    assert sorted(kind.__name__ for kind in leaves(Event)) == sorted(kind.__name__ for _, kind in CLASSES)


@pytest.mark.parametrize(("topic", "kind"), CLASSES)
def test_an_event_comes_back_as_it_was(topic: str, kind: type[Event]) -> None:
    event = make(kind)
    assert DECODERS[topic](events.encode(event)) == event


@pytest.mark.parametrize(("topic", "kind"), CLASSES)
def test_the_value_is_one_json_object_with_the_fields_of_the_warning_log(topic: str, kind: type[Event]) -> None:
    value = json.loads(events.encode(make(kind)))
    assert value["event"] == events.name_of(kind)
    assert value["schema"] == 1
    assert {"user_id", "url", "method", "msg", "event_id", "occurred_at"} <= set(value)


@pytest.mark.parametrize(("topic", "kind"), CLASSES)
def test_fields_of_a_newer_writer_are_ignored(topic: str, kind: type[Event]) -> None:
    event = make(kind)
    newer = json.loads(events.encode(event)) | {"colour": "blue", "nested": {"a": [1]}}
    assert DECODERS[topic](json.dumps(newer).encode()) == event


@pytest.mark.parametrize(("topic", "kind"), CLASSES)
def test_a_missing_field_is_poison_and_named(topic: str, kind: type[Event]) -> None:
    value = json.loads(events.encode(make(kind)))
    for name in set(value) - {"event", "schema", "cur_time"}:
        with pytest.raises(PoisonRecord, match=name):
            DECODERS[topic](json.dumps({k: v for k, v in value.items() if k != name}).encode())


@pytest.mark.parametrize("topic", list(DECODERS))
def test_an_event_of_another_topic_is_poison(topic: str) -> None:
    for other, kind in CLASSES:
        if other != topic:
            with pytest.raises(PoisonRecord):
                DECODERS[topic](events.encode(make(kind)))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (events.Like, {"user_id": None}),
        (events.Like, {"user_id": 0}),
        (events.Like, {"video_id": 10_000_000_000}),
        (events.Like, {"video_id": True}),
        (events.Like, {"video_id": 1.5}),
        (events.Like, {"event_id": "short"}),
        (events.Like, {"occurred_at": "2026-11-24"}),
        (events.Like, {"schema": 0}),
        (events.Follow, {"followee_id": None}),
        (events.Ping, {"seq": -1}),
        (events.Ping, {"play_time": -1}),
        (events.Ping, {"play_time": 604_801}),
        (events.Ping, {"cur_time": -0.5}),
        (events.Hot, {"video_ids": [0]}),
        (events.Hot, {"url": "x" * 2049}),
    ],
)
def test_a_value_out_of_range_is_poison(kind: type[Event], changes: dict[str, Any]) -> None:
    topic = next(topic for topic, one in CLASSES if one is kind)
    with pytest.raises(PoisonRecord, match=r"at `\$"):
        DECODERS[topic](events.encode(make(kind, **changes)))


@pytest.mark.parametrize("topic", list(DECODERS))
@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{}", b"\xff", b'{"event":1}', b'{"x":' + b"[" * 100_000])
def test_what_is_no_event_is_poison_in_one_short_line(topic: str, value: bytes) -> None:
    with pytest.raises(PoisonRecord) as caught:
        DECODERS[topic](value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("topic", list(DECODERS))
def test_a_record_without_a_value_is_poison(topic: str) -> None:
    none: Any = None  # a tombstone, which any Kafka client can write
    with pytest.raises(PoisonRecord, match="value is None"):
        DECODERS[topic](none)


@given(st.sampled_from(list(DECODERS)), st.binary(max_size=200))
def test_any_bytes_are_poison(topic: str, value: bytes) -> None:
    with pytest.raises(PoisonRecord):
        DECODERS[topic](value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(CLASSES), st.data())
def test_an_event_with_any_value_in_any_field_is_an_event_or_poison(
    one: tuple[str, type[Event]], data: st.DataObject
) -> None:
    topic, kind = one
    value = json.loads(events.encode(make(kind)))
    value[data.draw(st.sampled_from(sorted(value)))] = data.draw(json_values)
    try:
        event = DECODERS[topic](json.dumps(value).encode())
    except PoisonRecord:
        return
    assert DECODERS[topic](events.encode(event)) == event


@pytest.mark.parametrize(("topic", "kind"), CLASSES)
def test_headers_are_cloudevents_in_binary_mode(topic: str, kind: type[Event]) -> None:
    event = make(kind)
    assert dict(events.headers_of(event)) == {
        "ce_specversion": b"1.0",
        "ce_id": event.event_id.encode(),
        "ce_type": f"playtrail.{events.name_of(kind)}".encode(),
        "ce_source": b"/video/7",
        "ce_time": event.occurred_at.encode(),
        "content-type": b"application/json",
    }


def test_the_key_is_the_video_of_a_play_and_the_user_of_anything_else() -> None:
    keys = {kind: events.key_of(make(kind)) for _, kind in CLASSES}
    assert keys == {kind: b"7" if topic == PLAYS else b"5" for topic, kind in CLASSES}
    assert events.key_of(make(events.Ping, user_id=None)) == b"7"


def test_a_guests_views_spread_over_many_keys() -> None:
    view = make(events.Detail, user_id=None)
    assert len({events.key_of(view) for _ in range(100)}) == 100


@given(st.integers(0, 253_402_300_799_999))
def test_times_are_rfc3339_with_milliseconds(ms: int) -> None:
    text = events.rfc3339(ms)
    assert len(text) == 24
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_it() -> None:
    text, ms = EventIds(ManualClock(1_764_000_000_123)).next()
    parsed = uuid.UUID(text)
    assert (str(parsed), parsed.version, parsed.variant) == (text, 7, uuid.RFC_4122)
    assert ms == parsed.int >> 80 == 1_764_000_000_123


@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=200))
def test_ids_ascend_whatever_the_clock_does(steps: list[int]) -> None:
    clock = ManualClock()
    ids = EventIds(clock)
    made = []
    for step in steps:
        clock.advance(step / 1000)
        made.append(ids.next())
    assert [text for text, _ in made] == sorted({text for text, _ in made})
    assert [ms for _, ms in made] == [uuid.UUID(text).int >> 80 for text, _ in made]


def test_more_ids_than_a_millisecond_has_room_for_still_ascend() -> None:
    ids = EventIds(ManualClock())
    made = [ids.next()[0] for _ in range(10_000)]
    assert all(a < b for a, b in itertools.pairwise(made))


def test_ids_of_many_threads_are_all_different() -> None:
    ids, made = EventIds(ManualClock()), list[list[str]]()

    def work() -> None:
        made.append([ids.next()[0] for _ in range(2_000)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(a < b for one in made for a, b in itertools.pairwise(one))
    assert len({text for one in made for text in one}) == 8_000
