"""
Plays in memory, cell by cell: the promises of HBase and not more.

What is stored are the tables of models/rows.py: bytes by table, row key and column, each with its timestamp. A write
of one row is atomic, several are not; of two cells the one with the larger timestamp is seen, at the same timestamp
the later one.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from models import rows
from models.errors import Fenced, Unavailable
from models.eventlog.port import Identity
from models.stores.plays_heads import Head, PlayHeads
from models.stores.port import Checkpoint, PlayRow, Top, stamp_of
from tests.simulator.steps import Step, undisturbed

Row: TypeAlias = dict[bytes, tuple[bytes, int]]


def _tables() -> dict[bytes, dict[bytes, Row]]:
    return {table: defaultdict(dict) for table in rows.FAMILIES}


@dataclass
class PlayData:
    """
    What all processes see.

    Attributes:
        seen: Called with table, key, the row as it was and the row as it is, after each write.
    """

    tables: dict[bytes, dict[bytes, Row]] = field(default_factory=_tables)
    lock: threading.RLock = field(default_factory=threading.RLock)
    seen: Callable[[bytes, bytes, Row, Row], None] = lambda table, key, old, new: None


class MemoryPlays(PlayHeads):
    """One process's view; every read of a table and every write of a row is a step."""

    def __init__(self, data: PlayData, step: Step = undisturbed) -> None:
        self.data, self._step = data, step

    def create(self) -> None:
        with self._step("create"):
            pass

    def ping(self) -> None:
        with self._step("ping"):
            pass

    def close(self) -> None:
        pass

    def rows(self, ids: Collection[int]) -> Mapping[int, PlayRow]:
        keys = {rows.video_key(video): video for video in ids}
        found = self._read(rows.VIDEO_TABLE, keys, f"read rows {sorted(ids)[:9]}")
        return {keys[key]: rows.play_row(cells) for key, cells in found.items()}

    def put(self, partition: int, stamp: int, rows_: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        for video, (times, duration) in rows_.items():
            cells = rows.video_cells(video, times, duration)
            self._write(rows.VIDEO_TABLE, rows.video_key(video), stamp, cells, f"put row {video}")
        if top is not None:
            cells = {rows.TOP: rows.encode_top(top)}
            self._write(rows.TOP_TABLE, rows.partition_key(partition), stamp, cells, f"put top {partition}")

    def tops(self) -> Mapping[int, Top]:
        with self._step("read tops"), self.data.lock:
            found = self.data.tables[rows.TOP_TABLE].items()
            return {rows.partition_of(key): rows.decode_top(cells[rows.TOP][0]) for key, cells in found}

    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
        key = rows.head_key(projection, topic, partition)
        self._refuse_older(key, stamp)
        cells = rows.part_cells(content)
        self._write(rows.CHECKPOINT_TABLE, rows.part_key(projection, partition, part), stamp, cells, f"put part {part}")
        head = {rows.CHECKPOINT: rows.encode_checkpoint(checkpoint)}
        self._write(rows.CHECKPOINT_TABLE, key, stamp, head, f"put head {partition}@{checkpoint.next_offset}")
        self._refuse_older(key, stamp)

    def parts(self, projection: str, partition: int, names: Sequence[str]) -> Sequence[bytes]:
        found: list[bytes] = []
        for name in names:
            key = rows.part_key(projection, partition, name)
            cells = self._read(rows.CHECKPOINT_TABLE, [key], f"read part {name}").get(key, {})
            content = rows.part_content(cells)
            if content is None:
                raise Unavailable("plays", f"part {name} is torn")
            found.append(content)
        return found

    def _refuse_older(self, key: bytes, stamp: int) -> None:
        head = self._read(rows.CHECKPOINT_TABLE, [key], "read head").get(key)
        if head is None or head[rows.CHECKPOINT][1] > stamp:
            where = key.decode().removeprefix("head/plays/").replace("/p000", "/")
            raise Fenced(f"plays: {where} has a checkpoint beyond {stamp & (1 << 48) - 1}")

    def _heads(self, projection: str, topic: str) -> Mapping[int, Head]:
        prefix = rows.head_prefix(projection, topic)
        with self._step("read heads"), self.data.lock:
            table = self.data.tables[rows.CHECKPOINT_TABLE]
            found = {rows.partition_of(key): cells for key, cells in table.items() if key.startswith(prefix)}
            return {p: Head(_checkpoint(cells), _identity(cells)) for p, cells in found.items()}

    def _put_heads(self, projection: str, topic: str, heads: Mapping[int, Head]) -> None:
        for partition, (checkpoint, identity) in heads.items():
            stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
            cells = {
                rows.CHECKPOINT: rows.encode_checkpoint(checkpoint),
                rows.IDENTITY: rows.encode_identity(identity),
            }
            key = rows.head_key(projection, topic, partition)
            self._write(rows.CHECKPOINT_TABLE, key, stamp, cells, f"open head {partition}")

    def _read(self, table: bytes, keys: Collection[bytes], what: str) -> dict[bytes, Row]:
        with self._step(what), self.data.lock:
            found = self.data.tables[table]
            return {key: found[key] for key in keys if key in found}

    def _write(self, table: bytes, key: bytes, stamp: int, cells: Mapping[bytes, bytes], what: str) -> None:
        with self._step(what), self.data.lock:
            old = self.data.tables[table][key]
            newer = {c: (value, stamp) for c, value in cells.items() if c not in old or stamp >= old[c][1]}
            # A new row each time: what a reader has got does not change in its hands.
            new = self.data.tables[table][key] = {**old, **newer}
            self.data.seen(table, key, old, new)


def _checkpoint(cells: Row) -> Checkpoint:
    return rows.decode_checkpoint(cells[rows.CHECKPOINT][0])


def _identity(cells: Row) -> Identity:
    return rows.decode_identity(cells[rows.IDENTITY][0])
