"""What `playtrail replay` does with its options."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from commands.progress import Bar
from consumers.replay import ranges
from consumers.replay.fields import checked
from consumers.replay.formats import lines_of
from consumers.replay.pseudonyms import Pseudonyms, read_key
from consumers.replay.ranges import Pinned, Span
from consumers.replay.reading import Decoding
from consumers.replay.request import Request
from consumers.replay.run import Replay
from consumers.replay.sinks import Count, Stream, Tail
from models.clock import SystemClock
from models.errors import Refused, Unavailable
from models.eventlog.port import EventLog
from models.flags import until_stopped
from models.topics import Topic

SHOWN: Final = 5
"""Positions of undecodable records in the closing line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as they were given; see the command's help."""

    topic: str
    begin: str | None
    end: str | None
    slack: str
    partitions: tuple[int, ...]
    names: tuple[str, ...]
    users: tuple[int, ...]
    videos: tuple[int, ...]
    where: str | None
    fields: str | None
    limit: int | None
    tail: int | None
    follow: bool
    kind: str | None
    folder: Path | None
    resume: bool
    pseudonymise: bool
    key: Path | None
    strict: bool
    dry_run: bool

    def check(self) -> None:
        """Raises Refused for options that say nothing together."""
        if self.folder is not None and (self.tail or self.follow or self.dry_run or self.kind == "text"):
            raise Refused("-o", str(self.folder), "with neither --tail, --follow, --dry-run nor --format text")
        if self.folder is None and self.kind == "parquet":
            raise Refused("--format", self.kind, "with -o FOLDER")
        if self.resume and (self.folder is None or self.limit is not None):
            raise Refused("--resume", True, "with -o FOLDER" if self.folder is None else "without --limit")
        if self.tail is not None and self.limit is not None:
            raise Refused("--tail", self.tail, "without --limit")
        if self.follow and (self.dry_run or self.end is not None):
            raise Refused("--follow", True, "with neither --to nor --dry-run")
        if self.pseudonymise and self.key is None:
            allowed = "with --pseudonymise-key FILE; `openssl rand -hex 32 > FILE` makes one"
            raise Refused("--pseudonymise", True, allowed)

    def request(self, topic: Topic) -> Request:
        """Raises Refused for what the topic does not have."""
        fields = None if self.fields is None else tuple(name.strip() for name in self.fields.split(","))
        return Request(
            topic=topic.name,
            events=self.names,
            users=self.users,
            videos=self.videos,
            where=self.where,
            fields=fields if fields is None else checked("--fields", fields, topic.name),
            limit=self.limit,
            pseudonyms=Pseudonyms(read_key(self.key), topic) if self.pseudonymise and self.key else None,
        )

    def slack_ms(self) -> int:
        found = re.fullmatch(r"(\d{1,9})([smhdw])", self.slack)
        if found is None:
            raise Refused("--slack", self.slack, "a time such as 90s, 5m, 24h, 2d")
        return int(found[1]) * ranges.UNITS[found[2]]

    async def pin(self, log: EventLog) -> Pinned:
        now = SystemClock().now_ms()
        begin = None if self.begin is None else ranges.parse("--from", self.begin, now)
        end = None if self.end is None else ranges.parse("--to", self.end, now)
        slack = self.slack_ms()
        async with log.reader() as reader:
            return await ranges.pin(reader, self.topic, begin, end, slack, self.partitions)


async def run(log: EventLog, topic: Topic, options: Options, stop: asyncio.Event) -> int:
    """The exit code of the command."""
    request = options.request(topic)
    request.wanted()  # a wrong filter is told before anything is read
    work = _show(log, request, options) if options.folder is None else _export(log, request, options, options.folder)
    interrupted = await until_stopped(stop, work)
    if not interrupted or options.follow:
        return 0
    rest = "; the same command with --resume goes on where this one was" if options.folder else ""
    click.echo(f"Interrupted{rest}.", err=True)
    return 130


async def _export(log: EventLog, request: Request, options: Options, folder: Path) -> None:
    from consumers.replay.export import Export

    try:
        with Bar(f"export {request.topic}") as bar:
            work = Export(log, request, options.kind or "parquet", folder, pin=lambda: options.pin(log),
                          strict=options.strict, tell=bar.tell)  # fmt: skip
            summary = await work.run(options.resume)
    except* Unavailable:
        click.echo("With --resume the same command goes on where this one was.", err=True)
        raise
    bad = summary["undecodable"]
    click.echo(
        f"{folder}: {summary['events']} events of {summary['records']} records in {summary['files']} files, "
        f"{summary['bytes'] / 1e6:.1f} MB",
        err=True,
    )
    _tell_undecodable(bad["count"], bad["positions"])


async def _show(log: EventLog, request: Request, options: Options) -> None:
    pinned = await options.pin(log)
    wanted = request.wanted(pinned)
    decoding, out = Decoding(request.topic, options.strict), _stream(request, options)
    sink = Count(request.topic) if options.dry_run else Tail(options.tail, out) if options.tail else out
    spans = pinned.spans if options.tail is None or wanted else [_last(span, options.tail) for span in pinned.spans]
    with _until_nobody_reads(), Bar(f"replay {request.topic}", show=not sys.stdout.isatty()) as bar:
        work = Replay(log, decoding, sink, topic=request.topic, wanted=wanted, limit=request.limit, tell=bar.tell)
        await work.run(spans)
        sink.close()
        if isinstance(sink, Count):
            _tell_counts(pinned, work, sink)
        if options.follow:
            ends = {p: end for p, (_, end) in pinned.bounds.items() if p in (options.partitions or pinned.bounds)}
            await work.follow(ends, out)
    _tell_undecodable(decoding.bad, decoding.places)


def _stream(request: Request, options: Options) -> Stream:
    kind = options.kind or ("text" if sys.stdout.isatty() else "json")
    return Stream(sys.stdout.buffer, lines_of(kind, request.selection()))


def _last(span: Span, count: int) -> Span:
    return span._replace(start=max(span.start, span.end - count))


@contextlib.contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """`| head` closes the pipe: that is an end, and no error."""
    try:
        yield
    except* BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it ends


def _tell_counts(pinned: Pinned, work: Replay, sink: Count) -> None:
    for partition, start, end in pinned.spans:
        click.echo(f"partition {partition}: offsets {start} to {end}")
    for name, count in sorted(sink.events.items()):
        click.echo(f"{name}: {count}")
    click.echo(f"{work.report.events} events of {work.report.records} records")


def _tell_undecodable(count: int, places: Sequence[object]) -> None:
    if count:
        shown = ", ".join(map(str, places[:SHOWN])) + (", …" if count > SHOWN else "")
        click.echo(f"{count} records are no events and were left out: {shown}", err=True)
