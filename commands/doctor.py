"""doctor: everything that Playtrail needs, looked at once."""

from __future__ import annotations

import asyncio
import logging
import sys

import click
import msgspec

from commands.finding import LEVELS, Finding
from models.flags import run_async, with_settings
from models.settings import Settings
from playtrail import PARTS

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_settings(*PARTS, "spool", "log")
def doctor(config: Settings, as_json: bool) -> None:
    """Look at every server and at this machine: what is wrong, and the command that mends it.

    Servers, their versions and clocks; topics against topics.yaml; tables; whether each projection was folded from
    this log; the spool, the dead letters, the disk and the installed packages. Nothing is changed or created. Exit
    code: 0 when all is well, 1 with a warning, 2 when something does not work.

    \b
    Example:
      playtrail doctor --json
    """
    from commands.doctoring import examine

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would say is in the line about what is away

    async def run(stop: asyncio.Event) -> int:
        found: list[Finding] = []
        async for finding in examine(config):
            found.append(finding)
            if not as_json:
                _tell(finding)
            if stop.is_set():
                return 130
        level = max((finding.level for finding in found), key=LEVELS.index)
        if as_json:
            answer = {"level": level, "findings": found}
            click.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())
        return LEVELS.index(level)

    run_async(run)


def _tell(finding: Finding) -> None:
    level = (
        click.style(f"{finding.level:4}", fg=COLOURS[finding.level]) if sys.stdout.isatty() else f"{finding.level:4}"
    )
    click.echo(f"{level}  {finding.part:12}  {finding.what}")
    if finding.mend:
        click.echo(f"{'':4}  {'':12}  mend: {finding.mend}")
