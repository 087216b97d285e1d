"""
Plays in HBase, by its Thrift 1 server.

What is written carries its stamp as the cell timestamp, and each family keeps one version: HBase itself shows the
largest stamp, whatever the order of the writes. Nothing is ever deleted or incremented, and no row expires: a delete
would mask later writes with smaller timestamps, and an increment cannot be repeated.

A row is written whole by one HBase put, which is atomic and which other readers see wholly or not at all. That holds
for a part too, whatever its number of chunks, so two owners cannot leave a mix of their chunks: the larger stamp has
all of its own. A part may be newer than the head that names it (its owner died between the two writes), which is
harmless: the newer content was folded from the same log, rows skip what they already hold, and sessions merge by
maximum. Should chunks of one part differ in their stamp all the same, ``parts`` raises instead of returning a mix.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from models import rows as layout
from models.errors import Fenced, Refused, Unavailable
from models.stores.plays_hbase_pool import Client, HBasePool, ServerError, text_of, thrift
from models.stores.plays_heads import Head, are_of
from models.stores.plays_versions import PlayVersions
from models.stores.port import About, Checkpoint, PlayRow, Top, stamp_of
from models.stores.versions import Row

T = TypeVar("T")
Item = TypeVar("Item")

CONNECTIONS: Final = 2
"""How many batches are under way at once: one is encoded while HBase works on the other."""
PUT_ROWS: Final = 2500
GET_ROWS: Final = 1000
SCAN_ROWS: Final = 1000
PAGE_ROWS: Final = 20_000
PART_BYTES: Final = 64_000_000
"""Largest part: it is one message to the Thrift server, which takes 100 MB."""
CREATE_SECONDS: Final = 60.0
"""A table takes HBase a second or two, on a busy machine many."""


class HBasePlays(PlayVersions):
    """
    The plays store in HBase; see PlayStores for what each method promises.

    Args:
        url: ``hbase://host:9090?prefix=x``; the port may be left out, and so may the prefix, which puts ``x_``
            before table names.
        timeout: Seconds to wait for the server before Unavailable.
    """

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._prefix = "".join(f"{name}_" for name in parse_qs(parts.query).get("prefix", [])).encode()
        self._address = (parts.hostname or "127.0.0.1", parts.port or 9090)
        self._pool = HBasePool(*self._address, timeout)
        self._partitions: Mapping[bytes, int] = {}  # of a topic, by the prefix of its heads

    def create(self) -> None:
        self._create_version(1)

    def make(self, projection: str, version: int) -> None:  # noqa: ARG002 -- there is one projection here
        self._create_version(version)

    def remove(self, projection: str, version: int) -> None:  # noqa: ARG002
        patient = HBasePool(*self._address, CREATE_SECONDS)
        try:
            existing = patient.call(_table_names) if version > 1 else set()
            for table in {self._name(table, version) for table in layout.FAMILIES} & existing:
                patient.call(partial(_drop, table=table))
        finally:
            patient.close()

    def contents(self, projection: str) -> Iterator[Row]:  # noqa: ARG002
        columns, start = [layout.TIMES, layout.DURATION], b"0"
        while True:
            page = self._scan(layout.VIDEO_TABLE, start, b":", columns, PAGE_ROWS)
            for key, cells in page:
                row = layout.play_row(cells)
                yield Row(str(layout.video_id_of(key)), row.duration, str(row.times))
            if len(page) < PAGE_ROWS:
                return
            start = page[-1][0] + b"\0"

    def _create_version(self, version: int) -> None:
        patient = HBasePool(*self._address, CREATE_SECONDS)
        try:
            existing = patient.call(_table_names)
            wanted = {self._name(table, version): families for table, families in layout.FAMILIES.items()}
            missing = [partial(_create, table=t, families=f) for t, f in wanted.items() if t not in existing]
            with ThreadPoolExecutor(len(wanted)) as threads:
                list(threads.map(patient.call, missing))
        finally:
            patient.close()

    def missing(self) -> Sequence[str]:
        there = self._pool.call(_table_names)
        active = self._reading() if self._name(layout.CHECKPOINT_TABLE, 1) in there else 1
        wanted = {self._name(table, version) for table in layout.FAMILIES for version in (1, active)}
        return sorted(name.decode() for name in wanted - there)

    def ping(self) -> None:
        self._pool.call(_table_names)

    def about(self) -> About:
        self.ping()
        return About("HBase by Thrift 1, which tells neither version nor clock")

    def close(self) -> None:
        self._pool.close()

    def rows(self, ids: Collection[int]) -> Mapping[int, PlayRow]:
        keys = [layout.video_key(video_id) for video_id in ids]
        columns = [layout.TIMES, layout.DURATION]
        answers = _spread(lambda batch: self._get(layout.VIDEO_TABLE, batch, columns), keys, GET_ROWS)
        found = (item for answer in answers for item in answer.items())
        # A row without both columns is not one of ours: it was put by hand, and the next put covers it.
        return {layout.video_id_of(key): layout.play_row(cells) for key, cells in found if len(cells) == len(columns)}

    def put(self, partition: int, stamp: int, rows: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        self._writing()

        def send(batch: Sequence[tuple[int, tuple[int, int]]]) -> None:
            puts = [(layout.video_key(i), layout.video_cells(i, times, duration)) for i, (times, duration) in batch]
            self._put(layout.VIDEO_TABLE, stamp, puts)

        _spread(send, list(rows.items()), PUT_ROWS)
        if top is not None:
            key, cells = layout.partition_key(partition), {layout.TOP: layout.encode_top(top)}
            self._put(layout.TOP_TABLE, stamp, [(key, cells)])

    def tops(self) -> Mapping[int, Top]:
        found = self._scan(layout.TOP_TABLE, b"p", b"q", [layout.TOP])
        return {layout.partition_of(key): layout.decode_top(cells[layout.TOP][0]) for key, cells in found}

    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        if len(content) > PART_BYTES:
            raise Refused(f"part {part}", f"{len(content)} bytes", f"at most {PART_BYTES} bytes: add partitions")
        self._writing()
        stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
        self._put(
            layout.CHECKPOINT_TABLE, stamp, [(layout.part_key(projection, partition, part), layout.part_cells(content))]
        )
        key = layout.head_key(projection, topic, partition)
        cells = {layout.CHECKPOINT: layout.encode_checkpoint(checkpoint)}
        self._put(layout.CHECKPOINT_TABLE, stamp, [(key, cells)])
        stored = self._get(layout.CHECKPOINT_TABLE, [key], [layout.CHECKPOINT, layout.IDENTITY])[key]
        if layout.IDENTITY not in stored or stored[layout.CHECKPOINT][1] > stamp:
            raise Fenced(f"{projection}: {topic}/{partition} has a checkpoint beyond {checkpoint.next_offset}")

    def parts(self, projection: str, partition: int, names: Sequence[str]) -> Sequence[bytes]:
        return [self._part(layout.part_key(projection, partition, name)) for name in names]

    def _part(self, key: bytes) -> bytes:
        content = layout.part_content(self._get(layout.CHECKPOINT_TABLE, [key], [b"c"]).get(key, {}))
        if content is None:
            raise Unavailable("plays", f"row {key.decode()} of plays_checkpoint is torn: chunks of different writes")
        return content

    def _heads(self, projection: str, topic: str) -> Mapping[int, Head]:
        prefix, columns = layout.head_prefix(projection, topic), [layout.CHECKPOINT, layout.IDENTITY]
        count = self._partitions.get(prefix)
        if count is not None:  # one round trip in the place of a scan's three
            keys = [layout.head_key(projection, topic, partition) for partition in range(count)]
            heads = _heads_in(self._get(layout.CHECKPOINT_TABLE, keys, columns).items())
            if are_of(count, heads):
                return heads
        heads = _heads_in(self._scan(layout.CHECKPOINT_TABLE, prefix, prefix + b":", columns))
        count = next((head.identity.partitions for head in heads.values()), 0)
        self._partitions = {prefix: count} if heads and are_of(count, heads) else {}
        return heads

    def _put_heads(self, projection: str, topic: str, heads: Mapping[int, Head]) -> None:
        for partition, (checkpoint, identity) in heads.items():
            key = layout.head_key(projection, topic, partition)
            cells = {
                layout.CHECKPOINT: layout.encode_checkpoint(checkpoint),
                layout.IDENTITY: layout.encode_identity(identity),
            }
            self._put(layout.CHECKPOINT_TABLE, stamp_of(checkpoint.epoch, checkpoint.next_offset), [(key, cells)])

    def _put(self, table: bytes, stamp: int, puts: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> None:
        """Durable when it returns: the server answers after the write-ahead log is synced."""
        mutations = [
            thrift.BatchMutation(key, [thrift.Mutation(False, c, v) for c, v in cells.items()]) for key, cells in puts
        ]
        self._call(table, lambda client, name: client.mutateRowsTs(name, mutations, stamp, {}))

    def _get(self, table: bytes, keys: Sequence[bytes], columns: Sequence[bytes]) -> dict[bytes, layout.Cells]:
        """layout.Cells as (value, timestamp) by row and column; absent rows are absent."""
        found = self._call(table, lambda client, name: client.getRowsWithColumns(name, keys, columns, {}))
        return {row.row: _cells(row) for row in found}

    def _scan(
        self, table: bytes, start: bytes, stop: bytes, columns: Sequence[bytes], limit: int = sys.maxsize
    ) -> list[tuple[bytes, layout.Cells]]:
        scan = thrift.TScan(startRow=start, stopRow=stop, columns=columns, caching=SCAN_ROWS)
        return self._call(table, lambda client, name: _scanned(client, name, scan, limit))

    def _version_value(self) -> bytes | None:
        keys, columns = [layout.VERSION_KEY], [layout.VERSION]
        found = self._call(layout.CHECKPOINT_TABLE, lambda c, n: c.getRowsWithColumns(n, keys, columns, {}), version=1)
        return found[0].columns[layout.VERSION].value if found else None

    def _swap_version_value(self, seen: bytes | None, to: bytes) -> bool:
        # The one cell with the server's own timestamp: HBase compares and sets under the row's lock.
        put = thrift.Mutation(False, layout.VERSION, to)

        def swap(client: Client, name: bytes) -> bool:
            return bool(client.checkAndPut(name, layout.VERSION_KEY, layout.VERSION, seen, put, {}))

        return self._call(layout.CHECKPOINT_TABLE, swap, version=1)

    def _name(self, table: bytes, version: int) -> bytes:
        return self._prefix + table + (b"" if version == 1 else b"_v%d" % version)

    def _call(self, table: bytes, use: Callable[[Client, bytes], T], *, version: int = 0) -> T:
        """``use(client, full table name)``; HBase's error for a missing table may not say so, so it is looked up."""
        name = self._name(table, version or self._reading())
        try:
            return self._pool.call(lambda client: use(client, name))
        except ServerError as error:
            if name in self._pool.call(_table_names):
                raise
            reason = f"HBase has no table {name.decode()}; `playtrail consume plays` creates it"
            raise Unavailable("plays", reason) from error


