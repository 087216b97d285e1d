"""What became of the acknowledged events of each fault, as rows of a table."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.contract.fold import Difference, Folded, difference, fold
from tests.real.chaos.faults import Fault
from tests.real.chaos.load import VIDEOS, Acknowledged, Load
from tests.real.chaos.site import SECRET, Site

BEFORE_SECONDS: Final = 0.5
"""Load before each injection."""

HEADER: Final = (
    "fault", "injected", "sent", "acknowledged", "by the spool", "in the log", "copies", "counted", "lost", "doubled",
    "recovery s: median", "longest", "slowest answer s",
)  # fmt: skip


@dataclass
class Outcome:
    """
    One fault, injected some times.

    Attributes:
        copies: Records of the log that repeat an event_id.
        logged: Acknowledged actions that the log has.
        counted: Those of them that the read models have.
        lost: Acknowledged actions that the log lacks, and what the read models lack of the log.
        doubled: What the read models have more than the log.
        recovered: Seconds of each round from the repair until everything worked and had caught up.
        problems: What differs, for a person.
    """

    name: str
    done: Acknowledged = field(default_factory=Acknowledged)
    copies: int = 0
    logged: int = 0
    counted: int = 0
    lost: int = 0
    doubled: int = 0
    recovered: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        """As HEADER has it."""
        answers = self.done.answers
        numbers = (
            len(self.recovered), sum(answers.values()), len(self.done), answers["spool"], self.logged, self.copies,
            self.counted, self.lost, self.doubled,
        )  # fmt: skip
        times = (median(self.recovered), max(self.recovered), self.done.slowest)
        return (self.name, *(f"{n:,}" for n in numbers), *(f"{t:.1f}" for t in times))


async def run(site: Site, fault: Fault, rounds: int) -> Outcome:
    """Inject a fault under load, again and again; then compare what was acknowledged, the log and the read models."""
    outcome = Outcome(fault.name)
    async with Load(site.url, SECRET) as load:
        outcome.done = load.done
        for _ in range(rounds):
            await asyncio.sleep(BEFORE_SECONDS)
            await fault.inject(site)
            repaired = time.monotonic()
            await site.working()
            await site.caught_up()
            outcome.recovered.append(time.monotonic() - repaired)
    await site.caught_up()
    folded = await fold(site.log)
    _judge(outcome, folded, await difference(folded, site.sql, site.plays, VIDEOS))
    return outcome


def _judge(outcome: Outcome, folded: Folded, found: Difference) -> None:
    done = outcome.done
    likes = {key for key, status in done.likes.items() if folded.likes.get(key) == status}
    beats = done.beats & folded.beats
    outcome.copies = folded.copies
    outcome.logged = len(likes) + len(beats)
    outcome.counted = outcome.logged - min(outcome.logged, found.missing)
    outcome.lost = len(done) - outcome.counted
    outcome.doubled = found.surplus
    if outcome.logged < len(done):
        outcome.problems.append(f"acknowledged and not in the log: {sorted(done.likes.keys() - likes)[:5]} "
                                f"{sorted(done.beats - beats)[:5]}")  # fmt: skip
    outcome.problems += found.lines
