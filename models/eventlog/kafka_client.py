"""What the roles of the Kafka log share: its errors as ours, what it knows of a topic, and ending a client in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any, Final, NamedTuple

from aiokafka.errors import (
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    OffsetOutOfRangeError,
    PolicyViolationError,
    UnknownTopicOrPartitionError,
    for_code,
)

from models.errors import LogMismatch, Refused, Unavailable
from models.eventlog.kafka_wire import MetadataRequest

log = logging.getLogger(__name__)

REQUEST_MS: Final = 10_000
"""Limit of one request, in milliseconds; the writer has its own."""

CALL_SECONDS: Final = 15.0
"""Limit of one call of a reader or an administrator."""

METADATA_SECONDS: Final = 0.1

START_GRACE_SECONDS: Final = 1.0
"""For a start that is cancelled to come to its end by itself."""

REFUSING: Final = (
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    PolicyViolationError,
)


class TopicMetadata(NamedTuple):
    """A topic as the cluster has it now; ``led`` tells whether every partition has a leader."""

    cluster: str
    id: str
    partitions: int
    replication: int
    led: bool


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The one place where errors of aiokafka become ours."""
    try:
        yield
    except OffsetOutOfRangeError as error:
        raise LogMismatch(f"outside of the log: {_places(error)}") from error
    except KafkaError as error:
        raise Unavailable("log", describe(error)) from error
    except TimeoutError as error:
        raise Unavailable("log", "no answer in time") from error
    except OSError as error:
        raise Unavailable("log", str(error)) from error


def describe(error: BaseException) -> str:
    """One line: the class of the error, which aiokafka's own texts mostly begin with, and what it says."""
    name, text = type(error).__name__, " ".join(str(error).split())
    return text if name in text else f"{name}: {text}"


def _places(error: Any) -> str:
    positions = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return ", ".join(f"offset {offset} of {tp.topic}/{tp.partition}" for tp, offset in positions.items())


async def topics_of(client: Any, names: Collection[str]) -> dict[str, TopicMetadata]:
    """The topics among ``names`` that exist, by any broker that answers. Raises KafkaError."""
    if not names:
        return {}
    response = await client.send(client.get_random_node(), MetadataRequest(sorted(names)))
    found = {}
    for code, name, topic_id, _, partitions, *_ in response.topics:
        if for_code(code) is UnknownTopicOrPartitionError:
            continue
        if code:
            raise for_code(code)(name)
        led = bool(partitions) and all(partition[2] >= 0 for partition in partitions)
        replication = max((len(partition[4]) for partition in partitions), default=0)
        key = str(uuid.UUID(bytes=topic_id))
        found[name] = TopicMetadata(response.cluster_id, key, len(partitions), replication, led)
    return found


async def topic_of(client: Any, name: str) -> TopicMetadata:
    """Raises Refused when there is no such topic, or KafkaError."""
    found = await topics_of(client, [name])
    if name not in found:
        raise unknown_topic(name)
    return found[name]


def unknown_topic(name: str) -> Refused:
    return Refused("topic", name, "a topic of the log; `playtrail topics apply` creates what is missing")


def raise_for(code: int, text: str | None, field: str, value: object) -> None:
    """Raise what an answer's error code means for the caller; nothing for 0."""
    error = for_code(code)
    if error in REFUSING:
        raise Refused(field, value, text or error.__name__)
    if error is UnknownTopicOrPartitionError:
        raise unknown_topic(str(value))
    if code:
        raise error(text or "")


def calm(client: Any) -> None:
    """
    Let aiokafka ask for metadata ten times a second at most.

    While a partition has no leader its sender asks again as soon as it is answered, some 3,000 times a second, which
    costs a third of a processor, and as much of the broker's. A question too early is answered by waiting.
    """
    loop, ask, asked = asyncio.get_running_loop(), client.force_metadata_update, -METADATA_SECONDS

    def force_metadata_update() -> Any:
        nonlocal asked
        left = asked + METADATA_SECONDS - loop.time()
        if left <= 0:
            asked = loop.time()
            return ask()
        waiting = loop.create_future()
        loop.call_later(left, _resolve, waiting)
        return waiting

    client.force_metadata_update = force_metadata_update


def _resolve(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


async def started(start: Callable[[], Awaitable[object]]) -> None:
    """
    Await aiokafka's start of a client.

    Cancelled while it asks for the first metadata, aiokafka forgets that connection and leaves its socket open; so the
    start runs on for a moment, and the caller closes the client then.
    """
    starting = asyncio.ensure_future(start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=START_GRACE_SECONDS)
        starting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # told to nobody any more
        raise
    finally:
        starting.cancel()


async def within(seconds: float, *endings: Callable[[], Awaitable[object]]) -> bool:
    """
    Call and await one after the other, each for at most ``seconds``; whether all of them ended well.

    For closing: what fails or hangs is logged and left, so that a dead broker delays nobody's exit.
    """
    well = True
    for ending in endings:
        try:
            async with asyncio.timeout(seconds):
                await ending()
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("closing a client of Kafka: %s", describe(error))
            well = False
    return well
