"""deadletters: the records that no projection could fold; looked at, put back, or forgotten."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from models.errors import Refused, Unavailable
from models.eventlog.port import EventWriter, Position
from models.events import rfc3339
from models.flags import run_async, with_settings
from models.settings import Settings
from models.stores.port import DeadLetter, SqlStores
from models.topics import PROJECTIONS
from playtrail import contract_of, open_log, open_sql

if TYPE_CHECKING:
    from consumers.retry import Retried

PAGE: Final = 100
READY_SECONDS: Final = 10.0
SHOWN: Final = 120
"""Characters of an error in a list."""

of_projection = click.option("--projection", type=click.Choice(PROJECTIONS), help="Only letters of this one.")
dry = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
every = click.option("--all", "every", is_flag=True, help="Every letter there is, or of the --projection.")


@click.group()
def deadletters() -> None:
    """The records that no projection could fold, kept aside with the reason.

    A letter is named by where its record stands: topic/partition@offset, as `list` shows it.

    \b
    Example:
      playtrail deadletters list
    """


@deadletters.command("list")
@of_projection
@click.option("--limit", type=click.IntRange(1), default=PAGE, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object in each line.")
@with_settings("db", "data", "log")
def list_(config: Settings, projection: str | None, limit: int, as_json: bool) -> None:
    """List letters in the order of the log: where the record stands, its time, the projection, the reason.

    \b
    Example:
      playtrail deadletters list --projection plays --json
    """

    async def run(_: asyncio.Event) -> int:
        async with AsyncExitStack() as stack:
            sql = await _sql(config, stack)
            letters = await asyncio.to_thread(sql.dead, projection, limit)
            total = sum((await asyncio.to_thread(sql.dead_counts)).values())
        for letter in letters:
            click.echo(msgspec.json.encode(_fields(letter)).decode() if as_json else _line(letter))
        if not as_json:
            click.echo(f"{len(letters)} of {total} letters" if total else "There are no dead letters.")
        return 0

    run_async(run)


@deadletters.command("show")
@click.argument("position")
@click.option("--raw", is_flag=True, help="Only the record's value, byte by byte.")
@with_settings("db", "data", "log")
def show(config: Settings, position: str, raw: bool) -> None:
    """Show the letter of the record at POSITION whole, as JSON; bytes that are no UTF-8 as \\x escapes.

    \b
    Example:
      playtrail deadletters show behavior.plays/3@42
    """

    async def run(_: asyncio.Event) -> int:
        async with AsyncExitStack() as stack:
            letters = await _named(await _sql(config, stack), [position], None)
        if raw:
            sys.stdout.buffer.write(letters[0].value)
            return 0
        for letter in letters:
            click.echo(msgspec.json.format(msgspec.json.encode(_fields(letter))).decode())
        return 0

    run_async(run)


@deadletters.command("retry")
@click.argument("positions", nargs=-1)
@of_projection
@every
@dry
@with_settings("events", "db", "data", "topics", "replication", "log")
def retry(config: Settings, positions: tuple[str, ...], projection: str | None, every: bool, dry_run: bool) -> None:
    """Fold records after all, when they can be read now; what cannot stays a letter, with the reason.

    Reactions and plays are put back on their topics. They cannot undo what is newer: of reactions the newest event_id
    counts, of a play's session the largest play_time. A letter is dropped once the log has its record: killed in
    between, the next retry appends a second copy, which changes nothing. Clicks add up, so a view is not put back:
    its letter is dropped and its click added in one transaction. Exit code: 1 when any was refused.

    \b
    Example:
      playtrail deadletters retry --all --dry-run
      playtrail deadletters retry behavior.plays/3@42
    """
    _chosen(positions, every)

    async def run(stop: asyncio.Event) -> int:
        async with AsyncExitStack() as stack:
            sql = await _sql(config, stack)
            writer = (
                None if dry_run else await stack.enter_async_context(open_log(config, contract_of(config)).writer())
            )
            if writer is not None:
                await _ready(writer)
            return await _retry(config, sql, writer, _letters(sql, positions, projection), stop)

    run_async(run)


async def _retry(
    config: Settings,
    sql: SqlStores,
    writer: EventWriter | None,
    letters: AsyncIterator[DeadLetter],
    stop: asyncio.Event,
) -> int:
    from commands.progress import Bar
    from consumers.retry import Retry

    work, good, bad = Retry(contract_of(config), sql, writer), 0, 0
    total = sum((await asyncio.to_thread(sql.dead_counts)).values())
    # Lines and a bar would fight for one terminal.
    with Bar("retry", show=not sys.stdout.isatty()) as bar:
        async for letter in letters:
            if stop.is_set():
                break
            done = await work.retry(letter)
            good, bad = good + (not done.reason), bad + bool(done.reason)
            click.echo(f"{letter.position}  {letter.projection}  {_outcome(done)}")
            bar.tell(good + bad, total)
    click.echo(f"{good} {'retried' if writer else 'would be retried'}, {bad} refused")
    return 1 if bad else 130 if stop.is_set() else 0


def _outcome(done: Retried) -> str:
    if done.reason:
        return f"refused: {done.reason}"
    if done.position is None:
        return "would be retried"
    return "counted where it stands" if done.position == done.letter.position else f"put back at {done.position}"


@deadletters.command("drop")
@click.argument("positions", nargs=-1)
@of_projection
@every
@dry
@with_settings("db", "data", "log")
def drop(config: Settings, positions: tuple[str, ...], projection: str | None, every: bool, dry_run: bool) -> None:
    """Forget letters. The records stay in the log where they are, and a copy of each in behavior.dead.

    \b
    Example:
      playtrail deadletters drop behavior.plays/3@42 --dry-run
    """
    _chosen(positions, every)

    async def run(stop: asyncio.Event) -> int:
        dropped = 0
        async with AsyncExitStack() as stack:
            sql = await _sql(config, stack)
            async for letter in _letters(sql, positions, projection):
                if stop.is_set():
                    break
                there = 1 if dry_run else await asyncio.to_thread(sql.drop_dead, [letter.place])
                dropped += there
                if there:
                    click.echo(f"{_line(letter)}  {'would be dropped' if dry_run else 'dropped'}")
        click.echo(f"{dropped} {'would be dropped' if dry_run else 'dropped'}")
        return 130 if stop.is_set() else 0

    run_async(run)


def _chosen(positions: Sequence[str], every: bool) -> None:
    """Raises Refused unless letters were named, or all of them meant: nothing is done to all by accident."""
    if bool(positions) == every:
        allowed = "positions as `playtrail deadletters list` shows them, or --all"
        raise Refused("POSITIONS", "both" if every else None, allowed)


async def _letters(sql: SqlStores, positions: Sequence[str], projection: str | None) -> AsyncIterator[DeadLetter]:
    """The letters that were named, or all; page by page, since there may be many."""
    if positions:
        for letter in await _named(sql, positions, projection):
            yield letter
        return
    page = await asyncio.to_thread(sql.dead, projection, PAGE)
    while page:
        for letter in page:
            yield letter
        page = await asyncio.to_thread(sql.dead, projection, PAGE, page[-1].place)


async def _named(sql: SqlStores, positions: Sequence[str], projection: str | None) -> list[DeadLetter]:
    found: dict[Any, DeadLetter] = {}
    for text in positions:
        letters = await asyncio.to_thread(sql.dead_at, Position.parse(text))
        mine = {letter.place: letter for letter in letters if projection in (None, letter.projection)}
        if not mine:
            raise Refused("POSITION", text, "one of a letter, as `playtrail deadletters list` shows them")
        found |= mine
    return list(found.values())


async def _ready(writer: EventWriter) -> None:
    """Entering a writer does not wait for the log; this does, for a while. Raises Unavailable."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + READY_SECONDS
    while True:
        try:
            return await writer.ready()
        except Unavailable:
            if loop.time() > give_up:
                raise
        await asyncio.sleep(0.05)


async def _sql(config: Settings, stack: AsyncExitStack) -> SqlStores:
    """The letters' store, closed with the stack. Raises Unavailable when there is none yet."""
    sql = open_sql(config)
    close: Callable[[], None] = sql.close
    stack.callback(close)
    if "dead_letter" in await asyncio.to_thread(sql.missing):
        raise Unavailable("sql", "there is no table dead_letter; `playtrail topics apply` creates it")
    return sql


def _line(letter: DeadLetter) -> str:
    # An error holds repr() of what was found, so that nothing in it can steer a terminal.
    error = letter.error if len(letter.error) <= SHOWN else letter.error[: SHOWN - 3] + "..."
    return f"{letter.position}  {rfc3339(letter.at_ms)}  {letter.projection}  {error}"


def _fields(letter: DeadLetter) -> dict[str, Any]:
    return {
        "position": str(letter.position),
        "projection": letter.projection,
        "at": rfc3339(letter.at_ms),
        "error": letter.error,
        "key": None if letter.key is None else letter.key.decode(errors="backslashreplace"),
        "headers": msgspec.json.decode(letter.headers),
        "value": letter.value.decode(errors="backslashreplace"),
    }
