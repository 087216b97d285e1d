"""Spools that were left by more workers than there are now: drained into the log, and then gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from models.errors import InvalidSetting
from models.eventlog.spool import Outbox

LOOK_SECONDS: Final = 0.2

log = structlog.get_logger()


async def adopt(files: Iterable[Path], outbox_of: Callable[[Path], Outbox], stop: asyncio.Event) -> None:
    """
    Drain each file and delete it; what is not drained when ``stop`` is set waits for the next start.

    A file that another process has is left to it.
    """
    for file in files:
        try:
            async with outbox_of(file) as outbox:
                waiting = outbox.status().events
                if waiting:
                    log.warning("spool adopted", file=file.name, events=waiting)
                while outbox.status().events and not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
                drained = not outbox.status().events and not outbox.aside
        except InvalidSetting:
            continue
        if drained:
            for suffix in ("", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
