"""Where replayed events go: to a stream, to the last N of it, or only into a count."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

from consumers.replay.fields import getter_of
from consumers.replay.formats import Lines
from consumers.replay.ranges import Span
from consumers.replay.reading import Batch
from models.events import BY_TOPIC


class Tally(NamedTuple):
    """What became of a span: records read, offsets of those that were no events, and how far it was read."""

    records: int
    undecodable: Sequence[int]
    end: int


class Sink(ABC):
    """Takes what was found, span by span; several spans may be open at once."""

    @abstractmethod
    def add(self, span: Span, batch: Batch) -> None:
        """Take the next wanted events of a span, in order."""

    async def end(self, span: Span, tally: Tally) -> None:  # noqa: B027 -- most have nothing to do
        """The span is complete."""

    def flush(self) -> None:  # noqa: B027 -- most have nothing to do
        """Let what was taken be seen."""

    def close(self) -> None:  # noqa: B027 -- most have nothing to do
        """Everything is complete."""


class Stream(Sink):
    """Lines to a file or a pipe."""

    def __init__(self, out: BinaryIO, lines: Lines) -> None:
        self._out, self._lines, self._begun = out, lines, False

    def add(self, _span: Span, batch: Batch) -> None:
        self._begin()
        self._out.write(self._lines.lines(batch))

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        self._begin()
        self._out.flush()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._out.write(self._lines.head)


class Tail(Sink):
    """The last ``count`` events by their records' times, in that order, once everything is read."""

    def __init__(self, count: int, sink: Sink) -> None:
        self._count, self._sink = count, sink
        self._heap: list[tuple[int, int, int, tuple[Any, Any, bytes]]] = []

    def add(self, _span: Span, batch: Batch) -> None:
        for row in zip(batch.records, batch.events, batch.values, strict=True):
            record = row[0]
            item = (record.timestamp, record.partition, record.offset, row)
            if len(self._heap) < self._count:
                heapq.heappush(self._heap, item)
            elif self._heap and item > self._heap[0]:
                heapq.heapreplace(self._heap, item)

    def close(self) -> None:
        rows = [item[3] for item in sorted(self._heap)]
        if rows:
            self._sink.add(Span(0, 0, 0), Batch.of(rows))
        self._sink.close()


class Count(Sink):
    """How many of each event, for a dry run."""

    def __init__(self, topic: str) -> None:
        self.events: Counter[str] = Counter()
        self._name: Callable[..., Any] = getter_of(topic, "event") if topic in BY_TOPIC else lambda *_: "records"

    def add(self, _span: Span, batch: Batch) -> None:
        self.events.update(map(self._name, batch.records, batch.events))
