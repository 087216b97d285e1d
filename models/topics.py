"""topics.yaml, read and checked: the contract of the log.

A wrong file raises InvalidTopics with the line, the key and what is allowed.
"""

from __future__ import annotations

import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct

from models.errors import InvalidTopics
from models.events import BY_TOPIC, DEAD, name_of

PROJECTIONS = ("views", "reactions", "plays")
"""The consumers that exist; each folds one topic."""


class LagTargets(Struct, frozen=True, forbid_unknown_fields=True):
    """Lag in seconds at which an operator is warned, and paged."""

    warn: Annotated[float, Meta(gt=0)]
    page: Annotated[float, Meta(gt=0)]


class Topic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One topic's contract; the fields are explained at the top of topics.yaml."""

    name: str = ""
    why: Annotated[str, Meta(min_length=1)]
    events: list[str]
    key: str
    partitions: Annotated[int, Meta(ge=1, le=10_000)]
    replication: Annotated[int, Meta(ge=1, le=32)]
    config: dict[str, str]
    projections: list[str]
    lag_seconds: LagTargets
    personal: list[str]


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic by name, and the file they came from."""

    path: Path
    by_name: dict[str, Topic]

    def of_projection(self, projection: str) -> Topic:
        """The topic that a projection folds; raises KeyError for a projection that no topic names."""
        for topic in self.by_name.values():
            if projection in topic.projections:
                return topic
        raise KeyError(projection)


def candidates() -> tuple[Path, ...]:
    """Where topics.yaml is looked for when no path is given: beside the checkout, then where pip installs data."""
    beside = Path(__file__).resolve().parent.parent / "topics.yaml"
    return beside, Path(sysconfig.get_path("data")) / "share" / "playtrail" / "topics.yaml"


def load(path: Path | None = None, replication: int | None = None) -> Topics:
    """
    Read topics.yaml.

    Args:
        path: The file; None looks in ``candidates()``.
        replication: Overrides every topic's replication factor.

    Raises:
        InvalidTopics: No such file, no YAML, or a key that does not fit; says where.
    """
    found = path or next((p for p in candidates() if p.is_file()), None)
    if found is None:
        raise InvalidTopics("topics.yaml", None, "a file at " + " or ".join(map(str, candidates())))
    text = _read(found)
    root = _compose(found, text)
    topics = {name: _topic(found, name, node) for name, node in _entries(found, root)}
    for missing in sorted({*BY_TOPIC, DEAD} - set(topics)):
        raise InvalidTopics("topics", sorted(topics), f"{missing} among them", f"{found}")
    for projection in PROJECTIONS:
        read = [name for name, topic in topics.items() if projection in topic.projections]
        if len(read) != 1:
            raise InvalidTopics("topics", read, f"one topic with the projection {projection}", f"{found}")
    if replication is not None:
        topics = {n: msgspec.structs.replace(t, replication=replication) for n, t in topics.items()}
    return Topics(found, topics)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidTopics("topics.yaml", str(path), f"a readable UTF-8 file ({error})") from error


def _compose(path: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise InvalidTopics("YAML", error.problem, "well-formed YAML", f"{path} line {line}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidTopics("YAML", error.reason, "well-formed YAML", f"{path} line {line}") from error
    except RecursionError as error:
        raise InvalidTopics("YAML", "nested too deeply", "well-formed YAML", f"{path} line 1") from error


def _pairs(path: Path, node: yaml.Node | None, key: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node else 1
        found = "a list" if isinstance(node, yaml.SequenceNode) else getattr(node, "value", None)
        raise InvalidTopics(key, found, "a mapping", f"{path} line {line}")
    pairs = [(str(k.value), k, v) for k, v in node.value]
    seen: set[str] = set()
    for name, k, _ in pairs:
        if name in seen:
            raise InvalidTopics(key, name, "each key once", f"{path} line {k.start_mark.line + 1}")
        seen.add(name)
    return pairs


def _entries(path: Path, root: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    entries: dict[str, yaml.Node] = {}
    for name, key, node in _pairs(path, root, "topics.yaml"):
        if name != "topics":
            raise InvalidTopics("key", name, "topics", f"{path} line {key.start_mark.line + 1}")
        for topic, topic_key, topic_node in _pairs(path, node, "topics"):
            if not re.fullmatch("[A-Za-z0-9._-]{1,249}", topic):
                where = f"{path} line {topic_key.start_mark.line + 1}"
                raise InvalidTopics("topics", topic, "letters, digits, dot, hyphen and underscore, 249 at most", where)
            entries[topic] = topic_node
    return list(entries.items())


def _topic(path: Path, name: str, node: yaml.Node) -> Topic:
    lines = {key: k.start_mark.line + 1 for key, k, _ in _pairs(path, node, name)}
    raw = _mapping(path, name, node)
    allowed = [f for f in Topic.__struct_fields__ if f != "name"]
    top = node.start_mark.line + 1
    for key in raw:
        if key not in allowed:
            raise InvalidTopics(f"topics.{name}", key, ", ".join(allowed), f"{path} line {lines.get(key, top)}")
    for key in allowed:
        if key not in raw:
            raise InvalidTopics(f"topics.{name}.{key}", None, "a value", f"{path} line {top}")
        _field(path, name, key, raw[key], lines.get(key, top))
    return msgspec.convert({**raw, "name": name}, Topic)


def _mapping(path: Path, topic: str, node: yaml.Node) -> dict[str, Any]:
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 -- _pairs has refused anything else
    try:
        return {str(k): v for k, v in yaml.SafeLoader("").construct_mapping(node, deep=True).items()}
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or node.start_mark).line + 1
        raise InvalidTopics(f"topics.{topic}", error.problem, "plain values", f"{path} line {line}") from error
    except ValueError as error:  # what looks like a date, and is none
        where = f"{path} line {node.start_mark.line + 1}"
        raise InvalidTopics(f"topics.{topic}", str(error), "plain values", where) from error


def _field(path: Path, topic: str, key: str, value: object, line: int) -> None:
    """Check one key alone, so that the error can name its line."""
    where, field = f"{path} line {line}", f"topics.{topic}.{key}"
    hint = {f.name: f.type for f in msgspec.structs.fields(Topic)}[key]
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        raise InvalidTopics(field, value, str(error).replace("Expected", "expected"), where) from error
    if key == "events":
        _known(field, value, [name_of(c) for c in BY_TOPIC.get(topic, ())], where)
    if key == "projections":
        _known(field, value, list(PROJECTIONS), where)
    if key == "personal":
        _known(field, value, _fields_of(topic), where)


def _fields_of(topic: str) -> list[str]:
    """The fields of a topic's events; of a topic without any, those of all events."""
    classes = BY_TOPIC.get(topic) or [c for group in BY_TOPIC.values() for c in group]
    return sorted({field for c in classes for field in c.__struct_fields__})


def _known(field: str, values: Any, allowed: list[str], where: str) -> None:
    for value in values:
        if value not in allowed:
            raise InvalidTopics(field, value, ", ".join(allowed) or "none", where)
