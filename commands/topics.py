"""topics plan, apply: the log against topics.yaml."""

from __future__ import annotations

import asyncio

import click

from models.eventlog.plan import carry_out, plan
from models.flags import run_async, with_settings
from models.settings import Settings
from playtrail import PARTS, contract_of, open_log, open_plays, open_sql


@click.group("topics")
def topics() -> None:
    """The topics of topics.yaml on the log.

    \b
    Example:
      playtrail topics plan
    """


@topics.command("plan")
@with_settings("events", "data", "topics", "replication", "log")
def topics_plan(config: Settings) -> None:
    """Show what `apply` would change; exit code 2 when it would refuse.

    \b
    Example:
      playtrail topics plan --events kafka://127.0.0.1:9092
    """

    async def run(_: asyncio.Event) -> int:
        contract = contract_of(config)
        async with open_log(config, contract).admin() as admin:
            changes = await plan(admin, contract)
        for change in changes:
            click.echo(f"{change.action:9} {change.topic}  {change.what}  {change.have} -> {change.want}")
        click.echo(f"{len(changes)} to change" if changes else "The topics are as topics.yaml says.")
        return 2 if any(change.action == "refuse" for change in changes) else 0

    run_async(run)


@topics.command("apply")
@with_settings(*PARTS, "log")
def topics_apply(config: Settings) -> None:
    """Create missing topics and tables, and set the topics' configuration.

    \b
    Example:
      playtrail topics apply --events kafka://127.0.0.1:9092 --replication 1
    """

    async def run(_: asyncio.Event) -> int:
        contract = contract_of(config)
        async with open_log(config, contract).admin() as admin:
            changes = await carry_out(admin, contract)
        for store in (open_sql(config), open_plays(config)):
            await asyncio.to_thread(store.create)
            store.close()
        for change in changes:
            click.echo(f"{change.action:9} {change.topic}  {change.what}")
        click.echo("Topics and tables are there.")
        return 0

    run_async(run)
