"""A plays store in memory, which keeps the promises of HBase and not more: single cells, the largest stamp wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from models.errors import Fenced
from models.eventlog.port import Position
from models.stores.plays_heads import Head, PlayHeads
from models.stores.port import Checkpoint, DeadLetter, DeadLetters, Place, PlayRow, Top, stamp_of

Key = tuple[Any, ...]


class Cells:
    """What all owners share."""

    def __init__(self) -> None:
        self.cells: dict[Key, tuple[int, Any]] = {}
        self.letters: dict[Place, DeadLetter] = {}

    def write(self, key: Key, stamp: int, content: Any) -> None:
        if key not in self.cells or stamp >= self.cells[key][0]:
            self.cells[key] = (stamp, content)


class MemoryPlays(PlayHeads, DeadLetters):
    """One owner's view of the cells; ``before`` is called before each read and each write of a cell."""

    def __init__(self, cells: Cells, before: Callable[[], None] = lambda: None) -> None:
        self._shared, self._before = cells, before

    def create(self) -> None:
        self._before()

    def ping(self) -> None:
        self._before()

    def close(self) -> None:
        pass

    def rows(self, ids: Collection[int]) -> Mapping[int, PlayRow]:
        cells = self._read()
        found = {i: cells["row", i] for i in ids if ("row", i) in cells}
        return {i: PlayRow(times, duration, stamp) for i, (stamp, (times, duration)) in found.items()}

    def put(self, partition: int, stamp: int, rows: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        for video_id, values in rows.items():
            self._write(("row", video_id), stamp, values)
        if top is not None:
            self._write(("top", partition), stamp, top)

    def tops(self) -> Mapping[int, Top]:
        return {key[1]: top for key, (_, top) in self._read().items() if key[0] == "top"}

    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        stamp = stamp_of(checkpoint.epoch, checkpoint.next_offset)
        key = ("head", projection, topic, partition)
        if key not in self._read():
            raise Fenced(f"{projection}: {topic}/{partition} was never opened")
        self._write(("part", projection, partition, part), stamp, content)
        identity = self._read()[key][1].identity
        self._write(key, stamp, Head(checkpoint, identity))
        if self._read()[key][0] > stamp:
            raise Fenced(f"{projection}: {topic}/{partition} has a checkpoint beyond {checkpoint.next_offset}")

    def parts(self, projection: str, partition: int, names: Sequence[str]) -> Sequence[bytes]:
        return [self._read().get(("part", projection, partition, name), (0, b""))[1] for name in names]

    def put_dead(self, letters: Sequence[DeadLetter]) -> None:
        self._before()
        for letter in letters:
            self._shared.letters.setdefault(letter.place, letter)

    def dead(self, projection: str | None = None, limit: int = 100, after: Place | None = None) -> Sequence[DeadLetter]:
        return [found for place, found in sorted(self._shared.letters.items()) if after is None or place > after][
            :limit
        ]

    def dead_at(self, position: Position) -> Sequence[DeadLetter]:
        return [letter for letter in self.dead(limit=len(self._shared.letters)) if letter.position == position]

    def drop_dead(self, places: Collection[Place]) -> int:
        self._before()
        return sum(self._shared.letters.pop(place, None) is not None for place in places)

    def dead_counts(self) -> Mapping[str, int]:
        return Counter(place.projection for place in self._shared.letters)

    def _heads(self, projection: str, topic: str) -> Mapping[int, Head]:
        found = self._read().items()
        return {key[3]: head for key, (_, head) in found if key[:3] == ("head", projection, topic)}

    def _put_heads(self, projection: str, topic: str, heads: Mapping[int, Head]) -> None:
        for partition, head in heads.items():
            stamp = stamp_of(head.checkpoint.epoch, head.checkpoint.next_offset)
            self._write(("head", projection, topic, partition), stamp, head)

    def _read(self) -> dict[Key, tuple[int, Any]]:
        self._before()
        return self._shared.cells

    def _write(self, key: Key, stamp: int, content: Any) -> None:
        self._before()
        self._shared.write(key, stamp, content)
