"""An outbox before a fake writer, and waiting for what it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from models.clock import ManualClock
from models.eventlog.spool import Outbox
from tests.models.fake_writer import FakeWriter, message


@contextlib.asynccontextmanager
async def opened(writer: FakeWriter, path: Path, max_bytes: int = 1 << 20) -> AsyncIterator[Outbox]:
    outbox = Outbox(
        writer,
        path,
        clock=ManualClock(),
        max_bytes=max_bytes,
        first_wait=0.001,
        longest_wait=0.004,
        leave_seconds=0.001 if writer.state == "away" else 30.0,
    )
    async with outbox:
        yield outbox


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for something to become true; the test's own time limit ends a wait in vain."""
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        await asyncio.sleep(0.001)


def drained(outbox: Outbox) -> Callable[[], bool]:
    return lambda: outbox.status().events == 0


async def direct(outbox: Outbox, writer: FakeWriter) -> None:
    """Wait until the spool is empty and an append takes the direct way."""
    await until(drained(outbox))
    receipt = await outbox.append(message(999_999, key=b"probe"))
    assert receipt.durable == "log"
    writer.records.pop()
