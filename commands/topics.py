"""topics plan, apply, asyncapi: the log against topics.yaml, and topics.yaml for other tools."""

from __future__ import annotations

import asyncio
import json

import click
import yaml

from models import asyncapi
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

    Nothing is created, not even the file of the embedded log. What would break projections is refused: another number
    of partitions or copies, another key, compaction.

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


@topics.command("asyncapi")
@click.option("--json", "as_json", is_flag=True, help="JSON; without it YAML.")
@with_settings("events", "topics", "replication")
def topics_asyncapi(config: Settings, as_json: bool) -> None:
    """Print topics.yaml and the schemas of the events as an AsyncAPI 3.0 document.

    With an event log on Kafka its addresses are the document's servers; no server is asked.

    \b
    Example:
      playtrail topics asyncapi --events kafka://127.0.0.1:9092
    """
    prefix = "kafka://"
    servers = config.events.removeprefix(prefix).split(",") if config.events.startswith(prefix) else ()
    made = asyncapi.document(contract_of(config), servers)
    if as_json:
        click.echo(json.dumps(made, ensure_ascii=False, indent=2))
    else:
        click.echo(yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120), nl=False)
