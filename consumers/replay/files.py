"""Events as files of a folder, in a layout that DuckDB, Spark and Arrow read as one table."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from consumers.replay.formats import LAST_MS, Lines, Selection, lines_of
from consumers.replay.manifest import Chunk, File, Manifest, write
from consumers.replay.ranges import Span
from consumers.replay.reading import Batch
from consumers.replay.sinks import Sink, Tally
from models.events import BY_TOPIC, name_of, rfc3339

CHUNK: Final = 100_000
"""Offsets of a partition that make one chunk, and so one file for each day and event in it."""

DAY_MS: Final = 86_400_000
NO_DATE: Final = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, and all who read its layout, take for null."""

Group: TypeAlias = tuple[int, type[Any]]
"""Day since 1970, and class of an event."""


class Shape(Protocol):
    """How a file of events is made: a piece of each batch, and a file of pieces."""

    suffix: str

    def piece(self, batch: Batch) -> Any: ...
    def join(self, pieces: Sequence[Any]) -> bytes: ...


class _LineShape:
    """A format of lines as a shape of files."""

    def __init__(self, lines: Lines) -> None:
        self.suffix, self.piece, self.join = lines.suffix, lines.lines, lines.join


def shape_of(kind: str, selection: Selection) -> tuple[Shape, dict[str, str]]:
    """A shape by its name (parquet, json, csv), and its columns with their types; raises Refused without pyarrow."""
    if kind == "parquet":
        from consumers.replay.arrow import Columns, describe

        columns = Columns(selection)
        return columns, describe(columns.schema)
    return _LineShape(lines_of(kind, selection)), selection.kinds()


def chunks(spans: Iterable[Span]) -> list[Span]:
    """
    Spans cut at multiples of CHUNK.

    The cuts depend on offsets alone, and so do the names of files: whoever exports again writes the same ones.
    """
    found = []
    for partition, start, end in spans:
        cuts = [start, *range((start // CHUNK + 1) * CHUNK, end, CHUNK), end]
        found += [Span(partition, a, b) for a, b in itertools.pairwise(cuts)]
    return found


class Files(Sink):
    """Chunks into files, each noted in the manifest once its files are in their places."""

    def __init__(self, manifest: Manifest, shape: Shape, topic: str) -> None:
        self._manifest, self._shape, self._topic = manifest, shape, topic
        self._names = {kind: name_of(kind) for kind in BY_TOPIC.get(topic, ())}
        self._open: dict[Span, dict[Group, list[tuple[Any, int]]]] = defaultdict(lambda: defaultdict(list))
        self.chunks: list[Chunk] = []

    def add(self, span: Span, batch: Batch) -> None:
        for group, part in _groups(batch).items():
            self._open[span][group].append((self._shape.piece(part), len(part.records)))

    async def end(self, span: Span, tally: Tally) -> None:
        groups = self._open.pop(span, {})
        files = await asyncio.to_thread(lambda: [self._write(span, *group) for group in groups.items()])
        chunk = Chunk(
            partition=span.partition,
            start=span.start,
            end=tally.end,
            records=tally.records,
            undecodable=list(tally.undecodable),
            files=files,
        )
        self._manifest.add(chunk)
        self.chunks.append(chunk)

    def _write(self, span: Span, group: Group, pieces: Sequence[tuple[Any, int]]) -> File:
        day, kind = group
        name = f"{self._topic}-{span.partition}-{span.start // CHUNK * CHUNK:012d}.{self._shape.suffix}"
        path = f"date={_date(day)}/event={self._names.get(kind, 'none')}/{name}"
        content = self._shape.join([piece for piece, _ in pieces])
        write(self._manifest.folder / path, content)
        digest = hashlib.sha256(content).hexdigest()
        return File(path=path, events=sum(count for _, count in pieces), bytes=len(content), sha256=digest)


def _groups(batch: Batch) -> dict[Group, Batch]:
    """A batch by day and event, in order."""
    found: dict[Group, list[int]] = defaultdict(list)
    for index, (record, event) in enumerate(zip(batch.records, batch.events, strict=True)):
        found[record.timestamp // DAY_MS, type(event)].append(index)
    if len(found) == 1:
        return dict.fromkeys(found, batch)
    return {group: _part(batch, indexes) for group, indexes in found.items()}


def _part(batch: Batch, indexes: Sequence[int]) -> Batch:
    return Batch.of([(batch.records[i], batch.events[i], batch.values[i]) for i in indexes])


def _date(day: int) -> str:
    ms = day * DAY_MS
    return rfc3339(ms)[:10] if 0 <= ms < LAST_MS else NO_DATE


def sweep(folder: Path, topic: str, kept: Iterable[str]) -> None:
    """Delete what an earlier export of the topic has left in the folder, ``kept`` excepted."""
    ours = re.compile(re.escape(topic) + r"-\d+-\d{12,}\.(jsonl|csv|parquet)(\.tmp)?")
    known = set(kept)
    for path in list(folder.glob("date=*/event=*/*")):
        if ours.fullmatch(path.name) and path.relative_to(folder).as_posix() not in known:
            path.unlink()
            for parent in (path.parent, path.parent.parent):
                with contextlib.suppress(OSError):  # not empty
                    parent.rmdir()
