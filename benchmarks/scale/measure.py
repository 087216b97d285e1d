"""Small costs, in this process, that no section of ``python -m benchmarks`` shows."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Final

import cramjam

from benchmarks.backlog import messages
from benchmarks.report import Table
from consumers import parts
from consumers.sessions import Sessions
from models.eventlog.port import Message

EVENTS: Final = 10_000
SESSIONS: Final = 500_000
TOGETHER: Final = 100
"""Records in a batch: what a producer gathers while the one before is under way, at a few thousand a second."""


def table() -> Table:
    """The costs by their names in costs.toml."""
    made = list(messages("plays", EVENTS))
    plain, packed = record_bytes(made, TOGETHER)
    size, seconds = snapshot()
    rows = [
        ("record_bytes", plain, "bytes"),
        ("record_bytes_lz4", packed, "bytes"),
        ("session_bytes", size, "bytes"),
        ("snapshot", seconds * 1e6, "µs of CPU"),
    ]
    return Table(("cost", "figure", "unit"), rows)


def record_bytes(made: Sequence[Message], together: int) -> tuple[float, float]:
    """Bytes of a record as it is and by lz4, with so many in a batch; ten of framing for each header and record."""
    plain = packed = 0
    for at in range(0, len(made), together):
        batch = b"".join(_record(message) for message in made[at : at + together])
        plain, packed = plain + len(batch), packed + len(bytes(cramjam.lz4.compress_block(batch)))
    return plain / len(made), packed / len(made)


def _record(message: Message) -> bytes:
    headers = b"".join(name.encode() + value + bytes(2) for name, value in message.headers)
    return message.key + message.value + headers + bytes(10)


def snapshot() -> tuple[float, float]:
    """Bytes, and seconds of CPU, of a session in a snapshot of many."""
    rng, sessions = random.Random(1), Sessions()
    for _ in range(SESSIONS):
        sessions.observe(rng.randbytes(16), rng.randrange(7_200))
    begun = time.process_time()
    content = parts.encode(sessions, 0, 1, snapshot=True)
    return len(content) / SESSIONS, (time.process_time() - begun) / SESSIONS
