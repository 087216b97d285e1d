"""
The contract of the log as AsyncAPI 3.0, made of topics.yaml and the events' own Structs, so that it cannot drift.

A channel is a topic and a message an event. The operations are Playtrail's own: what writes to a topic sends, and each
projection receives in a consumer group of its own. Payload schemas are JSON Schema, draft 7, which AsyncAPI's own
format contains; ``x-personal`` in them marks a field that names a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from models import __version__
from models.eventlog.plan import wanted
from models.events import BY_TOPIC, DEAD, name_of
from models.lag.measure import group_of
from models.lag.probe import Probe
from models.topics import Topic, Topics

Part: TypeAlias = dict[str, Any]

BINDING: Final = "0.5.0"
"""Version of AsyncAPI's Kafka bindings."""

PROBE: Final = "probe"
_CLOUD_EVENT: Final = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type")
_PUT_ASIDE: Final = ("topic", "partition", "offset", "error", "projection")
_ABOUT: Final = (
    "What viewers do on a video site, as an event log. A record's value is one JSON object, and its headers are those "
    "of a CloudEvent 1.0 in binary mode. Readers ignore fields that they do not know."
)


def document(topics: Topics, servers: Sequence[str] = ()) -> Part:
    """The whole document, as what JSON and YAML can hold; ``servers`` are Kafka addresses, ``host:port``."""
    described = topics.by_name.values()
    at = {f"kafka-{number}": {"host": host, "protocol": "kafka"} for number, host in enumerate(servers, start=1)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Playtrail",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        **({"servers": at} if at else {}),
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in described},
        "operations": {name: made for topic in described for name, made in _operations(topic).items()},
        "components": {
            "messages": {name: made for topic in described for name, made in _messages(topic).items()},
            "schemas": {name: made for topic in described for name, made in _schemas(topic).items()},
        },
    }


def _channel(topic: Topic) -> Part:
    state = wanted(topic)
    kafka = {
        "topic": topic.name,
        "partitions": state.partitions,
        "replicas": state.replication,
        "topicConfiguration": {key: _value(key, text) for key, text in state.config.items()},
        "bindingVersion": BINDING,
    }
    return {
        "address": topic.name,
        "description": topic.why,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(topic)},
        "bindings": {"kafka": kafka},
    }


def _value(key: str, text: str) -> Any:
    """A setting of a topic as the binding has it; Kafka itself has text for everything."""
    if key == "cleanup.policy":
        return text.split(",")
    return int(text) if text.removeprefix("-").isdecimal() else text


def _operations(topic: Topic) -> Mapping[str, Part]:
    messages = [{"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in _messages(topic)]
    common = {"channel": {"$ref": f"#/channels/{topic.name}"}, "messages": messages}
    writer = "A consumer puts a record aside." if topic.name == DEAD else "The gateway tells what a viewer did."
    made: dict[str, Part] = {f"write-{topic.name}": {"action": "send", "summary": writer, **common}}
    for projection in topic.projections:
        group = {"type": "string", "enum": [group_of(projection)]}
        made[f"fold-{projection}"] = {
            "action": "receive",
            "summary": f"The projection {projection} folds the events into its read model.",
            **common,
            "bindings": {"kafka": {"groupId": group, "bindingVersion": BINDING}},
        }
    return made


def _messages(topic: Topic) -> Mapping[str, Part]:
    if topic.name == DEAD:
        return {"dead": _put_aside(topic)}
    made = {name_of(kind): _message(topic, name_of(kind), kind) for kind in BY_TOPIC.get(topic.name, ())}
    # Its random key is of no topic's own: what it measures is any partition's.
    return {**made, PROBE: _message(None, PROBE, Probe)} if topic.projections else made


def _message(topic: Topic | None, name: str, kind: type[Struct]) -> Part:
    return {
        "name": name,
        "title": kind.__name__,
        "summary": (kind.__doc__ or "").strip().partition("\n")[0],
        "contentType": "application/json",
        "headers": _headers(_CLOUD_EVENT, {"ce_specversion": "1.0", "ce_type": f"playtrail.{name}"}),
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "bindings": _key(topic.key if topic else "random"),
    }


def _put_aside(topic: Topic) -> Part:
    return {
        "name": "dead",
        "title": "Dead letter",
        "summary": "A record as it was, byte by byte; headers say where it stood, and why it could not be folded.",
        "contentType": "application/octet-stream",
        "headers": _headers(_PUT_ASIDE, {}),
        "payload": {"description": "The original value, whatever it is."},
        "bindings": _key(topic.key),
    }


def _headers(names: Sequence[str], fixed: Mapping[str, str]) -> Part:
    """Headers of Kafka are bytes; these are text in UTF-8."""
    properties = {name: {"type": "string", **({"const": fixed[name]} if name in fixed else {})} for name in names}
    return {"type": "object", "properties": properties, "required": list(names)}


def _key(made_of: str) -> Part:
    key = {"type": "string", "description": f"{made_of}; records of one key keep their order"}
    return {"kafka": {"key": key, "bindingVersion": BINDING}}


def _schemas(topic: Topic) -> Mapping[str, Part]:
    kinds = (*BY_TOPIC.get(topic.name, ()), Probe)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for name, schema in schemas.items():
        for field in topic.personal if name != Probe.__name__ else ():
            if field in schema["properties"]:
                schema["properties"][field]["x-personal"] = True
    return schemas
