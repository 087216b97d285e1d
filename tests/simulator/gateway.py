"""A simulated gateway: appends a plan of records, and sends again what may not have arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from models import events
from models.errors import OutcomeUnknown, Unavailable
from models.eventlog.port import EventWriter, Message
from tests.simulator.memory_log import MemoryLog
from tests.simulator.traffic import plan
from tests.simulator.world import World


class Gateway:
    """
    Sends in order, one record after the other, as the spool does while the log is away.

    Attributes:
        seconds: About how long ``run`` takes.
        acknowledged: Values whose append was answered.
    """

    def __init__(self, world: World) -> None:
        self.acknowledged: set[bytes] = set()
        self._world = world
        planned = plan(world.rng, world.topic)
        count = len(planned) * 4 // 5
        self._first, self._rest = planned[:count], planned[count:]
        self._gap = world.rng.choice((0.0, 0.02, 0.1, 0.5))
        self.seconds = self._gap * count

    async def run(self) -> None:
        """Append most of the plan."""
        await self._append(self._first)

    async def finish(self) -> None:
        """Append the rest: what owners have left in memory or in the stores shows when the fold goes on."""
        await self._append(self._rest)

    async def _append(self, messages: Sequence[Message]) -> None:
        async with MemoryLog(self._world.broker, self._gate).writer() as writer:
            for message in messages:
                await asyncio.sleep(self._world.rng.expovariate(1 / self._gap) if self._gap else 0.0)
                await self._send(writer, message)

    async def _send(self, writer: EventWriter, message: Message) -> None:
        while True:
            try:
                position = await writer.append(message)
            except Unavailable as error:
                await asyncio.sleep(error.retry_after)
            except OutcomeUnknown:
                if message.topic == events.VIEWS:
                    return  # clicks add up: better missed than doubled
            else:
                self.acknowledged.add(message.value)
                self._world.note("gateway", f"has appended {position}")
                return

    async def _gate(self, step: str) -> None:
        self._world.fail_log("gateway", step)
