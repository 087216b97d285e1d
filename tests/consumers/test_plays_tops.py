"""Top lists of owners that overtake each other: the list that is seen at last is that of the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from consumers.plays import Plays
from consumers.rowcache import RowCache
from models.eventlog.port import Identity
from models.stores.port import Checkpoint, Top
from tests.consumers.fakes import Cells, MemoryPlays
from tests.consumers.making import BEGIN, MadeRecord, ping

LOG = Identity("cluster", "topic", 1)
VIDEO = 7


class Died(Exception):  # noqa: N818 -- it is no error here
    """The owner ends at this point."""


class DiesAfterRows(MemoryPlays):
    """Rows are written, the top list is not."""

    def put(self, partition: int, stamp: int, rows: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        super().put(partition, stamp, rows, None)
        raise Died


class HangsBeforeRows(MemoryPlays):
    """Hangs before it writes rows, while ``meanwhile`` happens, and dies before its checkpoint."""

    def __init__(self, cells: Cells, meanwhile: Callable[[], None]) -> None:
        super().__init__(cells)
        self._meanwhile = meanwhile

    def put(self, partition: int, stamp: int, rows: Mapping[int, tuple[int, int]], top: Top | None) -> None:
        self._meanwhile()
        super().put(partition, stamp, rows, top)

    def save(
        self, projection: str, topic: str, partition: int, checkpoint: Checkpoint, part: str, content: bytes
    ) -> None:
        raise Died


def top_at_last() -> Top:
    """
    One video is watched for 40 s, in four heartbeats. Three owners begin at the first:

    the slow one reads the row and hangs; the fast one folds all, writes the row and dies; the last one finds that row
    with its first heartbeat, and writes a top list with it. Then the slow one writes a list of two heartbeats, later by
    its stamp, and dies. The last one goes on: neither its rows nor its list change any more.
    """
    log: list[MadeRecord] = [ping(offset, BEGIN, 1, VIDEO, 10 * (offset + 1)) for offset in range(4)]
    cells = Cells()
    store = MemoryPlays(cells)
    last, fast = Plays(store, store), Plays(DiesAfterRows(cells), store)

    def meanwhile() -> None:
        fast.open(0, LOG, 0)
        with pytest.raises(Died):
            fast.apply(0, log)
        last.open(0, LOG, 0)
        last.apply(0, log[:1])

    slow = Plays(HangsBeforeRows(cells, meanwhile), store)
    slow.open(0, LOG, 0)
    with pytest.raises(Died):
        slow.apply(0, log[:2])
    last.apply(0, log[1:])
    assert store.rows([VIDEO])[VIDEO][:2] == (1, 40)
    return store.tops()[0]


def test_a_list_that_did_not_change_is_written_again_when_rows_were_ahead() -> None:
    assert top_at_last() == Top(by_times=((VIDEO, 1),), by_duration=((VIDEO, 40),))


def test_without_that_an_older_list_would_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    never = property(lambda self: False, lambda self, value: None)
    monkeypatch.setattr(RowCache, "ahead", never, raising=False)
    assert top_at_last().by_duration == ((VIDEO, 20),)
