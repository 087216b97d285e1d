"""Which fields the events of a topic have, and how each is taken from a record and its event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

import msgspec.inspect as inspecting
from msgspec import Struct

from models.errors import Refused
from models.eventlog.port import Record
from models.events import BY_TOPIC, name_of

Getter: TypeAlias = Callable[[Record, Any], Any]
"""The value of a field for a record and what was decoded from it; None when it has none."""

NUMBERS: Final = ("int", "float")
KINDS: Final = ("int", "float", "text", "list", "map")
"""What a field can be; ``list`` is of ints, ``map`` of texts."""


_KINDS: Final[Mapping[type[inspecting.Type], str]] = {
    inspecting.IntType: "int",
    inspecting.FloatType: "float",
    inspecting.StrType: "text",
    inspecting.ListType: "list",
}


class Letter(Struct, frozen=True, gc=False):
    """A record of a topic that has no events of its own, such as behavior.dead: its value as text."""

    value: str | None


def text_of(raw: bytes | None) -> str | None:
    """Bytes as text; what is not UTF-8 is shown as \\x escapes."""
    return None if raw is None else raw.decode(errors="backslashreplace")


def headers_of(record: Record) -> dict[str, str | None]:
    """The record's headers as text."""
    return {name: text_of(value) for name, value in record.headers}


RECORD: Final[Mapping[str, tuple[str, Getter]]] = {
    "topic": ("text", lambda record, _: record.topic),
    "partition": ("int", lambda record, _: record.partition),
    "offset": ("int", lambda record, _: record.offset),
    "timestamp": ("int", lambda record, _: record.timestamp),
    "key": ("text", lambda record, _: text_of(record.key)),
    "headers": ("map", lambda record, _: headers_of(record)),
}
"""What a record has beside its event; ``timestamp`` in milliseconds since 1970."""


def kinds_of(topic: str) -> dict[str, str]:
    """Kind by name of every field that can be asked for: those of the topic's events, then those of its records."""
    return {**event_kinds_of(topic), **{name: kind for name, (kind, _) in RECORD.items()}}


def event_kinds_of(topic: str) -> dict[str, str]:
    """Kind by name of the fields of the topic's events, of all of them together, ``event`` first."""
    classes = BY_TOPIC.get(topic)
    if classes is None:
        return {"value": "text"}
    kinds = {"event": "text"}
    for each in classes:
        info = inspecting.type_info(each)
        kinds.update({f.name: _kind(f.type) for f in getattr(info, "fields", ())})
    return kinds


def _kind(found: inspecting.Type) -> str:
    if isinstance(found, inspecting.Metadata):
        return _kind(found.type)
    if isinstance(found, inspecting.UnionType):
        return _kind(next(each for each in found.types if not isinstance(each, inspecting.NoneType)))
    return _KINDS[type(found)]


def getter_of(topic: str, name: str) -> Getter:
    """How to take a field that ``kinds_of`` has."""
    if name in RECORD:
        return RECORD[name][1]
    if name == "event":
        names = {each: name_of(each) for each in BY_TOPIC[topic]}
        return lambda _, event: names[type(event)]
    return lambda _, event: getattr(event, name, None)


def checked(option: str, names: Collection[str], topic: str) -> tuple[str, ...]:
    """The names, each once; raises Refused for one that the topic does not have."""
    kinds = kinds_of(topic)
    for name in names:
        if name not in kinds:
            raise Refused(option, name, f"fields of {topic}: {', '.join(kinds)}")
    return tuple(dict.fromkeys(names))
