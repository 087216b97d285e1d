"""The conditions of --where."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.replay.expression import parse
from models.errors import Refused
from models.events import PLAYS, VIEWS, Detail, Hot, Ping
from tests.models.test_events import make

RECORD: Any = SimpleNamespace(topic=PLAYS, partition=3, offset=12, timestamp=1_764_000_000_000, key=b"7", headers=[])


@pytest.mark.parametrize(
    ("condition", "true"),
    [
        ("play_time > 60", False),
        ("play_time >= 40 and play_time <= 40", True),
        ("play_time=40 AND NOT seq == 4", True),
        ("play_time != 40 or cur_time = 12.5", True),
        ("play_time <> 40 or cur_time < -1e3", False),
        ("event in ('stop', \"ping\")", True),
        ("event not in ('stop', 'ping')", False),
        ("seq in (1, 3)", True),
        ("user_id is null", False),
        ("user_id is not null", True),
        ("not user_id is null", True),
        ("url = '/video/7'", True),
        ("occurred_at >= '2023' and key = '7'", True),
        ("partition = 3 and offset = 12 and timestamp > 1764000000000", False),
        ("seq = 9 and seq = 3 or seq = 3", True),
        ("seq = 9 and (seq = 3 or seq = 3)", False),
        ("((((seq = 3))))", True),
        ("not not seq = 3", True),
        ("msg = 'it''s'", None),
    ],
)
def test_what_a_condition_means(condition: str, true: bool | None) -> None:
    if true is None:
        with pytest.raises(Refused, match="position 11: "):
            parse(condition, PLAYS)
    else:
        assert parse(condition, PLAYS)(RECORD, make(Ping)) is true


def test_a_field_that_is_null_or_not_there_fits_no_comparison() -> None:
    guest = make(Ping, user_id=None)
    for condition in ("user_id = 1", "user_id != 1", "user_id in (1)", "user_id not in (1)"):
        assert not parse(condition, PLAYS)(RECORD, guest)
    assert not parse("video_id != 1", VIEWS)(RECORD, make(Hot))
    assert parse("video_id is null", VIEWS)(RECORD, make(Hot))
    assert parse("video_id = 7", VIEWS)(RECORD, make(Detail))


@pytest.mark.parametrize(
    ("condition", "where", "found", "allowed"),
    [
        ("", 1, "the end", "one of event, "),
        ("play_tim > 60", 1, "play_tim", "play_time"),
        ("play_time 60", 11, "60", "an operator"),
        ("play_time >", 12, "the end", "a number"),
        ("play_time > '60'", 13, "'60'", "a number of 40 characters at most, since play_time is one"),
        ("event = ping", 9, "ping", "a text in quotes, since event is one"),
        ("event = 'ping", 9, "'ping", "a field, a number, 'text'"),
        ("(play_time > 6", 15, "the end", ")"),
        ("play_time > 6)", 14, ")", "and, or, or the end"),
        ("play_time > 6 play_time", 15, "play_time", "and, or, or the end"),
        ("play_time > 6 and", 18, "the end", "one of event"),
        ("seq in 3", 8, "3", "("),
        ("seq in (3 4)", 11, "4", ")"),
        ("seq not 3", 9, "3", "in"),
        ("seq is 3", 8, "3", "null"),
        ("video_ids = 3", 1, "video_ids", "video_id"),
        ("seq = 1; import os", 8, "; import os", "a field, a number"),
        ("__class__ = 'x'", 1, "__class__", "event"),
        ("seq = " + "9" * 41, 7, "9" * 41, "a number of 40 characters"),
        ("not " * 60 + "seq = 1", 201, "not", "at most 50 brackets"),
        ("(" * 60, 51, "(", "at most 50 brackets"),
    ],
)
def test_a_wrong_condition_is_one_line_with_its_place(condition: str, where: int, found: str, allowed: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(condition, VIEWS if "video_ids" in condition else PLAYS)
    text = str(caught.value)
    assert text.startswith(f"--where, position {where}: what is there is {found!r}")
    assert allowed in text
    assert "\n" not in text


_field = st.sampled_from(["seq", "play_time", "user_id", "offset"])
_leaf = st.builds(
    lambda name, sign, number: (f"{name} {sign} {number}", name, sign, number),
    _field, st.sampled_from(["<", "<=", ">", ">=", "=", "!="]), st.integers(-50, 50),
)  # fmt: skip


def _python(tree: Any) -> tuple[str, Callable[[dict[str, int]], bool]]:
    if isinstance(tree, tuple) and len(tree) == 4:
        text, name, sign, number = tree
        python = {"=": "==", "!=": "!="}.get(sign, sign)
        return text, lambda row: bool(eval(f"{row[name]} {python} {number}"))
    word, parts = tree
    made = [_python(part) for part in parts]
    if word == "not":
        return f"not ({made[0][0]})", lambda row: not made[0][1](row)
    judge = all if word == "and" else any
    return f" {word} ".join(f"({text})" for text, _ in made), lambda row: judge(each(row) for _, each in made)


_trees = st.recursive(
    _leaf,
    lambda inner: st.tuples(st.sampled_from(["and", "or", "not"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)


@given(_trees, st.integers(0, 60), st.integers(0, 60))
def test_conditions_mean_what_python_means(tree: Any, seq: int, play_time: int) -> None:
    text, expected = _python(tree)
    row = {"seq": seq, "play_time": play_time, "user_id": 5, "offset": 12}
    assert parse(text, PLAYS)(RECORD, make(Ping, seq=seq, play_time=play_time)) is expected(row)


@given(st.text(max_size=40))
def test_whatever_is_written_is_a_condition_or_refused(text: str) -> None:
    with contextlib.suppress(Refused):
        parse(text, PLAYS)
