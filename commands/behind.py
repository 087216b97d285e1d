"""What `playtrail doctor` finds of the lag: how far each projection is behind, and whether anybody folds it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from commands.finding import Finding, fail, ok, warn
from commands.lagtable import time
from models.eventlog.port import EventLog
from models.lag.report import ProjectionLag
from models.lag.sampler import Sampler
from models.stores.port import PositionStore
from models.topics import Topics

SECONDS: Final = 1.0
"""Between two looks: what the states are judged on."""

PART: Final = "lag"


async def behind(log: EventLog, sinks: Mapping[str, PositionStore], contract: Topics) -> list[Finding]:
    """A finding for each projection of ``sinks``, by the targets of topics.yaml."""
    async with Sampler(log, sinks, contract) as sampler:
        report = await sampler.report()
        if any(lag.lag for lag in report.projections):  # one look tells how far, two tell whether it is folded
            await asyncio.sleep(SECONDS)
            report = await sampler.report()
    away = [fail(PART, f"{name}: {reason}", "see what is said of the server") for name, reason in report.errors.items()]
    return [*map(_finding, report.projections), *away]


def _finding(lag: ProjectionLag) -> Finding:
    name = lag.projection
    stands = (
        "without a position, and records wait"
        if lag.lag is None
        else f"{lag.lag:,} events behind, {time(lag.lag_seconds)}"
    )
    what = f"{name}: {stands}, state {lag.state}"
    if lag.level == 0 and lag.lag is None:  # no position, and no record that would need one
        return ok(PART, f"{name}: there is nothing to fold yet")
    if unowned := len(lag.unowned):
        what += f"; nobody folds {unowned} of {len(lag.partitions)} partitions"
    mend = f"playtrail consume {name}" if unowned else f"playtrail lag --projection {name} --watch"
    if lag.level == 2:
        return fail(PART, f"{what}; the target page is {lag.page_seconds:g} s", mend)
    if lag.level == 1:
        return warn(PART, f"{what}; the target warn is {lag.warn_seconds:g} s", mend)
    return warn(PART, what, mend) if lag.lag and (unowned or lag.state != "OK") else ok(PART, what)
