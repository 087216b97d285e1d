"""
Probes: events of no viewer that measure the way from an append to the read model.

A probe is a record of the event ``probe`` in a projection's own topic, so it takes the way of every other event: the
same broker, partition, consumer and sink. No fold counts it; what becomes visible is the position behind it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from models.clock import Clock
from models.errors import PlaytrailError
from models.eventlog.port import EventWriter, Message, Position
from models.events import SCHEMA, EventIds, rfc3339
from models.stores.port import PositionStore
from models.topics import Topics

POLL_SECONDS: Final = 0.01
SECONDS: Final = 10.0
"""How long a probe is waited for before it counts as lost: dead consumers are told by the lag, not by this."""


class Probe(Struct, frozen=True, kw_only=True):
    """The value of a probe's record; the fields that every event has."""

    event: Literal["probe"] = "probe"
    event_id: Annotated[str, Meta(min_length=36, max_length=36)]
    occurred_at: str
    schema: int = SCHEMA
    user_id: None = None
    url: str = "/ops/probe"
    method: str = "probe"
    msg: str = "probe"


class Probed(Struct, frozen=True, kw_only=True):
    """
    What a probe of one projection measured, in seconds.

    Attributes:
        at_ms: When it was sent, milliseconds since 1970.
        position: Where it stands in the log; empty when it was not appended.
        append: Until the log had it; None when it failed.
        visible: Until the projection's position was behind it, counted from the sending; None when it was not in time.
        failure: Why one of them is None; empty when neither is.
    """

    at_ms: int
    position: str = ""
    append: float | None = None
    visible: float | None = None
    failure: str = ""


_decoder = msgspec.json.Decoder(Probe)


def is_probe(value: bytes) -> bool:
    """Whether a record's value, which is no event of its topic, is a probe."""
    try:
        _decoder.decode(value)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


class Prober:
    """
    Sends probes and waits for them.

    Args:
        writer: The log, entered.
        sinks: Where each projection that is probed keeps its position.
    """

    def __init__(self, writer: EventWriter, sinks: Mapping[str, PositionStore], topics: Topics, clock: Clock) -> None:
        self._writer, self._sinks, self._topics, self._clock = writer, sinks, topics, clock
        self._ids = EventIds(clock)

    async def probe(self) -> Mapping[str, Probed]:
        """One probe of each projection, all at once; a failure is part of the result."""
        found = await asyncio.gather(*(self._one(name) for name in self._sinks))
        return dict(zip(self._sinks, found, strict=True))

    async def _one(self, projection: str) -> Probed:
        topic = self._topics.of_projection(projection).name
        message = self._message(topic)
        begun = time.perf_counter()
        try:
            position = await self._writer.append(message)
            appended = time.perf_counter() - begun
        except PlaytrailError as error:
            return Probed(at_ms=message.timestamp, failure=str(error))
        probed = Probed(at_ms=message.timestamp, position=str(position), append=appended)
        try:
            async with asyncio.timeout(SECONDS):
                await self._reached(projection, position)
        except (PlaytrailError, TimeoutError) as error:
            return msgspec.structs.replace(probed, failure=str(error) or f"not visible within {SECONDS:g} s")
        return msgspec.structs.replace(probed, visible=time.perf_counter() - begun)

    async def _reached(self, projection: str, position: Position) -> None:
        sink = self._sinks[projection]
        while True:
            found = (await asyncio.to_thread(sink.positions, projection, position.topic)).get(position.partition)
            if found is not None and found.next_offset > position.offset:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _message(self, topic: str) -> Message:
        """With a random key, so that all partitions have their turn."""
        event_id, ms = self._ids.next()
        probe = Probe(event_id=event_id, occurred_at=rfc3339(ms))
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.encode()),
            ("ce_type", b"playtrail.probe"),
            ("ce_source", probe.url.encode()),
            ("ce_time", probe.occurred_at.encode()),
            ("content-type", b"application/json"),
        ]
        return Message(topic, secrets.token_hex(8).encode(), msgspec.json.encode(probe), headers, ms)
