"""up, gateway, consume: what runs until it is stopped."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from models import logs, topics
from models.collector import collect_less, share_heaps
from models.errors import Refused
from models.eventlog.port import EventLog
from models.flags import one_line_errors, run_async, with_settings
from models.settings import Settings
from models.stores.port import Film, SqlStores
from playtrail import PARTS, contract_of, open_log, open_plays, open_sql, outbox_of, parts_of, prepare

HTTP = ("secret", "jwks", "host", "port", "origins", "rate_user", "rate_address", "spool", "probe")
"""The settings of the gateway alone."""
MANY = 200_000
"""
Objects that a consumer may gather before Python looks for cycles: each record has some twenty, and hardly any a cycle.

A million plays took 14.5 s of processor time with Python's default, and 8 s with this. A million would save another
0.4 s, and cost 30 MiB of what aiokafka leaves in cycles.
"""


@click.command()
@click.option("--demo", is_flag=True, help="Load a small catalogue when there is none, and simulate a few viewers.")
@with_settings(*PARTS, *HTTP, "log")
def up(config: Settings, demo: bool) -> None:
    """Gateway and consumers in one process.

    \b
    Example:
      playtrail up --demo --port 8080
    """
    run_async(lambda stop: run_up(config, demo, stop))


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes that share the port. [1]")
@with_settings(*PARTS, *HTTP, "log")
def gateway(config: Settings, workers: int) -> None:
    """The HTTP service alone.

    With --workers the kernel spreads the connections over as many processes; /metrics of any of them shows all,
    with the label worker. Limits of rate are of each process.

    \b
    Example:
      PLAYTRAIL_EVENTS=kafka://127.0.0.1:9092 playtrail gateway --port 8080 --workers 4
    """
    if workers == 1:
        run_async(lambda stop: run_gateway(config, stop))
    elif code := run_workers(config, workers):
        raise SystemExit(code)


@click.command()
@click.argument("projections", nargs=-1, type=click.Choice(topics.PROJECTIONS))
@click.option("--new-epoch", is_flag=True, help="Go on with a log that is not the one folded so far; name PROJECTIONS.")
@with_settings(*PARTS, "metrics", "log")
def consume(config: Settings, projections: tuple[str, ...], new_epoch: bool) -> None:
    """Fold the log into read models: all PROJECTIONS, or those named.

    A projection stops when the log is not the one that it folded: re-created, cut, or with other partitions. With
    --new-epoch it keeps what was folded and goes on from what there is; no other consumer of it may run.

    \b
    Example:
      playtrail consume plays --metrics 127.0.0.1:9109
    """
    if new_epoch and not projections:
        raise Refused("PROJECTIONS", "", "the projections that begin a new epoch, by name")

    async def run(stop: asyncio.Event) -> int:
        if new_epoch:
            await begin_epochs(config, projections)
        return await run_consumers(config, projections, stop)

    run_async(run)


async def run_gateway(
    config: Settings,
    stop: asyncio.Event,
    *,
    ready: Callable[[str], None] | None = None,
    worker: int | None = None,
    workers: int = 1,
) -> int:
    """The gateway alone, until ``stop``; ``worker`` is its number when it shares the port with ``workers``."""
    from gateway.app import make_app, serve

    contract = contract_of(config)
    log = open_log(config, contract)
    if config.events.startswith("sqlite:"):
        await prepare(log, contract)
    collect_less()
    app = make_app(parts_of(config, contract, log, worker=worker))
    shared = worker is not None
    async with asyncio.TaskGroup() as group:
        if not worker:
            group.create_task(drain_left_spools(config, log, workers, stop))
        await serve(app, config.host, config.port, ready=ready or _announce, stop=stop, shared_port=shared)
        stop.set()
    return 0


def run_workers(config: Settings, count: int) -> int:
    """Gateways that share one port, until a signal; the exit code."""
    from gateway.supervisor import Supervisor, reserved

    config.signing_secret()  # generated once, before several would
    shutil.rmtree(config.data / "workers", ignore_errors=True)  # metrics of a run before
    host = f"[{config.host}]" if ":" in config.host else config.host
    with reserved(config.host, config.port) as port:
        work = partial(work_as_worker, replace(config, port=port), count)
        return Supervisor(work, count, lambda: _announce(f"http://{host}:{port}")).run()


async def drain_left_spools(config: Settings, log: EventLog, workers: int, stop: asyncio.Event) -> None:
    """Those of workers that there were and are no more."""
    from gateway.adoption import adopt

    found = ((path, re.fullmatch(r"spool-(\d+)\.db", path.name)) for path in sorted(config.data.glob("spool-*.db")))
    left = [path for path, name in found if name is not None and int(name[1]) >= workers]
    await adopt(left, lambda file: outbox_of(config, log.writer(), file), stop)


def work_as_worker(config: Settings, count: int, number: int, ready: Any) -> None:
    """One worker's process; ends with its supervisor, however that ends."""
    from gateway.supervisor import parent_sentinel

    logs.configure(config.log)

    async def run(stop: asyncio.Event) -> int:
        if (sentinel := parent_sentinel()) is not None:
            asyncio.get_running_loop().add_reader(sentinel, stop.set)
        return await run_gateway(config, stop, ready=lambda _: ready.send(True), worker=number, workers=count)

    with one_line_errors():
        run_async(run)


