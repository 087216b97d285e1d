"""How large a record may be; the same rule for every adapter."""

from __future__ import annotations

from models.errors import Refused
from models.eventlog.port import Message
from models.topics import Topics

DEFAULT_MAX_BYTES = 1_048_588
"""Kafka's own default of ``max.message.bytes``."""

BATCH_OVERHEAD = 512
"""Bytes kept free for the frame of a batch and of its only record, and the lengths in it."""


def max_bytes(topics: Topics, topic: str) -> int:
    """The largest key, value and headers together that the topic takes, in bytes."""
    declared = topics.by_name.get(topic)
    limit = declared.config.get("max.message.bytes", "") if declared else ""
    return (int(limit) if limit.isdecimal() else DEFAULT_MAX_BYTES) - BATCH_OVERHEAD


def size_of(message: Message) -> int:
    """Bytes of key, value and headers; ten a header cover the lengths that frame it."""
    return len(message.key) + len(message.value) + sum(10 + len(n) * 3 + len(v) for n, v in message.headers)


def check_size(topics: Topics, message: Message) -> None:
    """Raises Refused when the message is larger than its topic takes."""
    size, limit = size_of(message), max_bytes(topics, message.topic)
    if size > limit:
        raise Refused("record", f"{size} bytes", f"at most {limit} bytes of key, value and headers")
