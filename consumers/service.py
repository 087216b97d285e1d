"""The consumers as one process: several projections in one loop, with /metrics and /health."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from consumers.lagging import lag_watched
from consumers.metrics import Metrics
from consumers.plays import Plays
from consumers.port import Projection
from consumers.reactions import Reactions
from consumers.runner import Runner
from consumers.tuning import Backoff, Tuning
from consumers.views import Views
from models.errors import InvalidSetting, Unavailable
from models.eventlog.port import EventLog, EventWriter
from models.lag.sampler import Sampler, sinks_of
from models.stores.port import PlayStores, SqlStores
from models.topics import Topics

THREADS: Final = 20
"""A flush takes one; more than the three topics have partitions, so that no store waits for another."""


async def serve(
    *,
    log: EventLog,
    topics: Topics,
    sql: SqlStores,
    plays: PlayStores,
    projections: Sequence[str],
    member: str,
    metrics: tuple[str, int] | None,
    stop: asyncio.Event,
    writer: EventWriter | None = None,
    tuning: Tuning | None = None,
    listening: Callable[[str, int], None] | None = None,
) -> int:
    """
    Fold until ``stop``; the stores are closed at the end.

    Args:
        log, sql, plays: The servers; tables are created, which is tried again while a server is away.
        topics: The contract of the log.
        projections: Names of what is folded.
        member: A stable name of this process in its groups.
        metrics: Where /metrics and /health are served; None serves neither. Port 0 takes a free one.
        stop: Set it to end in good order.
        writer: Writes dead letters to behavior.dead; entered here.
        tuning: Sizes and times of the runners.
        listening: Told the address of /metrics.

    Returns:
        0, or 1 when every partition had stopped for good.

    Raises:
        Refused: A topic does not exist, or the address of ``metrics`` cannot be used.
    """
    tuning, counted = tuning or Tuning(), Metrics()
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="playtrail-fold")
    make = partial(Runner, log, member=member, threads=threads, metrics=counted, writer=writer, tuning=tuning)
    folds = [_projection(name, topics, sql, plays) for name in projections]
    runners = [make(projection) for projection in folds]
    for name in projections:
        counted.begin(name)
    try:
        async with contextlib.AsyncExitStack() as stack:
            if metrics is not None:
                address = await stack.enter_async_context(_endpoints(metrics, counted, runners))
                structlog.get_logger().info("metrics", host=address[0], port=address[1])
                if listening is not None:
                    listening(*address)
            await _create(sql, plays, stop, tuning)
            if metrics is not None:
                sampler = Sampler(log, sinks_of(sql, plays, projections), topics)
                await stack.enter_async_context(lag_watched(sampler, counted.show_lag(projections)))
            if writer is not None:
                await stack.enter_async_context(writer)
            return await _run(runners, stop)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        sql.close()
        plays.close()


def _projection(name: str, topics: Topics, sql: SqlStores, plays: PlayStores) -> Projection:
    make: dict[str, Callable[[], Projection]] = {
        "reactions": lambda: Reactions(sql),
        "views": lambda: Views(sql),
        "plays": lambda: Plays(plays, sql),
    }
    projection = make[name]()
    projection.topic = topics.of_projection(name).name
    return projection


async def _create(sql: SqlStores, plays: PlayStores, stop: asyncio.Event, tuning: Tuning) -> None:
    """Create the tables; waits for servers that are away. Plays need SQL as well, for their dead letters."""
    backoff = Backoff(tuning)
    for create in (sql.create, plays.create):
        while not stop.is_set():
            try:
                await asyncio.to_thread(create)
                break
            except Unavailable as error:
                structlog.get_logger().warning("tables wait", reason=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), backoff.delay())


async def _run(runners: Sequence[Runner], stop: asyncio.Event) -> int:
    """Run until ``stop``, until everything has stopped for good, or until a runner raises."""
    ended = asyncio.Event()
    tasks = [asyncio.create_task(runner.run(ended), name=f"playtrail-{runner.projection.name}") for runner in runners]
    watch = [asyncio.create_task(stop.wait()), asyncio.create_task(_all_stopped(runners))]
    try:
        await asyncio.wait([*tasks, *watch], return_when=asyncio.FIRST_COMPLETED)
        code = 1 if watch[1].done() else 0
    finally:
        ended.set()
        for task in watch:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return code


async def _all_stopped(runners: Sequence[Runner]) -> None:
    """Return when there are partitions and each of them has stopped for good."""
    while True:
        waits = [asyncio.create_task(runner.stopped.wait()) for runner in runners]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        states = [p.state for runner in runners for p in runner.partitions.values()]
        states += ["stopped" for runner in runners if runner.replaced]
        if states and all(state == "stopped" for state in states):
            return
        for runner in runners:
            runner.stopped.clear()


@contextlib.asynccontextmanager
async def _endpoints(address: tuple[str, int], metrics: Metrics, runners: Sequence[Runner]) -> Any:
    app = web.Application()
    app.router.add_get("/metrics", partial(_metrics, metrics))
    app.router.add_get("/health", partial(_health, runners))
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, *address)
    try:
        try:
            await site.start()
        except OSError as error:
            allowed = f"an address that is free here ({error.strerror})"
            raise InvalidSetting("PLAYTRAIL_METRICS", f"{address[0]}:{address[1]}", allowed) from error
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()


async def _metrics(metrics: Metrics, _: web.Request) -> web.Response:
    text = await asyncio.to_thread(metrics.text)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _health(runners: Sequence[Runner], _: web.Request) -> web.Response:
    report = {runner.projection.name: health(runner) for runner in runners}
    good = all(part["ok"] for part in report.values())
    return web.json_response({"ok": good, "projections": report}, status=200 if good else 503)


def health(runner: Runner) -> dict[str, Any]:
    """What /health says of a runner: state, reason and position of each partition."""
    partitions = {
        str(number): {"state": p.state, "reason": p.reason, "position": p.position}
        for number, p in sorted(runner.partitions.items())
    }
    good = not runner.log_reason and all(p.state not in ("paused", "stopped") for p in runner.partitions.values())
    return {"ok": good, "log": runner.log_reason, "partitions": partitions}
