"""
Puts dead letters back into the log, when a newer version of the program can read what an older one could not.

The record goes back on its own topic with its own key, bytes, headers and time, so with its own event_id, and is folded
like any other. It cannot undo what is newer: the newest event_id of a reaction wins, and of a play's session the
largest play_time. It is therefore appended first and its letter dropped afterwards; a kill in between leaves the
letter, and the second copy of the next retry changes nothing.

Clicks add up, so a view's letter is dropped first and its record appended afterwards: a kill in between, or an append
whose outcome is unknown, makes it missed and never doubled. When the append has failed for certain the letter is put
back.

A play of yesterday is refused: its session may be forgotten, and would count as another play. A rebuild is exact for
it, and for any number of letters: it folds every record where it stands. Only a view that was retried before counts
twice in a rebuild, where it was and where it was put back.
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
from models.errors import OutcomeUnknown, PlaytrailError, Refused
from models.eventlog.port import EventWriter, Message, Position
from models.stores.port import DeadLetter, DeadLetters
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
        position: Where its record was put back; None when it was not, or when only the log knows.
        reason: Why it was not; empty when it was.
    """

    letter: DeadLetter
    position: Position | None
    reason: str = ""


class Retry:
    """
    Retries letters one by one.

    Args:
        topics: The contract of the log.
        dead: Where the letters are.
        writer: Entered by the caller; without one, only what would happen is told.
        clock: The time that the age of a play is measured by.
    """

    def __init__(
        self, topics: Topics, dead: DeadLetters, writer: EventWriter | None = None, clock: Clock | None = None
    ) -> None:
        self._topics, self._dead, self._writer, self._clock = topics, dead, writer, clock or SystemClock()

    async def retry(self, letter: DeadLetter) -> Retried:
        """
        Put one letter's record back; what is refused stays a letter.

        Raises Unavailable when a server is away: the letter is still there, and the same call again goes on.
        """
        try:
            message = self.message(letter)
            if self._writer is None:
                return Retried(letter, None)
            put = self._put_view if letter.projection == "views" else self._put
            return await put(self._writer, letter, message)
        except Refused as error:
            return Retried(letter, None, str(error))

    def message(self, letter: DeadLetter) -> Message:
        """The letter as the record that it was. Raises Refused when no projection could fold it, or not rightly."""
        known = self._topics.by_name.get(letter.topic)
        if known is None or letter.projection not in known.projections or letter.projection not in DECODERS:
            allowed = "a projection and its topic in topics.yaml"
            raise Refused("letter", f"{letter.projection} of {letter.topic}", allowed)
        event = DECODERS[letter.projection](letter.value)
        if isinstance(event, events.Play):
            self._check_age(event, letter)
        pairs: list[tuple[str, str]] = msgspec.json.decode(letter.headers, type=list[tuple[str, str]])
        headers = [(name, value.encode("latin-1")) for name, value in pairs]
        key = letter.key if letter.key is not None else events.key_of(event)
        return Message(letter.topic, key, letter.value, headers, letter.at_ms)

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
        await asyncio.to_thread(self._dead.drop_dead, [letter.place])
        return Retried(letter, position)

    async def _put_view(self, writer: EventWriter, letter: DeadLetter, message: Message) -> Retried:
        if not await asyncio.to_thread(self._dead.drop_dead, [letter.place]):
            return Retried(letter, None, "the letter is gone: somebody else has retried or dropped it")
        try:
            return Retried(letter, await writer.append(message))
        except OutcomeUnknown as error:
            return Retried(letter, None, f"{error}; the letter is gone, since a second copy would be a second click")
        except PlaytrailError:
            await asyncio.to_thread(self._dead.put_dead, [letter])
            raise
