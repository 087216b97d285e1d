"""An event log in memory whose troubles the test decides; it keeps the promises of EventWriter."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Literal

from models.errors import OutcomeUnknown, Refused, Unavailable
from models.eventlog.port import EventWriter, Message, Position

State = Literal["there", "away", "unknown_lost", "unknown_landed"]


class FakeWriter(EventWriter):
    """
    Appends in the order of the calls, like the real ones.

    Attributes:
        state: ``away`` raises Unavailable; the two unknown ones raise OutcomeUnknown, with the record lost or landed.
        refused_topics: Topics whose records raise Refused.
        lose_once: Values whose next append is lost without an answer, while the ones beside it succeed.
        records: What is in the log, in order.
        calls: How many appends were tried.
        open: When cleared, every append waits for it before it is answered.
    """

    def __init__(self, state: State = "there") -> None:
        self.state: State = state
        self.records: list[Message] = []
        self.calls = 0
        self.refused_topics: set[str] = set()
        self.lose_once: set[bytes] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.entered = self.left = 0
        self.most_at_once = self._at_once = 0

    async def __aenter__(self) -> FakeWriter:
        self.entered += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.left += 1

    async def append(self, message: Message) -> Position:
        self.calls += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            position = self._take(message)  # at the call: the order of the calls is the order of the log
            await self.open.wait()
            await asyncio.sleep(0)
            if isinstance(position, Exception):
                raise position
            return position
        finally:
            self._at_once -= 1

    async def ready(self) -> None:
        await asyncio.sleep(0)
        if self.state == "away":
            raise Unavailable("log", "away")

    def _take(self, message: Message) -> Position | Exception:
        if message.topic in self.refused_topics:
            return Refused("topic", message.topic, "another")
        if self.state == "away":
            return Unavailable("log", "away")
        if self.state == "unknown_lost" or message.value in self.lose_once:
            self.lose_once.discard(message.value)
            return OutcomeUnknown("lost")
        self.records.append(message)
        if self.state == "unknown_landed":
            return OutcomeUnknown("landed")
        return Position(message.topic, 0, len(self.records) - 1)

    def values(self) -> list[bytes]:
        """The values in the log, in order, with copies."""
        return [message.value for message in self.records]

    def first_by_key(self) -> dict[bytes, list[bytes]]:
        """Per key, the values in the order in which each was first seen."""
        found: defaultdict[bytes, dict[bytes, None]] = defaultdict(dict)
        for message in self.records:
            found[message.key].setdefault(message.value)
        return {key: list(values) for key, values in found.items()}


def message(number: int, key: bytes = b"1", topic: str = "behavior.reactions", size: int = 0) -> Message:
    """A message whose value says its number."""
    value = b"%d" % number + b" " * size
    return Message(topic, key, value, [("ce_id", b"%d" % number), ("ce_type", b"x")], 1_700_000_000_000 + number)
