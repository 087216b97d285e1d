"""One seed, from the first record to the last comparison."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import structlog

from consumers import parts, tuning
from tests.simulator.chaos import Chaos
from tests.simulator.check import check
from tests.simulator.gateway import Gateway
from tests.simulator.process import Killed
from tests.simulator.world import World


class Outcome(NamedTuple):
    """What was violated (nothing, when all is well), every step when asked for, and how many records there were."""

    violations: list[str]
    trace: list[str]
    records: int


def simulate(seed: int, tracing: bool = False) -> Outcome:
    """Run a seed. The same seed with the same code does the same, step by step."""
    world = World(seed, tracing)
    world.loop.set_exception_handler(lambda _, context: _unexpected(world, context.get("exception")))
    with _as_decided_by(world):
        try:
            return world.loop.run_until_complete(_live(world))
        finally:
            world.loop.close()


def _unexpected(world: World, error: Exception | None) -> None:
    """Tasks of a killed process end as they may; any other that nobody waited for is a finding."""
    if error is not None and not isinstance(error, Killed):
        world.violated(f"a task ended: {type(error).__name__}: {error}")


async def _live(world: World) -> Outcome:
    chaos, gateway = Chaos(world), Gateway(world)
    try:
        sending = world.loop.create_task(gateway.run())
        await chaos.run(gateway.seconds + world.rng.choice((2.0, 20.0, 60.0)))
        await sending
        chaos.recover()
        await chaos.catch_up()
        await gateway.finish()
        await chaos.catch_up()
        check(world, gateway.acknowledged)
        # A copy: how the processes end that are left is no part of it.
        return Outcome(world.violations, list(world.trace or ()), sum(map(len, world.records())))
    finally:
        await _end(chaos)


async def _end(chaos: Chaos) -> None:
    """Nothing is left: no thread in the middle of a call, no task."""
    for process in chaos.processes:
        process.kill()
        while process.calls:
            next(iter(process.calls)).turn()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextlib.contextmanager
def _as_decided_by(world: World) -> Iterator[None]:
    """The consumers' own chance and sizes come from the seed, and what they say goes into the trace."""
    logging = structlog.get_config()
    structlog.configure(
        processors=[_Listener(world)],
        wrapper_class=structlog.make_filtering_bound_logger(20 if world.trace is not None else 30),
        cache_logger_on_first_use=False,
    )
    try:
        with (
            mock.patch.object(tuning, "random", random.Random(world.rng.getrandbits(32))),
            # A snapshot each time, or after a few deltas, so that short logs go through many.
            mock.patch.object(parts, "FEWEST_DELTAS", world.rng.choice((2, 5))),
            mock.patch.object(parts, "MOST_DELTAS", world.rng.choice((0, 3, 6, 512))),
        ):
            yield
    finally:
        structlog.configure(**logging)


class _Listener:
    """Receives what the consumers log: an unexpected error or a partition stopped for good is a finding."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, logger: Any, method: str, event: Any) -> Any:
        what = " ".join(f"{key}={value}" for key, value in event.items() if key not in ("event", "exc_info"))
        if event.get("exc_info") or event["event"] == "stopped":
            self._world.violated(f"consumer: {event['event']} {what}")
        self._world.note("consumer", f"{event['event']} {what}")
        raise structlog.DropEvent
