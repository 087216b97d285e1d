"""replay: events of a topic again, for people, scripts and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from models.collector import collect_less
from models.errors import Refused
from models.flags import run_async, with_settings
from models.settings import Settings
from playtrail import contract_of, open_log

FORMATS: Final = ("text", "json", "csv", "parquet")


@click.command()
@click.argument("topic")
@click.option("--from", "begin", metavar="WHEN", help="Start: a time or @offsets, see below [the first kept].")
@click.option("--to", "end", metavar="WHEN", help="End, itself not included [the end of the log at the start].")
@click.option("--slack", default="24h", show_default=True, metavar="TIME",
              help="How late, by its own time, an event may have come and is still found by --to TIME.")  # fmt: skip
@click.option("--partition", "partitions", multiple=True, type=int, help="Only this one; repeatable.")
@click.option("--event", "names", multiple=True, metavar="NAME", help="Only these, as `like`; repeatable.")
@click.option("--user", "users", multiple=True, type=int, help="Only of this user; repeatable.")
@click.option("--video", "videos", multiple=True, type=int, help="Only of this video; repeatable.")
@click.option(
    "--where", metavar="CONDITION", help="Only what fits, as \"play_time > 60 and event in ('stop', 'end')\"."
)
@click.option(
    "--fields", metavar="A,B,…", help="These fields alone; partition, offset, timestamp, key, headers are too."
)
@click.option("--limit", type=click.IntRange(1), help="The first so many, partition by partition.")
@click.option("--tail", type=click.IntRange(1), help="The last so many, by time.")
@click.option("--follow", is_flag=True, help="Then go on with what comes, until Ctrl-C.")
@click.option("--format", "kind", type=click.Choice(FORMATS),
              help="[text on a terminal, json (lines) in a pipe, parquet with -o]")  # fmt: skip
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False),
              help="Files in this folder: date=…/event=…/…, and manifest.json.")  # fmt: skip
@click.option("--resume", is_flag=True, help="With -o: go on where an export that did not end was.")
@click.option("--pseudonymise", is_flag=True, help="A keyed hash in the place of every field that names a person.")
@click.option("--pseudonymise-key", "key", type=click.Path(path_type=Path), envvar="PLAYTRAIL_PSEUDONYMISE_KEY",
              help="File with the key of these hashes, 32 bytes or more.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Stop at a record that is no event; else it is counted and told.")
@click.option("--dry-run", is_flag=True, help="Read and count, show no event and write no file.")
@with_settings("events", "data", "topics", "log")
def replay(config: Settings, **given: Any) -> None:
    """Read the events of TOPIC again.

    No consumer is disturbed: a replay is in no group. Where the log ends is decided at the start for all partitions,
    so it ends also while viewers go on. Order is kept within a partition.

    WHEN is a time, by the records' own: 2026-11-24, 2026-11-24T06:30:00Z (UTC unless it says otherwise), -48h (s, m, h,
    d, w), now, seconds or milliseconds since 1970. Or offsets: @120 for all partitions, @0:120,3:7 for these (the
    others are read from their start, or to their end).

    \b
    Example:
      playtrail replay behavior.plays --from -48h --event end --where "play_time > 60" --fields video_id,play_time
      playtrail replay behavior.plays -o plays
    """
    from commands.replaying import Options, run

    collect_less()
    options = Options(**given)
    options.check()
    contract = contract_of(config)
    topic = contract.by_name.get(options.topic)
    if topic is None:
        raise Refused("TOPIC", options.topic, ", ".join(contract.by_name))
    run_async(lambda stop: run(open_log(config, contract), topic, options, stop))
