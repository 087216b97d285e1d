"""A log with a few thousand events in it, some of them late and some of them broken, and `playtrail replay` on it."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from click.testing import CliRunner, Result

from models import events
from models.eventlog.port import EventLog, Message, Position
from models.events import PLAYS, REACTIONS, VIEWS, Event
from playtrail import cli
from tests.contract.eventlog_base import until_ready

HOUR = 3_600_000
BROKEN = [b"no JSON", b"{}", b'{"event":"hot"}', b"[]"]
"""Values in behavior.views that are no events of it."""


class Stored(NamedTuple):
    """A message and where it stands; ``event`` is None when it is none."""

    position: Position
    message: Message
    event: Event | None

    @property
    def ms(self) -> int:
        return self.message.timestamp

    def values(self) -> dict[str, Any]:
        """What its value has."""
        found: dict[str, Any] = json.loads(self.message.value)
        return found


class Stage:
    """
    What tests work with.

    Attributes:
        env: Settings of the log.
        stored: Everything in it, by topic; in order within a partition.
        now: When it was filled, milliseconds.
    """

    def __init__(self, log: EventLog, env: Mapping[str, str]) -> None:
        self.log, self.env = log, dict(env)
        self.stored: dict[str, list[Stored]] = {}
        self.now = time.time_ns() // 1_000_000
        self._ids = events.EventIds()
        self._random = random.Random(7)

    async def fill(self) -> None:
        """Plays of 60 hours, the last of them up to two hours late; reactions; and views with broken ones between."""
        plays = [(self.play(i), self.now - 60 * HOUR + i * 70_000) for i in range(3_000)]
        await self.append(PLAYS, [(event, ms - self._random.randrange(2 * HOUR)) for event, ms in plays])
        await self.append(REACTIONS, [(self.reaction(i), self.now - i * 1000) for i in range(300)])
        views: list[tuple[Event | bytes, int]] = [(self.view(i), self.now - 40 + i) for i in range(40)]
        for at, value in enumerate(BROKEN):
            views.insert(at * 9, (value, self.now))
        await self.append(VIEWS, views)

    async def append(self, topic: str, items: Sequence[tuple[Event | bytes, int]]) -> list[Stored]:
        """Append events, or bytes in the place of one, with their times."""
        made = [(self._message(topic, item, ms), item if isinstance(item, Event) else None) for item, ms in items]
        async with self.log.writer() as writer:
            await until_ready(writer.ready)
            places = await asyncio.gather(*(writer.append(message) for message, _ in made))
        new = [Stored(place, message, event) for place, (message, event) in zip(places, made, strict=True)]
        self.stored[topic] = sorted([*self.stored.get(topic, []), *new], key=lambda s: s.position)
        return new

    def _message(self, topic: str, item: Event | bytes, ms: int) -> Message:
        if isinstance(item, bytes):
            return Message(topic, b"1", item, [("x-user", b"somebody")], ms)
        return Message(topic, events.key_of(item), events.encode(item), events.headers_of(item), ms)

    def _common(self, url: str, msg: str) -> dict[str, Any]:
        event_id, ms = self._ids.next()
        when = events.rfc3339(ms)
        return {"event_id": event_id, "occurred_at": when, "url": url, "method": "post", "msg": msg}

    def play(self, number: int) -> Event:
        kind = (events.Start, events.Ping, events.Ping, events.Stop, events.End)[number % 5]
        user = None if number % 11 == 0 else 1 + number % 97
        session = str(uuid.UUID(int=self._random.getrandbits(128)))
        return kind(**self._common(f"/video/play/{1 + number % 40}", "video play"), user_id=user,
                    video_id=1 + number % 40, session=session, seq=number % 5, play_time=number % 120,
                    cur_time=None if number % 7 == 0 else number / 4)  # fmt: skip

    def reaction(self, number: int) -> Event:
        common = {**self._common("/video/x", "video x"), "user_id": 90_001 + number % 30, "video_id": 1 + number % 40}
        if number % 3 == 0:
            return events.Follow(**common, followee_id=90_001 + number % 7)
        return (events.Like if number % 3 == 1 else events.NoLike)(**common)

    def view(self, number: int) -> Event:
        user = None if number % 2 else 5
        common = self._common("/video/hot", 'a "quoted", line\nand \x1b[31mred')
        if number % 3 == 0:
            return events.Hot(**common, user_id=user, video_ids=[1, 2, 1 + number])
        return events.Detail(**common, user_id=user, video_id=1 + number)

    def run(self, *arguments: object) -> Result:
        """`playtrail replay`, in this process."""
        return CliRunner().invoke(cli, ["replay", *map(str, arguments)], env=self.env)

    def rows(self, *arguments: object) -> list[dict[str, Any]]:
        """The JSON lines of a replay that ends well and tells nothing."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stderr) == (0, ""), result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def ids(self, *arguments: object) -> list[str]:
        """The event ids of a replay, sorted: order is kept within a partition alone."""
        return sorted(row["event_id"] for row in self.rows(*arguments))

    def wanted(self, topic: str, keep: Any) -> list[str]:
        """The event ids of the events in a topic that ``keep`` says yes to."""
        return sorted(s.event.event_id for s in self.stored[topic] if s.event is not None and keep(s))


@pytest.fixture(autouse=True)
def collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets the cycle collector of its process; here that is the tests' own."""
    monkeypatch.setattr("commands.replay.collect_less", lambda: None)


def table(query: str) -> list[tuple[Any, ...]]:
    """The rows of a query of DuckDB."""
    found = duckdb.sql(query)
    assert found is not None
    return found.fetchall()


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found
