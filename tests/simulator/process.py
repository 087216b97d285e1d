"""A simulated process: a real runner with a real projection, which can be slow, hang, and be killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from consumers.metrics import Metrics
from consumers.plays import Plays
from consumers.port import Projection
from consumers.reactions import Reactions
from consumers.runner import Runner
from consumers.tuning import Tuning
from consumers.views import Views
from models.clock import ManualClock
from tests.simulator.calls import Call, Calls
from tests.simulator.memory_log import MemoryLog
from tests.simulator.memory_plays import MemoryPlays
from tests.simulator.memory_sql import MemorySql
from tests.simulator.world import World

_METRICS: Final = Metrics()
"""Shared, since making them costs as much as a seed."""


class Killed(BaseException):
    """kill -9: no handler of the process runs any more, as all of its ports raise this."""


class Process:
    """
    One consumer process, from its start.

    Attributes:
        dead: After ``kill``: what it still does in memory is seen by nobody, but a request under way may arrive.
        current: The call whose turn it is.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.dead = False
        self.calls: dict[Call, None] = {}
        self.current: Call
        self._frozen_until = 0.0
        self._stop = asyncio.Event()
        log = MemoryLog(world.broker, self.gate)
        self.runner = Runner(
            log,
            self._projection(),
            member=name,
            threads=Calls(self),
            metrics=_METRICS,
            writer=log.writer(),
            clock=ManualClock(),
            tuning=self._tuning(),
        )
        self.task = world.loop.create_task(self._run())
        world.note(name, "starts")

    @property
    def lives(self) -> bool:
        """Whether it runs, in good order or hanging; one that another has replaced does nothing more."""
        return not self.dead and not self.task.done() and not self.runner.replaced

    def kill(self) -> None:
        """Die at once."""
        self.world.note(self.name, "is killed")
        self.dead = True
        self.task.cancel()

    def freeze(self, seconds: float) -> None:
        """Hang; then go on as if nothing had been."""
        self.world.note(self.name, f"hangs for {seconds:.0f} s")
        self._frozen_until = self.world.now() + seconds

    def end(self) -> None:
        """End in good order."""
        self.world.note(self.name, "is told to stop")
        self._stop.set()

    async def gate(self, step: str) -> None:
        """The way to the log."""
        await asyncio.sleep(self._delay(0.02))
        self._check()
        self.world.fail_log(self.name, step)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """The way to a store and back; see tests.simulator.steps.Step."""
        call, world = self.current, self.world
        self._pause(call)
        if not self.dead or world.rng.random() < 0.7:
            self._check()
        world.fail_store(self.name, f"{what} before it took effect")
        yield
        world.note(self.name, what)
        self._pause(call)
        self._check()
        world.fail_store(self.name, f"{what} after it took effect")

    def later(self, turn: Callable[[], None]) -> None:
        self.world.loop.call_later(self._delay(self.world.latency), turn)

    def in_one_go(self) -> bool:
        return self.world.rng.random() < (0.4 if self.world.projection == "plays" else 0.7)

    def _pause(self, call: Call) -> None:
        """Between two steps: let others go on; or die, or hang so that another may take over."""
        world, chance = self.world, self.world.rng.random
        if world.faults and not self.dead:
            if chance() < world.crash:
                self.kill()
                world.missed(self.name)
            elif chance() < world.hang:
                self.freeze(world.rng.uniform(1, 60))
                world.missed(self.name)
        if self.dead or chance() < world.stops:
            call.stop()

    def _check(self) -> None:
        if self.dead:
            raise Killed

    def _delay(self, most: float) -> float:
        rng, world = self.world.rng, self.world
        # What a process sent before it died may arrive long after.
        slow = world.faults and rng.random() < (0.5 if self.dead else world.slow)
        usual = rng.uniform(5, 45) if slow else rng.uniform(0, most)
        return max(0.0, self._frozen_until - world.now()) + usual

    def _projection(self) -> Projection:
        world = self.world
        sql = MemorySql(world.sql, self.step)
        if world.projection == "plays":
            return Plays(MemoryPlays(world.plays, self.step), sql, world.rng.choice((1, 4, 1000)))
        return Reactions(sql) if world.projection == "reactions" else Views(sql)

    def _tuning(self) -> Tuning:
        rng = self.world.rng
        return Tuning(
            max_records=rng.choice((1, 3, 10, 50)),
            flush_records=rng.choice((1, 5, 100)),
            gather=rng.choice((0.0, 0.1, 2.0)),
            linger=rng.choice((0.0, 0.03, 0.5)),
            wait=5.0,
            budget=rng.choice((0.01, 1.0, 10.0)),
            last_delay=5.0,
            commit_every=rng.choice((0.5, 5.0)),
        )

    async def _run(self) -> None:
        try:
            await self.runner.run(self._stop)
            self.world.note(self.name, "ends")
        except (Killed, asyncio.CancelledError):
            self.world.note(self.name, "is gone")
        except Exception as error:  # noqa: BLE001 -- any other way to end is a finding
            self.world.violated(f"{self.name} ended: {type(error).__name__}: {error}")
