"""Dead letters put back: what is refused, what a fold makes of them, and what a kill in between leaves."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from consumers.deadletters import letter
from consumers.plays import Plays
from consumers.port import Projection
from consumers.reactions import Reactions
from consumers.rebuild import Rebuild
from consumers.retry import PLAY_MS, Retry
from consumers.views import Views
from models import events
from models.clock import SystemClock
from models.errors import OutcomeUnknown, PlaytrailError, Unavailable
from models.eventlog.port import EventWriter, Message, Position, Record
from models.eventlog.sqlite import SqliteLog
from models.stores.plays_sqlite import SqlitePlays
from models.stores.port import DeadLetter, PlayRow
from models.stores.sql import SqlStore
from models.topics import Topics
from tests.consumers.making import MadeRecord, append, junk, message

USER, VIDEO, OLD = 7, 3, 40


def letter_of(made: Message, projection: str, offset: int = OLD, **changed: Any) -> DeadLetter:
    """The letter of a record that an older version could not read."""
    record = MadeRecord(made.topic, 0, offset, made.timestamp, made.value, made.key, made.headers)
    return letter(projection, record, "a word of old")._replace(**changed)


async def folded(log: SqliteLog, projection: Projection) -> Sequence[Record]:
    """Fold the whole log; returns its records."""
    async with log.reader() as reader:
        identity = await reader.identity(projection.topic)
        found: list[Record] = []
        for partition in range(identity.partitions):
            at = projection.open(partition, identity, 0).next_offset
            records = await reader.read(projection.topic, partition, at, 100)
            if records:
                projection.apply(partition, records)
            found += await reader.read(projection.topic, partition, 0, 100)
    return found


def like(status: int) -> Message:
    return message(events.Like if status else events.NoLike, user=USER, video_id=VIDEO)


def play(session: int, play_time: int) -> Message:
    return message(
        events.Ping, user=None, video_id=VIDEO, session=str(uuid.UUID(int=session)), seq=0, play_time=play_time
    )


class Killed(BaseException):
    """The process ends here."""


class Dies(SqlStore):
    """Is killed between the append and the drop."""

    def drop_dead(self, places: Any) -> int:
        raise Killed


class Answers(EventWriter):
    """A writer that raises."""

    def __init__(self, error: PlaytrailError | Killed) -> None:
        self._error: BaseException = error

    async def __aenter__(self) -> Answers:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def append(self, message: Message) -> Position:
        raise self._error

    async def ready(self) -> None:
        pass


async def test_a_record_goes_back_as_it_was(
    log: SqliteLog, contract: Topics, sql: SqlStore, writer: EventWriter
) -> None:
    made = like(1)
    sql.put_dead([letter_of(made, "reactions")])
    done = await Retry(contract, sql, writer).retry(sql.dead()[0])
    assert (done.reason, sql.dead()) == ("", [])
    (record,) = await folded(log, Reactions(sql))
    assert (record.key, record.value, list(record.headers), record.timestamp) == made[1:]
    assert done.position == Position(record.topic, record.partition, record.offset)
    assert sql.statuses("like", [(USER, VIDEO)]) == {(USER, VIDEO): 1}


async def test_a_retried_reaction_cannot_undo_a_newer_one(
    log: SqliteLog, contract: Topics, sql: SqlStore, writer: EventWriter
) -> None:
    old, new = like(1), like(0)
    await append(writer, new)
    await folded(log, Reactions(sql))
    await Retry(contract, sql, writer).retry(letter_of(old, "reactions"))
    assert len(await folded(log, Reactions(sql))) == 2
    assert sql.statuses("like", [(USER, VIDEO)]) == {(USER, VIDEO): 0}


async def test_a_retried_play_counts_once_and_the_largest_time_counts(
    log: SqliteLog, contract: Topics, sql: SqlStore, plays: SqlitePlays, writer: EventWriter
) -> None:
    less, most, more = play(1, 10), play(1, 60), play(1, 30)
    await append(writer, more)
    fold = Plays(plays, sql)
    await folded(log, fold)
    for made, seconds in ((less, 30), (most, 60), (most, 60)):
        assert not (await Retry(contract, sql, writer).retry(letter_of(made, "plays"))).reason
        await folded(log, fold)
        row = plays.rows([VIDEO])[VIDEO]
        assert (row.times, row.duration) == (1, seconds)


@pytest.mark.parametrize("kind", ["reactions", "plays"])
async def test_killed_before_the_drop_the_next_retry_changes_nothing(
    kind: str, log: SqliteLog, contract: Topics, sql: SqlStore, plays: SqlitePlays, writer: EventWriter
) -> None:
    made = like(1) if kind == "reactions" else play(1, 30)
    sql.put_dead([letter_of(made, kind)])
    dies = Dies(str(sql._database._url))
    with pytest.raises(Killed):
        await Retry(contract, dies, writer).retry(dies.dead()[0])
    dies.close()
    assert not (await Retry(contract, sql, writer).retry(sql.dead()[0])).reason
    make: dict[str, Callable[[], Projection]] = {
        "reactions": lambda: Reactions(sql),
        "plays": lambda: Plays(plays, sql),
    }
    assert len(await folded(log, make[kind]())) == 2
    assert sql.dead() == []
    if kind == "reactions":
        assert sql.counts([VIDEO])[VIDEO].likes == 1
    else:
        assert plays.rows([VIDEO])[VIDEO]._replace(stamp=0) == PlayRow(1, 30, 0)


async def test_a_retried_view_is_one_click_whoever_retries_it_and_is_not_put_back(
    log: SqliteLog, contract: Topics, sql: SqlStore, writer: EventWriter
) -> None:
    clicked = letter_of(message(events.Detail, video_id=VIDEO), "views")
    listed = letter_of(message(events.Hot, video_ids=[VIDEO]), "views", OLD + 1)
    sql.put_dead([clicked, listed])
    work = Retry(contract, sql, writer)
    found = await asyncio.gather(*(work.retry(each) for each in (clicked, clicked, listed)))
    assert sorted(done.reason for done in found)[:2] == ["", ""]
    assert sum("somebody else" in done.reason for done in found) == 1
    assert [done.position for done in found if not done.reason] == [clicked.position, listed.position]
    assert (sql.dead(), await folded(log, Views(sql))) == ([], [])
    assert sql.videos([VIDEO])[VIDEO].clicks == 1


@pytest.mark.parametrize("first", ["retry", "rebuild"])
async def test_a_view_that_can_be_read_now_is_one_click_also_in_a_rebuild(
    first: str, log: SqliteLog, contract: Topics, sql: SqlStore, writer: EventWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = message(events.Detail, video_id=VIDEO)
    await append(writer, made, junk(events.VIEWS, 1))
    with monkeypatch.context() as old:  # a version that reads nothing
        old.setattr(Views, "decode", lambda _, value: events.decode_reaction(value))
        await folded(log, Views(sql))
    assert (len(sql.dead()), sql.videos([VIDEO])[VIDEO].clicks) == (2, 0)

    async def rebuild() -> None:
        await Rebuild(log, sql, Views).run()

    async def retry() -> None:
        for each in sql.dead():
            await Retry(contract, sql, writer).retry(each)

    for step in (retry, rebuild) if first == "retry" else (rebuild, retry):
        await step()
        assert sql.videos([VIDEO])[VIDEO].clicks == 1
        assert [each.value for each in sql.dead()] == [b"junk"]
    assert sql.dead_counts() == {"views": 1}
    await Rebuild(log, sql, Views).back()
    assert sql.videos([VIDEO])[VIDEO].clicks == (1 if first == "retry" else 0)
    await retry()
    assert sql.videos([VIDEO])[VIDEO].clicks == 1


async def test_a_log_that_is_away_leaves_the_letter(contract: Topics, sql: SqlStore) -> None:
    sql.put_dead([letter_of(like(1), "reactions")])
    before = sql.dead()
    with pytest.raises(Unavailable):
        await Retry(contract, sql, Answers(Unavailable("log", "away"))).retry(before[0])
    assert sql.dead() == before


async def test_an_unknown_outcome_keeps_the_letter(contract: Topics, sql: SqlStore) -> None:
    sql.put_dead([letter_of(like(1), "reactions")])
    done = await Retry(contract, sql, Answers(OutcomeUnknown("no answer in time"))).retry(sql.dead()[0])
    assert (done.position, done.reason) == (
        None,
        "no answer in time; the letter stays, since a second copy is harmless",
    )
    assert len(sql.dead()) == 1


async def test_what_is_no_event_yet_is_refused_and_stays(contract: Topics, sql: SqlStore, writer: EventWriter) -> None:
    old_ms = SystemClock().now_ms() - PLAY_MS - 1000
    letters = [
        letter_of(junk(events.PLAYS, 1), "plays"),
        letter_of(like(1), "plays"),
        letter_of(play(1, 5), "plays", OLD + 1, at_ms=old_ms),
    ]
    sql.put_dead(letters)
    for work in (Retry(contract, sql, writer), Retry(contract, sql)):
        said = [(await work.retry(found)).reason for found in letters]
        assert "an event of this topic" in said[0]
        assert said[1].startswith("letter is 'plays of behavior.reactions'")
        assert "`playtrail rebuild plays` folds it" in said[2]
    assert len(sql.dead()) == 3


async def test_without_a_writer_nothing_happens(contract: Topics, sql: SqlStore) -> None:
    sql.put_dead([letter_of(like(1), "reactions")])
    assert await Retry(contract, sql).retry(sql.dead()[0]) == (sql.dead()[0], None, "")
    assert len(sql.dead()) == 1


@pytest.mark.parametrize("key", [None, b"another"])
async def test_a_record_goes_back_under_the_key_of_its_event(
    key: bytes | None, log: SqliteLog, contract: Topics, sql: SqlStore, plays: SqlitePlays, writer: EventWriter
) -> None:
    await Retry(contract, sql, writer).retry(letter_of(play(1, 5), "plays", key=key))
    (record,) = await folded(log, Plays(plays, sql))
    assert record.key == b"%d" % VIDEO
