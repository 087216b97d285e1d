"""lag: how far projections are behind the log, for a person and for a script."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import click

from commands.lagtable import table
from models.flags import run_async, with_settings
from models.lag.report import Report
from models.lag.sampler import Sampler, sinks_of
from models.settings import Settings
from models.topics import PROJECTIONS
from playtrail import PARTS, contract_of, open_log, open_plays, open_sql

if TYPE_CHECKING:
    from rich.console import Console

SECONDS: Final = 1.0
"""Between two looks: what rates and states of a single run are judged on."""

UNREACHABLE: Final = 3
"""Exit code when a server is away: 0 to 2 would say something about the lag."""

WIDTH: Final = 180
"""Of a table that goes to no terminal, so that no line is broken."""


@click.command()
@click.option("--projection", "names", multiple=True, type=click.Choice(PROJECTIONS), help="Only this one; repeatable.")
@click.option("--watch", is_flag=True, help="Look every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; with --watch one in each line.")
@with_settings(*PARTS, "log")
def lag(config: Settings, names: tuple[str, ...], watch: bool, as_json: bool) -> None:
    """Show how far each projection is behind the log; no consumer needs to run.

    Looks twice, a second apart: rates and states of a single run are of that second. Exit code: 0 within the targets
    of topics.yaml (lag_seconds), 1 at the target warn, 2 at the target page or without a position, 3 when a server
    is away.

    \b
    Example:
      playtrail lag --projection plays --json
    """

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would say is in the line about what is away

    async def run(stop: asyncio.Event) -> int:
        sql, plays = open_sql(config), open_plays(config)
        contract = contract_of(config)
        try:
            sinks = sinks_of(sql, plays, names or PROJECTIONS)
            async with Sampler(open_log(config, contract), sinks, contract) as sampler:
                return await (_watch if watch else _once)(sampler, stop, as_json)
        finally:
            sql.close()
            plays.close()

    run_async(run)


async def _once(sampler: Sampler, stop: asyncio.Event, as_json: bool) -> int:
    report = await sampler.report()
    if report.projections:  # else every server is away, and would be waited for again
        await _pause(stop)
        report = await sampler.report()
    if as_json:
        click.echo(report.json())
    elif report.projections:
        _console().print(table(report))
    _tell(report.errors)
    return UNREACHABLE if report.errors else report.level


async def _watch(sampler: Sampler, stop: asyncio.Event, as_json: bool) -> int:
    """Ends with 0: it is for looking, and Ctrl-C is how it ends."""
    with _screen() if sys.stdout.isatty() and not as_json else contextlib.nullcontext(_print(as_json)) as show:
        while not stop.is_set():
            show(await sampler.report())
            await _pause(stop)
    return 0


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[Report], None]]:
    from rich.live import Live

    with Live(console=_console(), auto_refresh=False, screen=True) as live:
        yield lambda report: live.update(table(report), refresh=True)


def _print(as_json: bool) -> Callable[[Report], None]:
    console = None if as_json else _console()

    def show(report: Report) -> None:
        if console is None:
            click.echo(report.json())
        else:
            console.print(table(report))
        _tell(report.errors)

    return show


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH)


def _tell(errors: Mapping[str, str]) -> None:
    """One line for each reason, with the projections that it keeps from being looked at."""
    for reason in dict.fromkeys(errors.values()):
        names = ", ".join(name for name, found in errors.items() if found == reason)
        click.echo(f"Error: {names}: {reason}", err=True)


async def _pause(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), SECONDS)
