"""
The command line, and the composition root: the one place where settings become parts.

Commands stand in ``commands/``, one file for each family, and are imported when they run: ``playtrail token`` does not
wait for a Kafka client.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from models import __version__, topics
from models.flags import LazyCommands

if TYPE_CHECKING:
    from gateway.app import Parts
    from models.eventlog.port import EventLog, EventWriter
    from models.eventlog.spool import Outbox
    from models.settings import Settings
    from models.stores.port import PlayStores, SqlStores

PARTS = ("events", "db", "plays", "data", "topics", "replication")
"""The settings that name the three servers and the contract; most commands take them."""

COMMANDS = {
    "up": "commands.serving",
    "gateway": "commands.serving",
    "consume": "commands.serving",
    "rebuild": "commands.rebuild",
    "replay": "commands.replay",
    "topics": "commands.topics",
    "lag": "commands.lag",
    "deadletters": "commands.deadletters",
    "doctor": "commands.doctor",
    "catalogue": "commands.catalogue",
    "token": "commands.viewers",
    "demo": "commands.viewers",
}
"""Where each command is."""


@click.group(cls=LazyCommands, modules=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="playtrail")
def cli() -> None:
    """What viewers do on a video site, as an event log: gateway, consumers and tools.

    Every setting is an environment variable PLAYTRAIL_NAME; a flag --name overrides it.

    \b
    Example:
      playtrail up --demo
    """


def open_log(config: Settings, contract: topics.Topics) -> EventLog:
    """The event log of a URL."""
    if config.events.startswith("kafka://"):
        from models.eventlog.kafka import KafkaLog

        return KafkaLog(config.events.removeprefix("kafka://"), contract)
    from models.eventlog.sqlite import SqliteLog

    return SqliteLog(_file_of(config.events), contract)


def open_sql(config: Settings) -> SqlStores:
    """Catalogue and reactions, by URL."""
    from models.stores.sql import SqlStore

    return SqlStore(config.db)


def open_plays(config: Settings) -> PlayStores:
    """Play aggregates, by URL."""
    if config.plays.startswith("hbase://"):
        from models.stores.plays_hbase import HBasePlays

        return HBasePlays(config.plays)
    from models.stores.plays_sqlite import SqlitePlays

    return SqlitePlays(_file_of(config.plays))


def _file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def contract_of(config: Settings) -> topics.Topics:
    """topics.yaml as the settings have it."""
    return topics.load(config.topics, config.replication)


async def prepare(log: EventLog, contract: topics.Topics) -> None:
    """Make the embedded log's topics; on a cluster that is an operator's decision (``playtrail topics apply``)."""
    from models.eventlog.plan import carry_out

    async with log.admin() as admin:
        await carry_out(admin, contract)


def parts_of(
    config: Settings, contract: topics.Topics, log: EventLog, *, demo: bool = False, worker: int | None = None
) -> Parts:
    """Everything that the gateway works with; each of several workers has a spool of its own."""
    from gateway.app import Parts
    from models.clock import SystemClock

    clock, writer = SystemClock(), log.writer()
    outbox = outbox_of(config, writer, spool_of(config, worker or 0))
    return Parts(config, contract, outbox, writer, open_sql(config), open_plays(config), clock, log, demo, worker)


def outbox_of(config: Settings, writer: EventWriter, spool: Path) -> Outbox:
    """The way to the log, with a spool beside it."""
    from models.clock import SystemClock
    from models.eventlog.spool import Outbox

    return Outbox(writer, spool, clock=SystemClock(), max_bytes=config.spool << 20)


def spool_of(config: Settings, worker: int) -> Path:
    """The spool's file: ``spool.db``, and ``spool-1.db`` and so on of further workers."""
    return config.data / (f"spool-{worker}.db" if worker else "spool.db")


def main() -> None:
    """Entry point of the ``playtrail`` command."""
    cli()


if __name__ == "__main__":
    main()
