"""
Folds dead letters after all, when a newer version of the program can read what an older one could not.

A reaction or a play goes back on its own topic with its own bytes, headers and time, so with its own event_id, under
the key of its event, and is folded like any other. It cannot undo what is newer: the newest event_id of a reaction
wins, and of a play's session the largest play_time. It is therefore appended first and its letter dropped afterwards;
a kill in between leaves the letter, and the second copy of the next retry changes nothing. A rebuild, which folds each
record where it stands, finds both copies and is the same.

Clicks add up, so a view is not put back: that would be a second click for everybody who folds the log again. Its
record is in the log already; what is missing is missing from the read model alone. Its letter is dropped and its click
added in one transaction: killed before, the letter is there, and after, the click.

A play of yesterday is refused: its session may be forgotten, and would count as another play. A rebuild is exact for
it, and for any number of letters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from consumers import plays
from consumers.deadletters import checked
from consumers.sessions import BUCKET_MS, KEPT_BUCKETS
from models import events
from models.clock import Clock, SystemClock
from models.errors import OutcomeUnknown, Refused
from models.eventlog.port import EventWriter, Message, Position
from models.stores.port import DeadLetter, SqlStores
from models.topics import Topics

PLAY_MS: Final = (KEPT_BUCKETS - 1) * BUCKET_MS
"""How old a play may be: a session is remembered for a day, and may have begun some hours before its last heartbeat."""

DECODERS: Final[Mapping[str, Callable[[bytes], events.Event]]] = MappingProxyType(
    {
        "views": lambda value: checked(events.decode_view(value)),
        "reactions": lambda value: checked(events.decode_reaction(value)),
        "plays": lambda value: plays.decode(value)[0],
    }
)
"""What each projection can fold."""


class Retried(NamedTuple):
    """
    What became of a letter.

    Attributes:
        letter: It.
        position: Where its record is folded from: where it was put back, or, of a view, where it always stood. None
            when it is not, or when only the log knows.
        reason: Why it is not; empty when it is.
    """

    letter: DeadLetter
    position: Position | None
    reason: str = ""


class Retry:
    """
    Retries letters one by one.

    Args:
        topics: The contract of the log.
        sql: Where the letters are.
        writer: Entered by the caller; without one, only what would happen is told.
        clock: The time that the age of a play is measured by.
    """

    def __init__(
        self, topics: Topics, sql: SqlStores, writer: EventWriter | None = None, clock: Clock | None = None
    ) -> None:
        self._topics, self._sql, self._writer, self._clock = topics, sql, writer, clock or SystemClock()

    async def retry(self, letter: DeadLetter) -> Retried:
        """
        See that one letter's record is folded; what is refused stays a letter.

        Raises Unavailable when a server is away: the letter is still there, and the same call again goes on.
        """
        try:
            event = self.event(letter)
            if self._writer is None:
                return Retried(letter, None)
            if letter.projection == "views":
                return await self._redeem(letter, event)
            return await self._put(self._writer, letter, _message(letter, event))
        except Refused as error:
            return Retried(letter, None, str(error))

    def event(self, letter: DeadLetter) -> events.Event:
        """The event of a letter. Raises Refused when its projection could not fold it, or not rightly."""
        known = self._topics.by_name.get(letter.topic)
        if known is None or letter.projection not in known.projections or letter.projection not in DECODERS:
            allowed = "a projection and its topic in topics.yaml"
            raise Refused("letter", f"{letter.projection} of {letter.topic}", allowed)
        event = DECODERS[letter.projection](letter.value)
        if isinstance(event, events.Play):
            self._check_age(event, letter)
        return event

    def _check_age(self, event: events.Play, letter: DeadLetter) -> None:
        if self._clock.now_ms() - letter.at_ms > PLAY_MS:
            hours = PLAY_MS // 3_600_000
            remedy = f"at most {hours} hours old, or it counts as another play; `playtrail rebuild plays` folds it"
            raise Refused("occurred_at", event.occurred_at, remedy)

    async def _put(self, writer: EventWriter, letter: DeadLetter, message: Message) -> Retried:
        try:
            position = await writer.append(message)
        except OutcomeUnknown as error:
            return Retried(letter, None, f"{error}; the letter stays, since a second copy is harmless")
        await asyncio.to_thread(self._sql.drop_dead, [letter.place])
        return Retried(letter, position)

    async def _redeem(self, letter: DeadLetter, event: events.Event) -> Retried:
        clicks = {event.video_id: 1} if isinstance(event, events.Detail) else {}
        if not await asyncio.to_thread(self._sql.redeem, letter.place, clicks):
            return Retried(letter, None, "the letter is gone: somebody else has retried or dropped it")
        return Retried(letter, letter.position)


def _message(letter: DeadLetter, event: events.Event) -> Message:
    """The record that a letter was; with the key that decides which partition owns what the event is about."""
    pairs: list[tuple[str, str]] = msgspec.json.decode(letter.headers, type=list[tuple[str, str]])
    headers = [(name, value.encode("latin-1")) for name, value in pairs]
    return Message(letter.topic, events.key_of(event), letter.value, headers, letter.at_ms)
