"""rebuild: a read model folded again from the log, and put in the place of the one that is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from commands.progress import Bar
from models import topics
from models.errors import Unavailable
from models.flags import run_async, until_stopped, with_settings
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

    async def run(stop: asyncio.Event) -> int:
        if not await until_stopped(stop, _run(config, projection, back=back, folder=folder, restart=restart)):
            return 0
        click.echo("Interrupted; the same command goes on where this one was.", err=True)
        return 130

    run_async(run)


async def _run(config: Settings, projection: str, *, back: bool, folder: Path | None, restart: bool) -> None:
    from consumers.rebuild import Rebuild

    contract = contract_of(config)
    sql, plays = open_sql(config), open_plays(config)
    store, make = _of(projection, contract, sql, plays)
    try:
        for each in (sql, plays):
            await asyncio.to_thread(each.create)
        log = open_log(config, contract)
        history = await _history(log, contract.of_projection(projection).name, folder) if folder else None
        with _Bars(projection) as bars:
            work = Rebuild(log, store, make, tell=bars.tell, history=history)
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


class _Bars:
    """A bar for each phase, one after the other."""

    def __init__(self, projection: str) -> None:
        self._projection, self._phase, self._stack = projection, "", ExitStack()
        self._bar: Bar | None = None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def tell(self, phase: str, done: int, total: int) -> None:
        """See consumers.rebuild.Tell."""
        if self._bar is None or phase != self._phase:
            self._stack.close()
            self._phase, self._bar = phase, self._stack.enter_context(Bar(f"{self._projection}: {phase}"))
        self._bar.tell(done, total)
