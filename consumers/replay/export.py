"""An export: a replay into a folder, which can be killed and goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from consumers.replay.files import Files, Shape, chunks, shape_of, sweep
from consumers.replay.manifest import Chunk, Head, Manifest, State
from consumers.replay.ranges import Pinned, Span
from consumers.replay.reading import Decoding
from consumers.replay.request import Request
from consumers.replay.run import Replay, Tell
from models import __version__
from models.clock import Clock, SystemClock
from models.errors import LogMismatch, Refused
from models.eventlog.port import EventLog, Identity
from models.events import SCHEMA, rfc3339

LISTED: Final = 1_000
"""Positions of undecodable records in the manifest; all are counted."""


class Export:
    """
    One export of a request in one format.

    Args:
        pin: Decides what is read; asked only when an earlier export is not gone on with.
    """

    def __init__(
        self,
        log: EventLog,
        request: Request,
        kind: str,
        folder: Path,
        *,
        pin: Callable[[], Awaitable[Pinned]],
        strict: bool = False,
        tell: Tell | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._log, self._request, self._kind = log, request, kind
        self._manifest, self._pin, self._tell = Manifest(folder), pin, tell
        self._clock = clock or SystemClock()
        self._decoding = Decoding(request.topic, strict)
        self._shape: Shape
        self._shape, self._fields = shape_of(kind, request.selection())

    async def run(self, resume: bool = False) -> dict[str, Any]:
        """
        Export, and return the summary that the manifest begins with.

        With ``resume`` an export that did not end goes on with the range that it had pinned; one that did is left as
        it is. Without, everything is written again. Raises Refused for a folder of something else, LogMismatch when
        the topic is another than the one that was exported.
        """
        state = self._manifest.open()
        try:
            if state is not None and resume:
                await self._check(state)
            elif state is not None and (state.head.topic, state.head.format) != (self._request.topic, self._kind):
                found = f"{state.head.topic} as {state.head.format}"
                raise Refused("-o", f"{self._manifest.folder}, with {found}", "another folder for another export")
            return await self._run(state if resume else None)
        finally:
            self._manifest.close()

    async def _run(self, state: State | None) -> dict[str, Any]:
        head = state.head if state else self._head(await self._pin(), await self._identity())
        done = [chunk for chunk in state.chunks if all(map(self._manifest.holds, chunk.files))] if state else []
        spans = _missing(chunks(head.pinned().spans), done)
        if state is None or not state.whole or spans:
            self._manifest.begin(head, done)
            done = [*done, *await self._fold(head.pinned(), spans)]
            done.sort(key=lambda chunk: (chunk.partition, chunk.start))
            sweep(self._manifest.folder, head.topic, (file.path for chunk in done for file in chunk.files))
            self._manifest.finish(head, done, self._summary(head, done))
        return self._summary(head, done)

    async def _fold(self, pinned: Pinned, spans: Sequence[Span]) -> Sequence[Chunk]:
        sink = Files(self._manifest, self._shape, self._request.topic)
        wanted, limit = self._request.wanted(pinned), self._request.limit
        work = Replay(
            self._log, self._decoding, sink, topic=self._request.topic, wanted=wanted, limit=limit, tell=self._tell
        )
        await work.run(spans)
        return sink.chunks

    async def _identity(self) -> Identity:
        async with self._log.reader() as reader:
            return await reader.identity(self._request.topic)

    def _head(self, pinned: Pinned, identity: Identity) -> Head:
        return Head(
            playtrail=__version__,
            topic=self._request.topic,
            format=self._kind,
            request=_plain(self._request.as_json()),
            log=identity,
            bounds=dict(pinned.bounds),
            spans=list(pinned.spans),
            since=pinned.since,
            until=pinned.until,
            schema=SCHEMA,
            fields=self._fields,
        )

    async def _check(self, state: State) -> None:
        """Whether an earlier export is one of the same request; what it has pinned counts, not what would be now."""
        ours = (self._request.topic, self._kind, _plain(self._request.as_json()), self._fields, SCHEMA)
        head = state.head
        if ours != (head.topic, head.format, head.request, head.fields, head.schema):
            raise Refused("--resume", str(self._manifest.folder), "the options that the export was begun with")
        if head.log != await self._identity():
            raise LogMismatch(f"{head.topic} is not the topic that was exported; without --resume it is exported anew")

    def _summary(self, head: Head, done: Sequence[Chunk]) -> dict[str, Any]:
        bad = [f"{head.topic}/{chunk.partition}@{offset}" for chunk in done for offset in chunk.undecodable]
        return {
            "topic": head.topic,
            "finished": rfc3339(self._clock.now_ms()),
            "records": sum(chunk.records for chunk in done),
            "events": sum(chunk.events for chunk in done),
            "files": sum(len(chunk.files) for chunk in done),
            "bytes": sum(file.bytes for chunk in done for file in chunk.files),
            "undecodable": {"count": len(bad), "positions": bad[:LISTED]},
        }


def _missing(wanted: Sequence[Span], done: Sequence[Chunk]) -> list[Span]:
    there = {(chunk.partition, chunk.start, chunk.end) for chunk in done}
    return [span for span in wanted if span not in there]


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))
