"""catalogue load: videos from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from models.films import read
from models.flags import with_settings
from models.settings import Settings
from models.stores.port import Film
from playtrail import open_sql


@click.group()
def catalogue() -> None:
    """The videos.

    \b
    Example:
      playtrail catalogue load films.csv
    """


@catalogue.command("load")
@click.argument("file", type=click.Path(path_type=Path))
@with_settings("db", "data", "log")
def catalogue_load(config: Settings, file: Path) -> None:
    """Load videos from FILE: JSON, JSON lines or CSV with a title column.

    Bad rows are reported by line, the good ones are loaded; exit code 2 when there were bad ones.

    \b
    Example:
      playtrail catalogue load movies.json
    """
    bad = 0

    def good() -> Iterator[Film]:
        nonlocal bad
        for row in read(file):
            if isinstance(row, Film):
                yield row
            else:
                bad += 1
                click.echo(str(row), err=True)

    sql, screen = open_sql(config), Console(stderr=True)
    sql.create()
    loaded = sql.load(track(good(), "Loading", console=screen, disable=not screen.is_terminal, total=0))
    click.echo(f"{loaded} loaded, {bad} bad")
    if bad:
        raise click.exceptions.Exit(2)
