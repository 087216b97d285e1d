"""The lag of what this process folds, looked at beside the fold."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from models.lag.collector import LagCollector
from models.lag.sampler import Sampler

SECONDS: Final = 5.0
"""Between two looks."""


@contextlib.asynccontextmanager
async def lag_watched(sampler: Sampler, collector: LagCollector, every: float = SECONDS) -> AsyncIterator[None]:
    """Look every few seconds inside of the block. A look that fails is counted, and the fold goes on."""
    task = asyncio.create_task(_watch(sampler, collector, every), name="playtrail-lag")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(sampler: Sampler, collector: LagCollector, every: float) -> None:
    async with sampler:
        while True:
            try:
                collector.update(await sampler.report())
            except Exception:  # noqa: BLE001 -- whatever it is, it must not end the fold
                structlog.get_logger().exception("lag not seen")
            await asyncio.sleep(every)
