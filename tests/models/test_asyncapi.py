"""The AsyncAPI document: its structure as AsyncAPI 3.0 has it, and its schemas against events as they are encoded."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml
from click.testing import CliRunner

from models import asyncapi, events, topics
from models.clock import ManualClock
from models.errors import PoisonRecord
from models.eventlog.port import Message
from models.lag.probe import Prober
from playtrail import cli
from tests.consumers.making import message
from tests.models.fake_writer import FakeWriter

ID = {"video_id": 1, "user": 7}
PLAY = {"video_id": 1, "session": str(uuid.uuid4()), "seq": 0, "play_time": 5, "user": None}
FIELDS: dict[type[events.Event], dict[str, Any]] = {
    events.Hot: {"video_ids": [1, 2], "user": None},
    events.Follow: {**ID, "followee_id": 3},
    events.NoFollow: {**ID, "followee_id": 3},
    events.Start: PLAY,
    events.Ping: {**PLAY, "cur_time": 1.5},
    events.Stop: PLAY,
    events.End: PLAY,
}
KINDS = [(topic, kind) for topic, kinds in events.BY_TOPIC.items() for kind in kinds]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return asyncapi.document(topics.load(), ["127.0.0.1:9092", "127.0.0.1:9093"])


def checks(document: dict[str, Any], name: str, part: str) -> Callable[[object], bool]:
    """Whether something fits the headers or the payload of a message, with references followed."""
    schema = {**document["components"]["messages"][name][part], "components": document["components"]}
    return jsonschema_rs.Draft7Validator(schema).is_valid


def fits(document: dict[str, Any], name: str, record: Message) -> bool:
    headers = {header: value.decode() for header, value in record.headers}
    payload = json.loads(record.value)
    return checks(document, name, "headers")(headers) and checks(document, name, "payload")(payload)


@pytest.mark.parametrize(("topic", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", value))
def test_an_event_as_it_is_encoded_fits_its_message_and_no_other(
    made: dict[str, Any], topic: str, kind: type[events.Event]
) -> None:
    record = message(kind, **FIELDS.get(kind, ID))
    name = events.name_of(kind)
    assert name in made["channels"][topic]["messages"]
    for other in made["components"]["messages"].keys() - {"dead"}:
        assert fits(made, other, record) == (other == name), other


def test_what_no_decoder_reads_does_not_fit(made: dict[str, Any]) -> None:
    good = json.loads(message(events.Like, **ID).value)
    like = checks(made, "like", "payload")
    assert like(good)
    for field, value in [("user_id", None), ("user_id", 0), ("video_id", "1"), ("event_id", "x"), ("schema", 0)]:
        wrong = {**good, field: value}
        assert not like(wrong)
        with pytest.raises(PoisonRecord):
            events.decode_reaction(json.dumps(wrong).encode())
    assert like({**good, "later": 1})  # a newer writer's field


async def test_a_probe_fits(made: dict[str, Any]) -> None:
    prober = Prober(FakeWriter(), {}, topics.load(), ManualClock())
    assert fits(made, "probe", prober._message(events.PLAYS))


def test_personal_fields_are_marked(made: dict[str, Any]) -> None:
    marked = {
        name: {field for field, schema in found["properties"].items() if schema.get("x-personal")}
        for name, found in made["components"]["schemas"].items()
    }
    assert marked["Follow"] == {"user_id", "followee_id"}
    assert marked["Like"] == marked["Detail"] == {"user_id"}
    assert marked["Ping"] == {"user_id", "session"}


def test_the_structure_is_that_of_asyncapi_3(made: dict[str, Any]) -> None:
    """What the specification demands of the objects that are used, where its own schema is not at hand."""
    assert made["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= made["info"].keys()
    assert made.keys() <= {"asyncapi", "info", "servers", "defaultContentType", "channels", "operations", "components"}
    assert all({"host", "protocol"} <= server.keys() for server in made["servers"].values())
    for operation in made["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["channel"]["$ref"].startswith("#/channels/")
    for name, channel in made["channels"].items():
        assert channel["address"] == name
        assert channel.keys() <= {"address", "messages", "description", "bindings"}
        kafka = channel["bindings"]["kafka"]
        assert min(kafka["partitions"], kafka["replicas"]) >= 1
        assert isinstance(kafka["topicConfiguration"]["retention.ms"], int)
    for name, found in made["components"]["messages"].items():
        assert found["name"] == name
        assert found["headers"]["type"] == "object"
        assert found["bindings"]["kafka"]["key"]["type"] == "string"
    for group in made["components"].values():  # what may name a component
        assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in group)


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    found = list(references(made))
    assert len(found) > 20
    for reference in found:
        at: Any = made
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]


def test_each_topic_has_who_writes_and_who_folds_it(made: dict[str, Any]) -> None:
    operations = {name: (of["action"], of["channel"]["$ref"]) for name, of in made["operations"].items()}
    for topic in topics.load().by_name.values():
        channel = f"#/channels/{topic.name}"
        assert operations[f"write-{topic.name}"] == ("send", channel)
        assert all(operations[f"fold-{projection}"] == ("receive", channel) for projection in topic.projections)
    assert made["operations"]["fold-plays"]["bindings"]["kafka"]["groupId"]["enum"] == ["playtrail-plays"]


def test_the_command_prints_it_as_yaml_and_as_json(made: dict[str, Any]) -> None:
    arguments = ["topics", "asyncapi", "--events", "kafka://127.0.0.1:9092,127.0.0.1:9093"]
    for more, read in (([], yaml.safe_load), (["--json"], json.loads)):
        result = CliRunner().invoke(cli, [*arguments, *more])
        assert result.exit_code == 0, result.output
        assert read(result.output) == made
    embedded = CliRunner().invoke(cli, ["topics", "asyncapi", "--json"])
    assert "servers" not in msgspec.json.decode(embedded.output)


def references(at: Any) -> Iterator[str]:
    if isinstance(at, dict):
        if isinstance(reference := at.get("$ref"), str):
            yield reference
        at = list(at.values())
    if isinstance(at, list):
        for each in at:
            yield from references(each)
