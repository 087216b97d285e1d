"""Records that the log no longer has, out of what ``playtrail replay`` once exported as Parquet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from consumers.building import BATCH
from consumers.replay.manifest import MANIFEST, Chunk, Head
from models import events
from models.errors import Refused
from models.eventlog.port import Headers, Identity, Record

FILTERS: Final = ("events", "users", "videos", "where", "fields", "limit", "pseudonymised")


class _Whole(msgspec.Struct, frozen=True, kw_only=True):
    head: Head
    chunks: list[Chunk]


class Kept(NamedTuple):
    """A record as it was in the log; see models.eventlog.port.Record. An export has neither key nor headers."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes
    key: bytes | None = None
    headers: Headers = ()


class Exported:
    """
    One export of one topic; callable as consumers.building.History.

    Args:
        folder: What ``playtrail replay TOPIC --format parquet -o FOLDER`` wrote.
        topic: The topic that is folded.
        log: The log as it is now: only its own offsets go on where the export ends.

    Raises Refused for a folder that is no whole export of all events of this topic of this log.
    """

    def __init__(self, folder: Path, topic: str, log: Identity) -> None:
        self._folder, self._topic = folder, topic
        self._classes = {events.name_of(kind): kind for kind in events.BY_TOPIC[topic]}
        try:
            whole = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Whole)
        except OSError as error:
            allowed = "a folder that `playtrail replay` has exported to, to its end"
            raise Refused("--from", str(folder), f"{allowed} ({error.strerror}: {MANIFEST})") from error
        except ValueError as error:
            raise Refused(
                "--from", str(folder), f"a folder with a {MANIFEST} of `playtrail replay` ({error})"
            ) from error
        self._check(whole.head, log)
        self._chunks = sorted(whole.chunks, key=lambda chunk: (chunk.partition, chunk.start))

    def _check(self, head: Head, log: Identity) -> None:
        if head.topic != self._topic:
            raise Refused("--from", str(self._folder), f"an export of {self._topic}, not of {head.topic}")
        if head.format != "parquet":
            raise Refused("--from", str(self._folder), f"an export with --format parquet, not {head.format}")
        if head.log != log:
            raise Refused("--from", str(self._folder), f"an export of this very log: topic id {log.topic}")
        if used := [name for name in FILTERS if head.request.get(name)]:
            raise Refused("--from", str(self._folder), f"an export of all events as they are, without {used[0]}")

    def check(self, partition: int, before: int) -> None:
        """Raises Refused when a record of the partition below ``before`` may be missing."""
        end = 0
        for chunk in self._of(partition):
            if chunk.start > end:
                break
            end = max(end, chunk.end)
        if end < before:
            place = f"{self._topic}/{partition}"
            allowed = f"an export of {place} from offset 0 to {before}; it is whole up to {end}"
            raise Refused("--from", str(self._folder), allowed)

    async def __call__(self, partition: int, before: int) -> AsyncIterator[Sequence[Record]]:
        """The records of a partition with offsets below ``before``, in order, in batches."""
        self.check(partition, before)
        for chunk in self._of(partition):
            records = await asyncio.to_thread(self._records, chunk, before)
            for at in range(0, len(records), BATCH):
                yield records[at : at + BATCH]

    def _of(self, partition: int) -> Iterator[Chunk]:
        return (chunk for chunk in self._chunks if chunk.partition == partition)

    def _records(self, chunk: Chunk, before: int) -> list[Record]:
        found: list[Record] = []
        for file in chunk.files:
            event = self._classes[Path(file.path).parent.name.removeprefix("event=")]
            rows = _rows(self._folder / file.path)
            found += (self._record(event, row) for row in rows if row["offset"] < before)
        return sorted(found, key=lambda record: record.offset)

    def _record(self, event: type[events.Event], row: dict[str, Any]) -> Kept:
        value = events.encode(event(**{name: row[name] for name in event.__struct_fields__}))
        return Kept(self._topic, row["partition"], row["offset"], row["timestamp"] or 0, value)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise Refused("--from", str(path), "Parquet after `pip install 'playtrail[parquet]'`") from error
    try:
        table = parquet.ParquetFile(path).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise Refused("--from", str(path), f"a Parquet file that can be read ({error})") from error
    at = table.schema.get_field_index("timestamp")
    table = table.set_column(at, "timestamp", table.column("timestamp").cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
