"""When records that are no events stop a partition, and what is kept of each."""

from __future__ import annotations

import pytest

from consumers import deadletters
from consumers.deadletters import Limits, TooManyDead, decoded
from consumers.plays import decode
from models.errors import PoisonRecord
from models.events import DEAD, PLAYS
from tests.consumers.making import BEGIN, MadeRecord, ping


def test_so_many_in_a_row_pass_and_one_more_stops() -> None:
    limits = Limits(in_a_row=3)
    limits.check(5, [0, 1, 2])
    limits.check(3, [1, 2])
    limits.check(2, [0])
    limits.check(4, [3])
    limits.check(2, [0])
    with pytest.raises(TooManyDead, match="more than 3 records in a row"):
        limits.check(4, [0, 1, 2, 3])


def test_a_row_goes_on_from_batch_to_batch() -> None:
    limits = Limits(in_a_row=3)
    for _ in range(3):
        limits.check(1, [0])
    with pytest.raises(TooManyDead):
        limits.check(1, [0])


def test_half_of_the_window_passes_and_more_stops() -> None:
    limits = Limits(in_a_row=3, window=10)
    for _ in range(50):
        limits.check(2, [1])
    with pytest.raises(TooManyDead, match="of the last 11 records"):
        limits.check(1, [0])


def test_what_was_long_ago_no_longer_counts() -> None:
    limits = Limits(in_a_row=100, window=10)
    limits.check(5, [0, 1, 2, 3, 4])
    limits.check(100, [])
    limits.check(5, [0, 1, 2, 3, 4])


def test_the_letter_has_the_original_bytes_and_where_they_were() -> None:
    headers = [("name", b"\xff\x00"), ("empty", b"")]
    poison = MadeRecord(PLAYS, 3, 42, BEGIN, b"\xfe", b"\xfd", headers)
    found, dead = decoded("plays", [ping(41, BEGIN, 1, 1, 1), poison], decode, Limits())
    assert [record.offset for record, _ in found] == [41]
    message = deadletters.message(dead[0])
    assert message[:3] == (DEAD, b"\xfd", b"\xfe")
    assert message.timestamp == BEGIN
    assert message.headers[:2] == headers
    rest = dict(message.headers[2:])
    assert rest.pop("error").startswith(b"value is b'\\xfe'; allowed: an event of this topic")
    assert rest == {"topic": PLAYS.encode(), "partition": b"3", "offset": b"42", "projection": b"plays"}


@pytest.mark.parametrize("session", ["x" * 36, "0123" * 9, "-" * 36])
def test_a_session_that_is_no_uuid_is_poison(session: str) -> None:
    record = ping(0, BEGIN, 1, 1, 1)
    value = record.value.replace(b"00000000-0000-0000-0000-000000000001", session.encode())
    with pytest.raises(PoisonRecord, match=r"session is .* allowed: a UUID"):
        decode(value)
