"""Compares topics.yaml with the topics that a log has, and carries the difference out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from models.errors import Refused
from models.eventlog.port import TopicAdmin, TopicState
from models.events import KEYS
from models.topics import Topic, Topics


class Change(NamedTuple):
    """
    One difference of a topic.

    ``create`` and ``configure`` are carried out by ``carry_out``. ``refuse`` would break what was folded: more or fewer
    partitions, or another key, move what belongs together to other partitions, so positions and play rows would mean
    something else; compaction throws away all but the last record of a key, and the folds need each.
    """

    topic: str
    action: Literal["create", "configure", "refuse"]
    what: str
    have: str
    want: str


def wanted(topic: Topic) -> TopicState:
    """The state that topics.yaml asks for; fewer copies than min.insync.replicas would refuse every append."""
    config = dict(topic.config)
    least = config.get("min.insync.replicas")
    if least is not None and int(least) > topic.replication:
        config["min.insync.replicas"] = str(topic.replication)
    return TopicState(topic.partitions, topic.replication, config)


def compare(topics: Topics, found: Mapping[str, TopicState]) -> Sequence[Change]:
    """What separates the log from topics.yaml; empty when they agree. Configuration beyond the file is left alone."""
    changes: list[Change] = []
    for topic in topics.by_name.values():
        want, have = wanted(topic), found.get(topic.name)
        changes += _breaking(topic)
        if have is None:
            what = f"{want.partitions} partitions, replication {want.replication}"
            changes.append(Change(topic.name, "create", what, "-", "-"))
        else:
            changes += _differences(topic.name, want, have)
    return changes


def _breaking(topic: Topic) -> list[Change]:
    """What no log may be, whatever it is now."""
    changes, key = [], KEYS.get(topic.name, topic.key)
    if topic.key != key:
        changes.append(Change(topic.name, "refuse", "key", key, topic.key))
    policy = topic.config.get("cleanup.policy", "delete")
    if topic.projections and policy != "delete":
        changes.append(Change(topic.name, "refuse", "cleanup.policy", "delete", policy))
    return changes


def _differences(name: str, want: TopicState, have: TopicState) -> list[Change]:
    changes = [
        Change(name, "configure", key, have.config.get(key, "-"), value)
        for key, value in sorted(want.config.items())
        if have.config.get(key) != value
    ]
    for what, has, wants in (
        ("partitions", have.partitions, want.partitions),
        ("replication", have.replication, want.replication),
    ):
        if has != wants:
            changes.append(Change(name, "refuse", what, str(has), str(wants)))
    return changes


async def plan(admin: TopicAdmin, topics: Topics) -> Sequence[Change]:
    """``compare`` against the log itself. Raises Unavailable."""
    return compare(topics, await admin.describe(list(topics.by_name)))


async def carry_out(admin: TopicAdmin, topics: Topics) -> Sequence[Change]:
    """
    Create and configure what ``plan`` finds; returns what was done.

    Raises Refused, having changed nothing, when a topic differs in a way that would break projections.
    """
    changes = await plan(admin, topics)
    for change in changes:
        if change.action == "refuse":
            allowed = f"{change.have}, as the topic has; a change means a new topic and a rebuild"
            raise Refused(f"topics.{change.topic}.{change.what}", change.want, allowed)
    for name in dict.fromkeys(change.topic for change in changes):
        state = wanted(topics.by_name[name])
        mine = [change for change in changes if change.topic == name]
        if mine[0].action == "create":
            await admin.create(name, state)
        else:
            await admin.configure(name, {change.what: change.want for change in mine})
    return changes
