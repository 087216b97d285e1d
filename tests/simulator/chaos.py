"""What goes wrong besides failing calls: processes die, hang, come and go; servers are away; an operator intervenes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.simulator.process import Process
from tests.simulator.world import World

MOST_ACTIONS = 12
MOST_PROCESSES = 5


class Chaos:
    """The processes of a world, and who does what to them."""

    def __init__(self, world: World) -> None:
        self.processes: list[Process] = []
        self._world, self._rng = world, world.rng
        world.missed = self._replace
        actions = [self._kill, self._freeze, self._join, self._end, self._twin, self._stores_away, self._log_away]
        # A new epoch of plays begins without sessions, and so is no continuation.
        self._actions = actions if world.projection == "plays" else [*actions, self._new_epoch]

    async def run(self, seconds: float) -> None:
        """Start processes, and trouble them for a while."""
        for number in range(self._rng.randint(1, 2)):
            self._start(f"c{number}")
        count = self._rng.randint(0, MOST_ACTIONS)
        for at in sorted(self._rng.uniform(0, seconds) for _ in range(count)):
            await asyncio.sleep(at - self._world.now())
            self._rng.choice(self._actions)()

    def recover(self) -> None:
        """No more faults: a last process starts, while what is left of earlier ones ends or goes on."""
        self._world.faults = False
        self._world.broker.session, self._world.latency = 30.0, 0.02
        self._world.note("world", "no more faults")
        for process in self._living():
            self._rng.choice((process.kill, process.end, lambda: None))()
        self._start("last")

    async def catch_up(self) -> None:
        """Wait until the log is folded, and until what is late has come."""
        await self._until(self._caught_up, "the last process does not catch up")
        await self._until(lambda: not any(p.calls for p in self.processes), "calls do not end")

    async def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        for _ in range(1_000):
            if condition():
                return
            await asyncio.sleep(1.0)
        self._world.violated(otherwise)

    def _caught_up(self) -> bool:
        world = self._world
        store = world.positions()
        return all(store.get(p, 0) == end for p, end in enumerate(world.broker.topic(world.topic).end))

    def _living(self) -> list[Process]:
        return [process for process in self.processes if process.lives]

    def _start(self, name: str) -> None:
        self.processes.append(Process(self._world, name))

    def _some(self) -> Process | None:
        living = self._living()
        return self._rng.choice(living) if living else None

    def _kill(self) -> None:
        if process := self._some():
            process.kill()
            self._replace(process.name)

    def _end(self) -> None:
        if process := self._some():
            process.end()
            self._replace(process.name)

    def _replace(self, old: str) -> None:
        """A supervisor starts another some time later, under the old name or a new one."""
        name = self._rng.choice((old, f"c{len(self.processes)}"))
        self._world.loop.call_later(
            self._rng.choice((0.0, self._rng.uniform(0, 10))), self._start_while_faults_last, name
        )

    def _start_while_faults_last(self, name: str) -> None:
        if self._world.faults and len(self._living()) < MOST_PROCESSES:
            self._start(name)

    def _freeze(self) -> None:
        if process := self._some():
            process.freeze(self._rng.uniform(1, 90))
            self._replace(process.name)

    def _join(self) -> None:
        self._start_while_faults_last(f"c{len(self.processes)}")

    def _twin(self) -> None:
        """A second process under the name of one that runs."""
        if process := self._some():
            self._start_while_faults_last(process.name)

    def _stores_away(self) -> None:
        self._world.store_away = self._world.now() + self._rng.uniform(0.1, 15)

    def _log_away(self) -> None:
        self._world.log_away = self._world.now() + self._rng.uniform(0.1, 15)

    def _new_epoch(self) -> None:
        """An operator begins an epoch where the old one stands, on the same log."""
        self._world.note("operator", "begins an epoch")
        self._world.begin_epoch()
