"""topics.yaml: the file itself, and every way in which another can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import topics
from models.errors import InvalidTopics
from models.events import BY_TOPIC, DEAD

GOOD = Path(topics.__file__).parent.parent.joinpath("topics.yaml").read_text(encoding="utf-8")


def line_of(text: str) -> int:
    return GOOD[: GOOD.index(text)].count("\n") + 1


def loaded(folder: Path, text: str | bytes) -> topics.Topics:
    path = folder / "topics.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return topics.load(path)


def test_the_file_beside_the_checkout_is_found() -> None:
    found = topics.load()
    assert found.path == topics.candidates()[0]
    assert set(found.by_name) == {*BY_TOPIC, DEAD}
    assert all(name == topic.name for name, topic in found.by_name.items())


def test_every_projection_has_its_topic() -> None:
    found = topics.load()
    folded = {name: found.of_projection(name).name for name in topics.PROJECTIONS}
    assert folded == {"views": "behavior.views", "reactions": "behavior.reactions", "plays": "behavior.plays"}
    with pytest.raises(KeyError):
        found.of_projection("nonsense")


def test_replication_can_be_overridden_for_all() -> None:
    assert {t.replication for t in topics.load().by_name.values()} == {3}
    assert {t.replication for t in topics.load(replication=1).by_name.values()} == {1}


def test_a_topic_may_be_added(tmp_path: Path) -> None:
    extra = GOOD + GOOD[GOOD.index("  behavior.dead:") :].replace("behavior.dead", "behavior.more")
    assert set(loaded(tmp_path, extra).by_name) == {*BY_TOPIC, DEAD, "behavior.more"}


# What is replaced in the good file, by what; the field that is named, what is shown of the value, what is allowed.
WRONG = [
    ("    partitions: 6", "    partitions: 0", "topics.behavior.views.partitions", "0", ">= 1"),
    ("    partitions: 6", "    partitions: many", "topics.behavior.views.partitions", "'many'", "`int`"),
    ("    partitions: 6", "    partitions: 6.5", "topics.behavior.views.partitions", "6.5", "`int`"),
    ("    partitions: 6", "    partitions:", "topics.behavior.views.partitions", "None", "`int`"),
    ("    replication: 3", "    replication: 33", "topics.behavior.views.replication", "33", "<= 32"),
    ("    partitions: 6", "    partitons: 6", "topics.behavior.views", "'partitons'", "partitions"),
    ("    partitions: 6", "    replication: 3", "behavior.views", "'replication'", "each key once"),
    ("    partitions: 6", "    name: x\n    partitions: 6", "topics.behavior.views", "'name'", "partitions"),
    ("    key: user_id, random", "    key: [user_id]\n    why: guests", "behavior.views", "'why'", "each key once"),
    ("[hot, detail]", "[hot, detial]", "topics.behavior.views.events", "'detial'", "hot, detail"),
    ("[hot, detail]", "[hot, like]", "topics.behavior.views.events", "'like'", "hot, detail"),
    ("[hot, detail]", "hot", "topics.behavior.views.events", "'hot'", "`array`"),
    ("[hot, detail]", "[1]", "topics.behavior.views.events", "[1]", "`str`"),
    ("[views]", "[view]", "topics.behavior.views.projections", "'view'", "views, reactions, plays"),
    ("[user_id]", "[user]", "topics.behavior.views.personal", "'user'", "user_id"),
    ("{warn: 60, page: 600}", "{warn: 60}", "topics.behavior.views.lag_seconds", "'warn'", "page"),
    ("{warn: 60, page: 600}", "{warn: 0, page: 1}", "topics.behavior.views.lag_seconds", "'warn'", "> 0"),
    ("{warn: 60, page: 600}", "{warn: 1, page: 1, x: 1}", "topics.behavior.views.lag_seconds", "'x'", "unknown field"),
    ('retention.ms: "2592000000"', "retention.ms: 2592000000", "topics.behavior.views.config", "2592000000", "`str`"),
    ("    why: Which pages", "    why: ''\n    # ", "topics.behavior.views.why", "''", "length >= 1"),
    ("    why: Which pages", "    why: 2026-99-99\n    # ", "topics.behavior.views", "month", "plain values"),
    (
        "    why: Which pages",
        "    why: !python/object:os.system x\n    # ",
        "topics.behavior.views",
        "tag",
        "plain values",
    ),
    ("  behavior.views:", "  behavior.reactions:", "topics", "'behavior.reactions'", "each key once"),
    ("  behavior.views:", "  behavior views:", "topics", "'behavior views'", "letters"),
    ("topics:\n", "topic:\n", "key", "'topic'", "topics"),
    ("{warn: 60,", "{warn: 60", "YAML", "',' or '}'", "well-formed YAML"),
    ("    partitions: 6", "\tpartitions: 6", "YAML", "cannot start any token", "well-formed YAML"),
    ("  behavior.views:", "  behavior.views: &a\n  *b :", "YAML", "undefined alias", "well-formed YAML"),
    ("Clicks are", "\x07", "YAML", "special characters", "well-formed YAML"),
]


@pytest.mark.parametrize(("old", "new", "field", "value", "allowed"), WRONG)
def test_a_wrong_file_names_path_line_key_value_and_what_is_allowed(
    old: str, new: str, field: str, value: str, allowed: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidTopics) as caught:
        loaded(tmp_path, GOOD.replace(old, new, 1))
    error = str(caught.value)
    where, _, rest = error.partition(": ")
    shown, _, said = rest.partition("; allowed: ")
    assert where.startswith(f"{tmp_path / 'topics.yaml'} line ")
    assert abs(int(where.rsplit(" ", 1)[1]) - line_of(old)) <= 20
    assert caught.value.field == field
    assert value in shown
    assert allowed in said
    assert "\n" not in error


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("    partitions: 6", "    partitions: 0", line_of("    partitions: 6")),
        ("[hot, detail]", "[hot, detial]", line_of("[hot, detail]")),
        ("    partitions: 6", "    partitons: 6", line_of("    partitions: 6")),
        ("  behavior.plays:", "  behavior.views:", line_of("  behavior.plays:")),
        ("topics:\n", "topic:\n", line_of("topics:\n")),
        ("Clicks are", "\x07", line_of("Clicks are")),
    ],
)
def test_the_line_is_that_of_the_key(old: str, new: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(InvalidTopics, match=rf"topics\.yaml line {line}: "):
        loaded(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    "text", ["", "# nothing", "text", "- a\n- b", "topics:", "topics: []", "topics: {behavior.views: 3}"]
)
def test_what_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTopics, match="allowed: a mapping"):
        loaded(tmp_path, text)


@pytest.mark.parametrize("name", [*BY_TOPIC, DEAD])
def test_a_topic_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTopics) as caught:
        loaded(tmp_path, _without(name))
    assert f"{name} among them" in str(caught.value)
    assert str(tmp_path / "topics.yaml") in str(caught.value)


@pytest.mark.parametrize(
    "key", ["why", "events", "key", "partitions", "replication", "config", "lag_seconds", "personal"]
)
def test_a_key_that_is_missing_is_named(key: str, tmp_path: Path) -> None:
    lines = GOOD.splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if line.startswith(f"    {key}:"))
    with pytest.raises(InvalidTopics) as caught:
        loaded(tmp_path, "".join(lines[:first] + lines[first + 1 :]))
    assert caught.value.field == f"topics.behavior.views.{key}"
    assert "line" in caught.value.where


@pytest.mark.parametrize("change", [("[views]", "[]"), ("[reactions]", "[reactions, views]")])
def test_every_projection_is_named_by_one_topic(change: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(InvalidTopics, match="allowed: one topic with the projection views"):
        loaded(tmp_path, GOOD.replace(*change, 1))


def test_keys_may_come_from_an_anchor(tmp_path: Path) -> None:
    text = GOOD.replace("  behavior.dead:", "  behavior.dead: &dead")
    text += "  behavior.more:\n    <<: *dead\n    partitions: 2\n"
    assert loaded(tmp_path, text).by_name["behavior.more"].partitions == 2
    with pytest.raises(InvalidTopics, match=r"behavior\.more\.partitions is 0"):
        loaded(tmp_path, text.replace("partitions: 2", "partitions: 0"))


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTopics, match="nested too deeply"):
        loaded(tmp_path, "[" * 5_000)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTopics, match="a readable UTF-8 file"):
        loaded(tmp_path, b"topics: \xff")


def test_a_file_that_is_not_there_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidTopics, match=r"nowhere\.yaml.*a readable UTF-8 file"):
        topics.load(tmp_path / "nowhere.yaml")


def test_without_any_file_the_places_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = tmp_path / "a" / "topics.yaml", tmp_path / "b" / "topics.yaml"
    monkeypatch.setattr(topics, "candidates", lambda: places)
    with pytest.raises(InvalidTopics) as caught:
        topics.load()
    assert all(str(place) in str(caught.value) for place in places)


def _without(name: str) -> str:
    """The good file without one topic."""
    kept, skipping = [], False
    for line in GOOD.splitlines(keepends=True):
        if line.startswith("  behavior."):
            skipping = line.strip() == f"{name}:"
        if not skipping:
            kept.append(line)
    return "".join(kept)
