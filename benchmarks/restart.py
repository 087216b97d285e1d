"""Restarting a consumer that has much to remember."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median
from typing import Final

from benchmarks.folding_large import SESSIONS, TAIL, VIDEOS, Restart, large, restarted
from benchmarks.report import Cell, Table
from benchmarks.stage import Stage
from tests.running import Process

TITLE: Final = "Restart"
ABOUT: Final = f"""
A plays consumer on real Kafka and HBase that remembers {SESSIONS:,} live sessions of {VIDEOS:,} videos, in 6
partitions. {TAIL} more heartbeats wait in the log. Timed from exec, so Python, imports, the group, and reading every
session back from HBase are in it; an event counts as applied when its row and the checkpoint are in HBase.
"""
REACH_SECONDS: Final = 5.0
ENDS: Final[Mapping[str, Callable[[Process], Awaitable[object]]]] = {
    "stopped in order": Process.stop,
    "killed (SIGKILL)": Process.kill9,
}


async def run(stage: Stage) -> Sequence[Table]:
    """Restarts after each way to end, in turns."""
    one, servers = await large(stage), (await stage.kafka()).address
    seen: dict[str, list[Restart]] = {name: [] for name in ENDS}
    await restarted(one, servers, 1_000, Process.stop)  # what follows was stopped in order
    for turn in range(stage.rounds):
        # Each way to end decides how the next start finds the world.
        for number, (name, other) in enumerate(zip(ENDS, [*list(ENDS)[1:], *list(ENDS)[:1]], strict=True)):
            stage.note(f"{name}: round {turn + 1} of {stage.rounds}")
            seen[name].append(await restarted(one, servers, 1_001 + turn * len(ENDS) + number, ENDS[other]))
    columns = "the consumer before", "of the reach of 5 s", "first event, s", "all events, s", "CPU s", "peak MB"
    return [Table(columns, [_row(name, found) for name, found in seen.items()])]


def _row(name: str, found: Sequence[Restart]) -> Sequence[Cell]:
    first, last, cpu, peak = (median(values) for values in zip(*found, strict=True))
    return name, first / REACH_SECONDS, first, last, cpu, round(peak)