def _table_names(client: Client) -> set[bytes]:
    return set(client.getTableNames())


def _create(client: Client, table: bytes, families: Sequence[bytes]) -> None:
    """Create a table, unless another process has just done so; a time to live of -1 is none."""
    columns = [
        thrift.ColumnDescriptor(name=f + b":", maxVersions=1, bloomFilterType="ROW", blockCacheEnabled=True)
        for f in families
    ]
    try:
        client.createTable(table, columns)
    except thrift.AlreadyExists:
        pass
    except thrift.IOError as error:
        if "TableExistsException" not in text_of(error):
            raise


def _drop(client: Client, table: bytes) -> None:
    client.disableTable(table)
    client.deleteTable(table)


def _scanned(client: Client, table: bytes, scan: Any, limit: int) -> list[tuple[bytes, layout.Cells]]:
    number = client.scannerOpenWithScan(table, scan, {})
    try:
        found: list[tuple[bytes, layout.Cells]] = []
        while batch := client.scannerGetList(number, min(SCAN_ROWS, limit - len(found))):
            found += ((row.row, _cells(row)) for row in batch)
            if len(batch) < SCAN_ROWS or len(found) >= limit:
                break
        return found
    finally:
        client.scannerClose(number)


def _cells(row: Any) -> layout.Cells:
    return {column: (cell.value, cell.timestamp) for column, cell in row.columns.items()}


def _heads_in(rows: Iterable[tuple[bytes, layout.Cells]]) -> dict[int, Head]:
    return {
        layout.partition_of(key): Head(
            layout.decode_checkpoint(cells[layout.CHECKPOINT][0]), layout.decode_identity(cells[layout.IDENTITY][0])
        )
        for key, cells in rows
        if layout.IDENTITY in cells
    }


def _spread(work: Callable[[Sequence[Item]], T], items: Sequence[Item], size: int) -> list[T]:
    """``work`` on batches of items, a few at once; returns or raises when all have ended."""
    batches = [items[at : at + size] for at in range(0, len(items), size)]
    if len(batches) < 2:
        return [work(batch) for batch in batches]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return list(threads.map(work, batches))
