"""Positions as text: what the API's X-Position carries and takes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Refused
from models.eventlog.port import Position


def test_text_is_topic_partition_and_offset() -> None:
    assert str(Position("behavior.reactions", 3, 42)) == "behavior.reactions/3@42"


@given(st.from_regex(r"[A-Za-z0-9._-]{1,30}", fullmatch=True), st.integers(0, 999_999), st.integers(0, 2**63 - 1))
def test_parse_is_the_opposite_of_str(topic: str, partition: int, offset: int) -> None:
    position = Position(topic, partition, offset)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "@",
        "topic",
        "topic/0",
        "topic@0",
        "/0@1",
        "topic/@1",
        "topic/0@",
        "topic/-1@0",
        "topic/0@-1",
        "topic/0@1 ",
        "topic/0@1@2",
        "topic/0.0@1",
        "topic/٣@1",
        "topic/0@٣",
        "topic/0@²",
        "topic/1234567@0",
        "topic/0@" + "9" * 20,
        "topic/0@" + "9" * 5000,
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(Refused) as caught:
        Position.parse(text)
    assert caught.value.field == "position"
    assert len(str(caught.value)) < 300


@given(st.text(max_size=40))
def test_any_text_is_a_position_or_refused(text: str) -> None:
    try:
        found = Position.parse(text)
    except Refused:
        return
    assert found.partition >= 0
    assert found.offset >= 0
