"""topics.yaml against a log: what is created and set, what is refused, and that looking changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from models import topics
from models.errors import Refused
from models.eventlog.plan import Change, carry_out, compare, wanted
from models.eventlog.port import TopicState
from models.eventlog.sqlite import SqliteLog
from models.events import PLAYS, REACTIONS, VIEWS
from playtrail import cli

FILE = topics.load()


def as_wanted() -> dict[str, TopicState]:
    return {name: wanted(topic) for name, topic in FILE.by_name.items()}


def changed(name: str, **fields: object) -> topics.Topics:
    """topics.yaml with other values at one topic."""
    topic = msgspec.structs.replace(FILE.by_name[name], **fields)
    return topics.Topics(FILE.path, {**FILE.by_name, name: topic})


def test_a_log_as_the_file_says_needs_nothing() -> None:
    assert compare(FILE, as_wanted()) == []


def test_what_is_missing_is_created_and_what_differs_is_set() -> None:
    found = as_wanted()
    del found[VIEWS]
    state = found[PLAYS]
    found[PLAYS] = state._replace(config={**state.config, "retention.ms": "1000", "segment.ms": "5"})
    changes = compare(FILE, found)
    assert [(change.topic, change.action) for change in changes] == [(VIEWS, "create"), (PLAYS, "configure")]
    assert changes[1] == Change(PLAYS, "configure", "retention.ms", "1000", "-1")


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({"partitions": 12}, Change(PLAYS, "refuse", "partitions", "6", "12")),
        ({"partitions": 3}, Change(PLAYS, "refuse", "partitions", "6", "3")),
        ({"replication": 5}, Change(PLAYS, "refuse", "replication", "3", "5")),
        ({"key": "user_id"}, Change(PLAYS, "refuse", "key", "video_id", "user_id")),
        (
            {"config": {**FILE.by_name[PLAYS].config, "cleanup.policy": "compact,delete"}},
            Change(PLAYS, "refuse", "cleanup.policy", "delete", "compact,delete"),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, Mapping) and value else "",
)
async def test_what_would_break_projections_is_refused(
    fields: dict[str, object], change: Change, tmp_path: Path
) -> None:
    other = changed(PLAYS, **fields)
    assert change in compare(other, as_wanted())
    async with SqliteLog(tmp_path / "events.db", FILE).admin() as admin:
        await carry_out(admin, FILE)
        with pytest.raises(
            Refused, match=rf"topics\.{PLAYS}\.{change.what} is '{change.want}'; allowed: {change.have}"
        ):
            await carry_out(admin, other)
        assert await admin.describe(list(FILE.by_name)) == as_wanted()


async def test_a_wrong_key_is_refused_before_the_first_topic_is_made(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    async with SqliteLog(file, FILE).admin() as admin:
        with pytest.raises(Refused, match="allowed: user_id"):
            await carry_out(admin, changed(REACTIONS, key="video_id"))
    assert not file.exists()


def test_looking_makes_no_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = CliRunner().invoke(cli, ["topics", "plan"], env={"PLAYTRAIL_DATA": str(data)})
    assert result.exit_code == 0, result.output
    assert result.output.count("create") == len(FILE.by_name)
    assert not data.exists()


def test_a_plan_that_refuses_says_so_and_ends_with_2(tmp_path: Path) -> None:
    data = {"PLAYTRAIL_DATA": str(tmp_path)}
    assert CliRunner().invoke(cli, ["topics", "apply"], env=data).exit_code == 0
    file = tmp_path / "topics.yaml"
    file.write_text(FILE.path.read_text().replace("partitions: 6", "partitions: 12"))
    result = CliRunner().invoke(cli, ["topics", "plan", "--topics", str(file)], env=data)
    assert result.exit_code == 2, result.output
    assert "refuse    behavior.plays  partitions  6 -> 12" in result.output


async def test_a_topic_that_is_not_there_cannot_be_configured(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    async with SqliteLog(file, FILE).admin() as admin:
        with pytest.raises(Refused, match="playtrail topics apply"):
            await admin.configure(VIEWS, {"retention.ms": "1"})
    assert not file.exists()