async def run_consumers(config: Settings, names: tuple[str, ...], stop: asyncio.Event, *, quiet: bool = False) -> int:
    """The consumers named, until ``stop``; metrics are left to the gateway when ``quiet``."""
    from consumers.member import member_slot
    from consumers.service import serve

    contract = contract_of(config)
    log = open_log(config, contract)
    if config.events.startswith("sqlite:"):
        await prepare(log, contract)
    collect_less(MANY)
    share_heaps()
    with member_slot(config.data) as member:
        return await serve(
            log=log,
            topics=contract,
            sql=open_sql(config),
            plays=open_plays(config),
            projections=names or topics.PROJECTIONS,
            member=member,
            metrics=None if quiet else config.metrics,
            stop=stop,
            writer=log.writer(),
        )


async def begin_epochs(config: Settings, names: tuple[str, ...]) -> None:
    """A new epoch of each projection named, where its own position is kept."""
    from consumers.epochs import new_epoch

    contract = contract_of(config)
    log, sql, plays = open_log(config, contract), open_sql(config), open_plays(config)
    try:
        for name in names:
            starts = await new_epoch(log, plays if name == "plays" else sql, name, contract.of_projection(name).name)
            click.echo(f"{name}: a new epoch begins at " + ", ".join(f"{p}@{o}" for p, o in sorted(starts.items())))
    finally:
        sql.close()
        plays.close()


async def run_up(config: Settings, demo: bool, stop: asyncio.Event) -> int:
    """Gateway and consumers side by side; the demo's viewers start when the page answers."""
    from gateway.app import make_app, serve

    contract = contract_of(config)
    log = open_log(config, contract)
    await prepare(log, contract)
    parts = parts_of(config, contract, log, demo=True)
    await asyncio.to_thread(parts.sql.create)
    await asyncio.to_thread(parts.plays.create)
    if demo:
        await asyncio.to_thread(_load_demo, parts.sql)
    collect_less()
    async with asyncio.TaskGroup() as group:

        def ready(url: str) -> None:
            _announce(url)
            if demo:
                group.create_task(_demo_viewers(config, url, stop))

        group.create_task(run_consumers(config, (), stop, quiet=True))
        group.create_task(drain_left_spools(config, log, 1, stop))
        await serve(make_app(parts), config.host, config.port, ready=ready, stop=stop)
        stop.set()
    return 0


def _announce(url: str) -> None:
    click.echo(f"Playtrail is at {url}   (Ctrl-C stops it)")


def _load_demo(sql: SqlStores) -> None:
    from models.films import read

    if not sql.entries(0, 1):
        path = Path(__file__).parents[1] / "gateway" / "demo" / "catalogue.json"
        sql.load(film for film in read(path) if isinstance(film, Film))


async def _demo_viewers(config: Settings, url: str, stop: asyncio.Event) -> None:
    from gateway.demo.viewers import drive

    secret = config.signing_secret()
    if secret is not None:
        await drive(url, secret, stop=stop)
