"""
What is in the log is readable for ever, and what is written now is readable by who was started before.

``records/N.jsonl`` has records of version N of the schema, ``records/N.schema.json`` what version N was. Both are
history: they are added to, and never changed. A change of models/events.py that fails here needs a higher SCHEMA, a
step in models/upcast.py, and the two files of the new version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from models import events, upcast
from models.errors import PoisonRecord
from models.events import BY_TOPIC, SCHEMA, Event

RECORDS = Path(__file__).parent / "records"
LINES = [
    (int(path.stem), record["topic"], record["value"])
    for path in sorted(RECORDS.glob("*.jsonl"))
    for record in map(json.loads, path.read_text().splitlines())
]
Change: TypeAlias = Callable[[Any], object]
MEANT_FOR_PEOPLE = ("title", "description", "default")


def schema_of(kinds: Mapping[str, tuple[type[Event], ...]]) -> dict[str, Any]:
    """JSON Schema by event name, without what only people read."""
    found = {}
    for kind in (kind for of_topic in kinds.values() for kind in of_topic):
        _, components = msgspec.json.schema_components([kind])
        found[events.name_of(kind)] = _bare(components[kind.__name__])
    return found


def _bare(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key not in MEANT_FOR_PEOPLE}
    return [_bare(each) for each in node] if isinstance(node, list) else node


def breaks(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What readers of ``before`` cannot take of ``now``, or readers of ``now`` of ``before``."""
    found = [f"{name} is not in both" for name in sorted(before.keys() ^ now.keys())]
    for name in before.keys() & now.keys():
        old, new = before[name], now[name]
        if sorted(old["required"]) != sorted(new["required"]):
            found.append(f"{name}: other fields are required")
        for field, kind in old["properties"].items():
            if new["properties"].get(field) != kind:
                found.append(f"{name}.{field}: was {kind}, is {new['properties'].get(field)}")
    return found


@pytest.mark.parametrize(("version", "topic", "value"), LINES)
def test_every_record_ever_written_is_readable(version: int, topic: str, value: dict[str, Any]) -> None:
    event = events.decode(topic, json.dumps(value).encode())
    assert event.schema == SCHEMA
    if version == SCHEMA:
        assert value.items() <= json.loads(events.encode(event)).items()


def test_every_event_has_a_record_of_this_version() -> None:
    written = {(topic, value["event"]) for version, topic, value in LINES if version == SCHEMA}
    assert written == {(topic, events.name_of(kind)) for topic, kinds in BY_TOPIC.items() for kind in kinds}


def test_this_version_is_what_was_recorded_of_it() -> None:
    recorded = json.loads((RECORDS / f"{SCHEMA}.schema.json").read_text())
    assert breaks(recorded, schema_of(BY_TOPIC)) == []


def test_every_older_version_has_a_step() -> None:
    assert set(upcast.STEPS) == set(range(1, SCHEMA))
    assert {int(path.stem) for path in RECORDS.glob("*.jsonl")} == set(range(1, SCHEMA + 1))


def _set(field: str, kind: object) -> Change:
    return lambda detail: detail["properties"].update({field: kind})


def _without(field: str) -> Change:
    def change(detail: Any) -> None:
        del detail["properties"][field]
        detail["required"].remove(field)

    return change


CHANGES: list[tuple[Change, str]] = [
    (_without("video_id"), "video_id"),
    (_set("video_id", {"type": "string"}), "video_id"),
    (_set("video_id", {"type": "integer", "minimum": 1, "maximum": 99}), "video_id"),
    (_set("user_id", {"type": "integer"}), "user_id"),
    (lambda detail: detail["required"].append("further"), "required"),
    (lambda detail: detail["required"].remove("user_id"), "required"),
]


@pytest.mark.parametrize(("change", "complaint"), CHANGES)
def test_a_change_that_breaks_readers_is_told(change: Change, complaint: str) -> None:
    now = schema_of(BY_TOPIC)
    change(now["detail"])
    assert complaint in " ".join(breaks(schema_of(BY_TOPIC), now))


def test_an_event_that_comes_or_goes_is_told() -> None:
    now = schema_of(BY_TOPIC)
    now["opened"] = now.pop("detail")
    assert breaks(schema_of(BY_TOPIC), now) == [f"{name} is not in both" for name in ("detail", "opened")]


def test_a_further_field_that_may_be_absent_breaks_nobody() -> None:
    now = schema_of(BY_TOPIC)
    _set("further", {"type": "integer"})(now["detail"])
    assert breaks(schema_of(BY_TOPIC), now) == []


def _zero(event: dict[str, Any]) -> dict[str, Any]:
    """A version before the first, for these tests alone: the viewer was called "user", guests were 0."""
    user = event.pop("user")
    return {**event, "user_id": user or None}


@pytest.fixture
def version_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(upcast.STEPS, 0, _zero)


def older(**changes: Any) -> bytes:
    value = next(value for _, topic, value in LINES if value["event"] == "detail")
    old = {key: field for key, field in value.items() if key != "user_id"}
    return json.dumps({**old, "schema": 0, "user": 7, **changes}).encode()


@pytest.mark.usefixtures("version_zero")
def test_an_older_version_is_brought_up_while_it_is_read() -> None:
    for event in (events.decode("behavior.views", older()), events.decode_view(older())):
        assert (event.user_id, event.schema) == (7, SCHEMA)
    assert events.decode_view(older(user=0)).user_id is None


@pytest.mark.usefixtures("version_zero")
@pytest.mark.parametrize("changes", [{"user": "x"}, {"schema": -1}, {"schema": "0"}, {"video_id": 0}])
def test_what_is_no_event_of_its_own_version_is_poison(changes: dict[str, Any]) -> None:
    with pytest.raises(PoisonRecord):
        events.decode_view(older(**changes))


@pytest.mark.usefixtures("version_zero")
def test_what_a_step_cannot_take_is_poison() -> None:
    value = json.loads(older())
    del value["user"]
    with pytest.raises(PoisonRecord):
        events.decode_view(json.dumps(value).encode())


def test_without_a_step_an_older_version_is_poison() -> None:
    with pytest.raises(PoisonRecord):
        events.decode_view(older())
