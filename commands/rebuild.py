"""rebuild: a read model folded again from the log, and put in the place of the one that is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models import topics
from models.errors import Unavailable
from models.flags import run_async, with_settings
from models.settings import Settings
from models.stores.port import PlayStores, SqlStores
from models.stores.versions import Versions
from playtrail import PARTS, contract_of, open_log, open_plays, open_sql

if TYPE_CHECKING:
    from consumers.building import History
    from models.eventlog.port import EventLog


@click.command()
@click.argument("projection", type=click.Choice(topics.PROJECTIONS))
@click.option("--back", is_flag=True, help="Go back to the version that the last rebuild replaced.")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Parquet of `playtrail replay`, for what the log no longer has.",
)
@click.option("--restart", is_flag=True, help="Throw away what a rebuild that did not end has folded, and begin anew.")
@with_settings(*PARTS, "log")
def rebuild(config: Settings, projection: str, back: bool, folder: Path | None, restart: bool) -> None:
    """Fold PROJECTION again from the whole log, beside the read model that is read, and switch to it.

    Consumers and gateway go on meanwhile. The new version is compared with the log before the switch; the old one is
    kept for --back until the next rebuild. A rebuild that was killed goes on where it was when it is run again.

    \b
    Example:
      playtrail rebuild reactions
      playtrail rebuild views --from exported/views
    """
    run_async(lambda stop: _until(stop, _run(config, projection, back=back, folder=folder, restart=restart)))


async def _until(stop: asyncio.Event, work: Any) -> int:
    """The work's exit code, or 130 when it was interrupted."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        click.echo("Interrupted; the same command goes on where this one was.", err=True)
        return 130
    return int(await task)


async def _run(config: Settings, projection: str, *, back: bool, folder: Path | None, restart: bool) -> int:
    from consumers.rebuild import Rebuild

    contract = contract_of(config)
    sql, plays = open_sql(config), open_plays(config)
    store, make = _of(projection, contract, sql, plays)
    try:
        for each in (sql, plays):
            await asyncio.to_thread(each.create)
        log = open_log(config, contract)
        history = await _history(log, contract.of_projection(projection).name, folder) if folder else None
        with _Screen(projection) as screen:
            work = Rebuild(log, store, make, tell=screen.tell, history=history)
            report = await (work.back() if back else work.run(restart=restart))
    except Unavailable as error:
        raise Unavailable(error.part, f"{error.reason}; the same command goes on where this one was") from error
    finally:
        sql.close()
        plays.close()
    compared = report.digest
    if compared is not None:
        click.echo(f"{projection}: {compared.rows} rows are what the log says (checksum {compared.checksum:016x})")
    click.echo(
        f"{projection}: version {report.version} is read now; {report.records} events folded, "
        f"consumers held for {report.held_ms} ms; `playtrail rebuild {projection} --back` undoes it"
    )
    return 0


async def _history(log: EventLog, topic: str, folder: Path) -> History:
    """What was exported, once it is known to reach from the first record to what the log still has."""
    from consumers.history import Exported

    async with log.reader() as reader:
        exported = Exported(folder, topic, await reader.identity(topic))
        for partition, (first, _) in (await reader.bounds(topic)).items():
            exported.check(partition, first)
    return exported


def _of(
    projection: str, contract: topics.Topics, sql: SqlStores, plays: PlayStores
) -> tuple[Versions, Callable[[Any], Any]]:
    """Where the projection keeps its versions, and how it is made on one of them."""
    from consumers.plays import Plays
    from consumers.reactions import Reactions
    from consumers.views import Views

    kinds: dict[str, Callable[[Any], Any]] = {
        "reactions": Reactions,
        "views": Views,
        "plays": lambda store: Plays(store, sql),
    }

    def make(store: Any) -> Any:
        made = kinds[projection](store)
        made.topic = contract.of_projection(projection).name
        return made

    return cast(Versions, plays if projection == "plays" else sql), make


class _Screen:
    """Progress on a terminal: what, how much, events a second, time left; nothing in a pipe."""

    def __init__(self, projection: str) -> None:
        console = Console(stderr=True)
        speed = TextColumn("{task.fields[rate]:>9,.0f} events/s")
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn()
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._projection = projection
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Screen:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def tell(self, phase: str, done: int, total: int) -> None:
        """See consumers.rebuild.Tell."""
        task = self._tasks.get(phase)
        if task is None:
            task = self._tasks[phase] = self._progress.add_task(f"{self._projection}: {phase}", total=total, rate=0.0)
        seconds = self._progress.tasks[task].elapsed or 0.0
        self._progress.update(task, completed=done, total=total, rate=done / seconds if seconds else 0.0)
